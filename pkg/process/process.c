#include "pkg/process/process.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include "pkg/crypto/crypto.h"
#include "pkg/rpc/loop.h"

#define KEPT_BYTES   (256 * 1024 * 1024)
#define MAPPED_BYTES (32 * 1024 * 1024) /* glibc's upper bound */

static void fill_stop_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
}

/*
 * By default glibc gives memory back to the kernel as soon as 128 KiB at the end of a heap are free,
 * and gets it again page by page. A server allocates and frees more than that all the time: in a
 * keystore this cost more than all other work on a batch (operations_bench).
 */
static void keep_freed_memory(void)
{
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
}

void ks_process_begin(void)
{
    keep_freed_memory();
    /* A limit of 0 is not enough: a core that is piped to a handler does not heed it (core(5)). */
    prctl(PR_SET_DUMPABLE, 0);
    signal(SIGPIPE, SIG_IGN);
    sigset_t signals;
    fill_stop_signals(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

ks_result ks_process_open(const char *name, enum ks_log_level level)
{
    ks_log_init(name, level);
    ks_result r = ks_crypto_init(&(struct ks_crypto_options){0});
    if (ks_failed(r)) {
        ks_log(ERROR, "can't start", KS_TEXT("name", "OpenSSL"));
        return r;
    }
    ks_rpc_init();
    return KS_RES(OK);
}

int ks_process_await_stop(void)
{
    sigset_t signals;
    fill_stop_signals(&signals);
    int number = 0;
    sigwait(&signals, &number);
    ks_log(INFO, "stopping", KS_NUMBER("signal", number));
    return number;
}

void ks_process_close(void)
{
    ks_rpc_shutdown();
}
