/* keystead-keystore: the key records of a cell. */
#include <stdlib.h>

#include "pkg/process/process.h"
#include "services/keystore/keystore.h"
#include "services/keystore/settings.h"

int main(int argc, char **argv)
{
    ks_process_begin();

    struct ks_keystore_settings settings = {.region = NULL};
    int status = ks_keystore_settings_main(argc, argv, &settings);
    if (status >= 0) {
        return status;
    }
    if (ks_failed(ks_process_open("keystore", (enum ks_log_level)settings.log_level))) {
        return EXIT_FAILURE;
    }
    struct ks_keystore *keystore = NULL;
    bool started = !ks_failed(ks_keystore_start(&settings, &keystore));
    if (started) {
        ks_process_await_stop();
    }
    ks_keystore_stop(keystore);
    ks_config_done(&ks_keystore_table, &settings);
    ks_process_close();
    return started ? EXIT_SUCCESS : EXIT_FAILURE;
}
