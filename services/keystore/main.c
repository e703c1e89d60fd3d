/* keystead-keystore: the key records of a cell. */
#include <malloc.h>
#include <stdlib.h>

#include "pkg/process/process.h"
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
    ks_process_begin();
    keep_freed_memory();

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
