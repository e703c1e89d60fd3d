/* keystead-keystore: the key records of a cell. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/rpc/loop.h"
#include "services/keystore/keystore.h"
#include "services/keystore/settings.h"

int main(int argc, char **argv)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
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
