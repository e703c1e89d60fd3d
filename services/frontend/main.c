/* keystead-frontend: the public face of a region. */

#include <stdio.h>
#include <stdlib.h>

#include "pkg/base/log.h"
#include "pkg/process/process.h"
#include "services/frontend/frontend.h"

#define EXIT_USAGE 2

static bool serve(const struct ks_frontend_settings *settings,
                  const struct ks_keystore_places *places)
{
    struct ks_frontend *frontend;
    if (ks_failed(ks_frontend_new(settings, places, &frontend))) {
        return false;
    }
    ks_log(INFO, "listening", KS_TEXT("address", settings->address),
           KS_TEXT("region", settings->region));
    ks_process_await_stop();
    ks_frontend_free(frontend);
    return true;
}

int main(int argc, char **argv)
{
    ks_process_begin();
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
    if (ks_failed(ks_process_open("frontend", (enum ks_log_level)settings.log_level))) {
        return EXIT_FAILURE;
    }
    bool served = serve(&settings, &places);
    ks_process_close();
    ks_keystore_places_done(&places);
    ks_config_done(&ks_frontend_table, &settings);
    return served ? EXIT_SUCCESS : EXIT_FAILURE;
}
