/* keystead-control: accounts, users and their certificates. */

#include <stdlib.h>

#include "pkg/base/clock.h"
#include "pkg/base/log.h"
#include "pkg/process/process.h"
#include "services/control/control.h"
#include "services/control/settings.h"

static int serve(const struct ks_control_settings *settings)
{
    struct ks_control *control;
    if (ks_failed(ks_control_new(settings, &ks_clock_system, &control))) {
        return EXIT_FAILURE;
    }
    ks_log(INFO, "serving", KS_TEXT("address", settings->admin_address));
    ks_process_await_stop();
    ks_control_free(control);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    ks_process_begin();
    struct ks_control_settings settings = {0};
    int status = ks_config_main(&ks_control_table, argc, argv, &settings);
    if (status >= 0) {
        return status;
    }
    if (ks_failed(ks_process_open("control", KS_LOG_INFO))) {
        return EXIT_FAILURE;
    }
    status = serve(&settings);
    ks_process_close();
    ks_config_done(&ks_control_table, &settings);
    return status;
}
