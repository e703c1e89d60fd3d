/* keystead-keystore: the key records of a cell. */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/rpc/loop.h"
#include "services/keystore/keystore.h"
#include "services/keystore/settings.h"

#define KEPT_BYTES   (256 * 1024 * 1024)
#define MAPPED_BYTES (32 * 1024 * 1024) /* glibc's upper bound */

/*
 * What was freed stays with the process. Otherwise each batch's memory goes back to the kernel and
 * comes again page by page: 10 us an item, more than all the rest (operations_bench).
 */
static void keep_freed_memory(void)
{
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
}

int main(int argc, char **argv)
{
    /* Plaintexts and data keys pass through: no core file, no debugger of another process. A limit
     * of 0 is not enough, a core that is piped to a handler does not heed it (core(5)). */
    prctl(PR_SET_DUMPABLE, 0);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    keep_freed_memory();
    signal(SIGPIPE, SIG_IGN);

    struct ks_keystore_settings settings = {.region = NULL};
    int status = ks_keystore_settings_main(argc, argv, &settings);
    if (status >= 0) {
        return status;
    }
    ks_log_init("keystore", (enum ks_log_level)settings.log_level);
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){.fips = false}))) {
        ks_log(ERROR, "can't start", KS_TEXT("name", "OpenSSL"));
        return EXIT_FAILURE;
    }
    ks_rpc_init();
    struct ks_keystore *keystore = NULL;
    bool started = !ks_failed(ks_keystore_start(&settings, &keystore));
    if (started) {
        int signal_number = 0;
        sigwait(&signals, &signal_number);
        ks_log(INFO, "stopping", KS_NUMBER("signal", signal_number));
    }
    ks_keystore_stop(keystore);
    ks_config_done(&ks_keystore_table, &settings);
    ks_rpc_shutdown();
    return started ? EXIT_SUCCESS : EXIT_FAILURE;
}
