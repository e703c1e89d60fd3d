/* Any bytes as a configuration: read whole or refused whole, and nothing is lost. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/mem.h"
#include "pkg/config/config.h"

struct settings {
    char *socket;
    int64_t window_ms;
    struct ks_config_list peers;
};

static const struct ks_config_option options[] = {
    KS_CONFIG_TEXT(struct settings, socket, "", 0, 100, "A path."),
    KS_CONFIG_DURATION(struct settings, window_ms, "2s", 200, 60000, "A time."),
    KS_CONFIG_LIST(struct settings, peers, "", 0, 8, "A list."),
};

static const struct ks_config_table table = {
    .program = "x", .about = "", .options = options, .option_count = KS_COUNT(options)};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings settings = {.socket = NULL};
    char error[KS_CONFIG_ERROR_LEN];
    ks_result r = ks_config_parse(&table, "x", (ks_bytes){data, size}, &settings, error);
    assert(ks_failed(r) ? settings.socket == NULL : settings.socket != NULL);
    ks_config_done(&table, &settings);
    return 0;
}
