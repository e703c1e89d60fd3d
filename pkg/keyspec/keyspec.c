#include "pkg/keyspec/keyspec.h"

#include <assert.h>

#include "pkg/base/mem.h"

const struct ks_keyspec ks_keyspecs[] = {KS_KEYSPEC_ROWS};
const size_t ks_keyspec_count = KS_COUNT(ks_keyspecs);

const struct ks_data_keyspec ks_data_keyspecs[] = {KS_DATA_KEYSPEC_ROWS};
const size_t ks_data_keyspec_count = KS_COUNT(ks_data_keyspecs);

const struct ks_keyspec *ks_keyspec_of(uint32_t number)
{
    for (size_t i = 0; i < ks_keyspec_count; i++) {
        if (ks_keyspecs[i].number == number) {
            return &ks_keyspecs[i];
        }
    }
    return NULL;
}

const struct ks_keyspec_use *ks_keyspec_use_of(const struct ks_keyspec *spec, uint32_t usage)
{
    assert(spec);

    for (size_t i = 0; i < KS_KEYSPEC_USES_MAX; i++) {
        if (usage != 0 && spec->uses[i].usage == usage) {
            return &spec->uses[i];
        }
    }
    return NULL;
}

size_t ks_keyspec_algorithm_count(const struct ks_keyspec_use *use)
{
    assert(use);

    size_t count = 0;
    while (count < KS_KEYSPEC_ALGORITHMS_MAX && use->algorithms[count].number != 0) {
        count++;
    }
    return count;
}

ks_result ks_keyspec_choose(const struct ks_keyspec *spec, uint32_t usage, uint32_t *ret_usage)
{
    assert(spec && ret_usage);

    if (!spec->offered) {
        return KS_RES(UNSUPPORTED);
    }
    uint32_t chosen = usage == 0 ? spec->usage_if_absent : usage;
    if (!ks_keyspec_use_of(spec, chosen)) {
        return KS_RES(VALIDATION);
    }
    *ret_usage = chosen;
    return KS_RES(OK);
}

ks_result ks_keyspec_allows(uint32_t spec, uint32_t usage, enum ks_key_usage needed)
{
    const struct ks_keyspec *row = ks_keyspec_of(spec);
    if (!row || !ks_key_usage_name(usage)) {
        return KS_RES(CORRUPT);
    }
    if (usage != needed) {
        return KS_RES(INVALID_KEY_USAGE);
    }
    return ks_keyspec_use_of(row, usage) ? KS_RES(OK) : KS_RES(CORRUPT);
}

#define USAGE_NAME(NAME, number) [number] = #NAME,

const char *ks_key_usage_name(uint32_t usage)
{
    static const char *const names[] = {KS_KEY_USAGES(USAGE_NAME)};
    return usage < KS_COUNT(names) ? names[usage] : NULL;
}

const struct ks_data_keyspec *ks_data_keyspec_of(uint32_t number)
{
    for (size_t i = 0; i < ks_data_keyspec_count; i++) {
        if (ks_data_keyspecs[i].number == number) {
            return &ks_data_keyspecs[i];
        }
    }
    return NULL;
}
