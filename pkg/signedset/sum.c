#include "pkg/signedset/sum.h"

#include <assert.h>

#include "pkg/base/mem.h"
#include "pkg/form/form.h"

#define RECORD_LABEL "keystead/identity-record/v1"
#define SET_LABEL    "keystead/identity-set/v1"
#define ELEMENT_LEN  (2U * KS_SET_SUM_WORDS)
#define KEY_LEN_MAX  65535U

/* A label with the NUL behind it, which is part of what is hashed. */
#define LABELLED(label) ((ks_bytes){(const uint8_t *)(label), sizeof(label)})

ks_result ks_set_leaf(struct ks_crypto *crypto, ks_bytes key, ks_bytes value, int64_t revision,
                      struct ks_set_leaf *ret_leaf)
{
    assert(key.len <= KEY_LEN_MAX);
    assert(value.len <= UINT32_MAX);

    uint8_t before_key[8 + 2];
    uint8_t before_value[4];
    struct ks_writer first = {.ptr = before_key, .capacity = sizeof(before_key)};
    struct ks_writer second = {.ptr = before_value, .capacity = sizeof(before_value)};
    ks_write_u64(&first, (uint64_t)revision);
    ks_write_u16(&first, (uint16_t)key.len);
    ks_write_u32(&second, (uint32_t)value.len);
    const ks_bytes parts[] = {LABELLED(RECORD_LABEL), ks_written(&first), key, ks_written(&second),
                              value};
    return ks_hash_sha256(crypto, parts, KS_COUNT(parts), ret_leaf->bytes);
}

static ks_result expand(struct ks_crypto *crypto, const struct ks_set_leaf *leaf,
                        uint8_t ret_element[static ELEMENT_LEN])
{
    return ks_hash_shake128(crypto, (ks_bytes){leaf->bytes, sizeof(leaf->bytes)}, ret_element,
                            ELEMENT_LEN);
}

static uint16_t word_at(const uint8_t *element, size_t index)
{
    return (uint16_t)(element[2 * index] << 8 | element[2 * index + 1]);
}

ks_result ks_set_add(struct ks_crypto *crypto, struct ks_set_sum *sum,
                     const struct ks_set_leaf *leaf)
{
    uint8_t element[ELEMENT_LEN];
    KS_TRY(expand(crypto, leaf, element));
    for (size_t i = 0; i < KS_SET_SUM_WORDS; i++) {
        sum->words[i] = (uint16_t)(sum->words[i] + word_at(element, i));
    }
    sum->count++;
    return KS_RES(OK);
}

ks_result ks_set_remove(struct ks_crypto *crypto, struct ks_set_sum *sum,
                        const struct ks_set_leaf *leaf)
{
    uint8_t element[ELEMENT_LEN];
    KS_TRY(expand(crypto, leaf, element));
    for (size_t i = 0; i < KS_SET_SUM_WORDS; i++) {
        sum->words[i] = (uint16_t)(sum->words[i] - word_at(element, i));
    }
    sum->count--;
    return KS_RES(OK);
}

ks_result ks_set_digest(struct ks_crypto *crypto, const struct ks_set_sum *sum,
                        uint8_t ret_digest[static KS_SHA256_LEN])
{
    uint8_t bytes[8 + ELEMENT_LEN];
    struct ks_writer writer = {.ptr = bytes, .capacity = sizeof(bytes)};
    ks_write_u64(&writer, sum->count);
    for (size_t i = 0; i < KS_SET_SUM_WORDS; i++) {
        ks_write_u16(&writer, sum->words[i]);
    }
    assert(!writer.full);
    const ks_bytes parts[] = {LABELLED(SET_LABEL), ks_written(&writer)};
    return ks_hash_sha256(crypto, parts, KS_COUNT(parts), ret_digest);
}
