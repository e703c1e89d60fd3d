/* keystead-frontend: the public face of a region. */

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "pkg/base/log.h"
#include "pkg/crypto/crypto.h"
#include "pkg/rpc/loop.h"
#include "services/frontend/frontend.h"

#define EXIT_USAGE 2

/* Serves until SIGTERM or SIGINT. */
static bool serve(const struct ks_frontend_settings *settings,
                  const struct ks_keystore_places *places, const sigset_t *signals)
{
    struct ks_frontend *frontend;
    if (ks_failed(ks_frontend_new(settings, places, &frontend))) {
        return false;
    }
    ks_log(INFO, "listening", KS_TEXT("address", settings->address),
           KS_TEXT("region", settings->region));
    int signal;
    sigwait(signals, &signal);
    ks_log(INFO, "draining", KS_NUMBER("signal", signal));
    ks_frontend_free(frontend);
    return true;
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

    struct ks_frontend_settings settings = {0};
    int status = ks_config_main(&ks_frontend_table, argc, argv, &settings);
    if (status >= 0) {
        return status;
    }
    struct ks_keystore_places places;
    char error[KS_CONFIG_ERROR_LEN];
    if (ks_failed(ks_frontend_settings_check(&settings, &places, error))) {
        fprintf(stderr, "%s\n", error);
        return EXIT_USAGE;
    }
    ks_log_init("frontend", (enum ks_log_level)settings.log_level);
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0}))) {
        ks_log(ERROR, "can't start", KS_TEXT("name", "OpenSSL"));
        return EXIT_FAILURE;
    }
    ks_rpc_init();
    bool served = serve(&settings, &places, &signals);
    ks_rpc_shutdown();
    ks_keystore_places_done(&places);
    ks_config_done(&ks_frontend_table, &settings);
    return served ? EXIT_SUCCESS : EXIT_FAILURE;
}
