#include "pkg/blob/context.h"

#include <assert.h>

#include "pkg/form/form.h"

/* Inserts a pair into sorted[0..count), in order. Fails: VALIDATION (the key is there already). */
static ks_result insert(const struct ks_context_pair **sorted, size_t count,
                        const struct ks_context_pair *pair)
{
    size_t at = count;
    for (; at > 0; at--) {
        int order = ks_bytes_compare(sorted[at - 1]->key, pair->key);
        if (order == 0) {
            return KS_RES(VALIDATION);
        }
        if (order < 0) {
            break;
        }
        sorted[at] = sorted[at - 1];
    }
    sorted[at] = pair;
    return KS_RES(OK);
}

static bool fits(const struct ks_context_pair *pair)
{
    return pair->key.len > 0 && pair->key.len <= KS_CONTEXT_PART_MAX &&
           pair->value.len <= KS_CONTEXT_PART_MAX;
}

ks_result ks_context_encode(const struct ks_context_pair *pairs, size_t count, uint8_t *ret_encoded,
                            size_t *ret_len)
{
    assert(pairs || count == 0);
    assert(ret_encoded && ret_len);

    if (count > KS_CONTEXT_PAIRS_MAX) {
        return KS_RES(VALIDATION);
    }
    const struct ks_context_pair *sorted[KS_CONTEXT_PAIRS_MAX];
    for (size_t i = 0; i < count; i++) {
        if (!fits(&pairs[i])) {
            return KS_RES(VALIDATION);
        }
        KS_TRY(insert(sorted, i, &pairs[i]));
    }
    struct ks_writer out = {.ptr = ret_encoded, .capacity = KS_CONTEXT_LEN_MAX};
    ks_write_u16(&out, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        ks_write_long(&out, sorted[i]->key);
        ks_write_long(&out, sorted[i]->value);
    }
    if (out.full) {
        return KS_RES(VALIDATION);
    }
    *ret_len = out.len;
    return KS_RES(OK);
}
