#include "pkg/config/option.h"

#include <assert.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* Largest first. */
static const struct unit durations[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
static const struct unit sizes[] = {{"GiB", 1073741824}, {"MiB", 1048576}, {"KiB", 1024}, {"", 1}};

static const char *suffix_of(enum ks_config_kind kind)
{
    return kind == KS_CONFIG_KIND_DURATION ? "_ms" : kind == KS_CONFIG_KIND_SIZE ? "_bytes" : "";
}

void ks_config_option_name(const struct ks_config_option *option,
                           char ret_name[static KS_CONFIG_NAME_LEN])
{
    size_t len = strlen(option->name);
    size_t suffix_len = strlen(suffix_of(option->kind));
    assert(len > suffix_len && len < KS_CONFIG_NAME_LEN);
    assert(strcmp(option->name + len - suffix_len, suffix_of(option->kind)) == 0);

    memcpy(ret_name, option->name, len - suffix_len);
    ret_name[len - suffix_len] = '\0';
}

/* Returns the largest unit that divides the value. */
static void write_scaled(int64_t value, const struct unit *units, size_t count, char *text)
{
    for (size_t i = 0; i < count; i++) {
        bool is_last = i + 1 == count;
        if (is_last || (value != 0 && value % units[i].factor == 0)) {
            snprintf(text, 32, "%lld%s", (long long)(value / units[i].factor), units[i].name);
            return;
        }
    }
}

static void write_choices(const char *const *choices, char *text)
{
    size_t at = (size_t)snprintf(text, KS_CONFIG_BOUNDS_LEN, "one of:");
    for (size_t i = 0; choices[i]; i++) {
        int n = snprintf(text + at, KS_CONFIG_BOUNDS_LEN - at, "%s %s", i ? "," : "", choices[i]);
        assert(n > 0 && at + (size_t)n < KS_CONFIG_BOUNDS_LEN);
        at += (size_t)n;
    }
}

static void write_range(const char *what, const char *low, const char *high, char *text)
{
    snprintf(text, KS_CONFIG_BOUNDS_LEN, "%s, %s to %s", what, low, high);
}

void ks_config_option_bounds(const struct ks_config_option *option,
                             char ret_bounds[static KS_CONFIG_BOUNDS_LEN])
{
    static const char *const words[KS_CONFIG_KIND_COUNT] = {
        [KS_CONFIG_KIND_TEXT] = "text of bytes", [KS_CONFIG_KIND_NUMBER] = "number",
        [KS_CONFIG_KIND_DURATION] = "time",      [KS_CONFIG_KIND_SIZE] = "size",
        [KS_CONFIG_KIND_BOOL] = "true or false", [KS_CONFIG_KIND_LIST] = "list of entries",
        [KS_CONFIG_KIND_CHOICE] = "one of",
    };
    const struct unit *units = sizes + KS_COUNT(sizes) - 1;
    size_t count = 1;
    if (option->kind == KS_CONFIG_KIND_CHOICE) {
        write_choices(option->choices, ret_bounds);
        return;
    }
    if (option->kind == KS_CONFIG_KIND_BOOL) {
        snprintf(ret_bounds, KS_CONFIG_BOUNDS_LEN, "%s", words[option->kind]);
        return;
    }
    if (option->kind == KS_CONFIG_KIND_DURATION) {
        units = durations;
        count = KS_COUNT(durations);
    } else if (option->kind == KS_CONFIG_KIND_SIZE) {
        units = sizes;
        count = KS_COUNT(sizes);
    }
    char low[32];
    char high[32];
    write_scaled(option->min, units, count, low);
    write_scaled(option->max, units, count, high);
    write_range(words[option->kind], low, high, ret_bounds);
}
