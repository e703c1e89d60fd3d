/* keystead-control: accounts, users and their certificates. */

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "pkg/base/clock.h"
#include "pkg/base/log.h"
#include "pkg/crypto/crypto.h"
#include "pkg/rpc/loop.h"
#include "services/control/control.h"
#include "services/control/settings.h"

static int serve(const struct ks_control_settings *settings, const sigset_t *signals)
{
    struct ks_control *control;
    if (ks_failed(ks_control_new(settings, &ks_clock_system, &control))) {
        return EXIT_FAILURE;
    }
    ks_log(INFO, "serving", KS_TEXT("address", settings->admin_address));
    int signal = 0;
    sigwait(signals, &signal);
    ks_log(INFO, "stopping", KS_NUMBER("signal", signal));
    ks_control_free(control);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    /* The client root's key is in memory: no core file, no debugger of another process. */
    prctl(PR_SET_DUMPABLE, 0);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    ks_log_init("control", KS_LOG_INFO);

    struct ks_control_settings settings = {0};
    int status = ks_config_main(&ks_control_table, argc, argv, &settings);
    if (status >= 0) {
        return status;
    }
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0}))) {
        ks_log(ERROR, "can't start", KS_TEXT("name", "OpenSSL"));
        return EXIT_FAILURE;
    }
    ks_rpc_init();
    status = serve(&settings, &signals);
    ks_rpc_shutdown();
    ks_config_done(&ks_control_table, &settings);
    return status;
}
