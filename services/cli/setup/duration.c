#include "services/cli/setup/duration.h"

#include <stddef.h>
#include <string.h>

#include "pkg/base/mem.h"

#define DIGITS_MAX      12U
#define MS_PER_DAY      86400000LL
#define DURATION_MS_MAX (36500 * MS_PER_DAY)

struct unit {
    const char *name;
    int64_t ms;
};

static const struct unit units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", MS_PER_DAY}};

ks_result ks_duration_read(const char *word, int64_t *ret_ms)
{
    int64_t value = 0;
    size_t at = 0;
    for (; word[at] >= '0' && word[at] <= '9' && at < DIGITS_MAX; at++) {
        value = value * 10 + (word[at] - '0');
    }
    for (size_t i = 0; at > 0 && i < KS_COUNT(units); i++) {
        if (strcmp(word + at, units[i].name) == 0) {
            bool fits = value >= 1 && value <= DURATION_MS_MAX / units[i].ms;
            *ret_ms = fits ? value * units[i].ms : *ret_ms;
            return fits ? KS_RES(OK) : KS_RES(VALIDATION);
        }
    }
    return KS_RES(VALIDATION);
}

ks_result ks_duration_option(struct ks_cli *cli, const char *option, int64_t fallback_ms,
                             int64_t *ret_ms)
{
    const char *word = ks_argument(&cli->arguments, option);
    int64_t ms = fallback_ms;
    if (word && ks_failed(ks_duration_read(word, &ms))) {
        return ks_fail(&cli->failure, KS_VALIDATION,
                       "--%s is a time such as 15s, 12h or 30d, not '%.40s'", option, word);
    }
    *ret_ms = ms;
    return KS_RES(OK);
}
