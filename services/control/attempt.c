/* What handlers say: refusals, changes and answers. */
#include <assert.h>

#include "pkg/codec/codec.h"
#include "pkg/crypto/random.h"
#include "pkg/form/names.h"
#include "services/control/admin.h"

ks_result ks_admin_refuse(struct ks_admin_try *attempt, const char *field, const char *what)
{
    attempt->status->violations[0] = (struct ks_rpc_entry){field, what};
    attempt->status->violation_count = 1;
    attempt->status->text = what;
    return KS_RES(VALIDATION);
}

ks_result ks_admin_fail(struct ks_admin_try *attempt, ks_code code, const char *text)
{
    assert(code != KS_OK);

    attempt->status->text = text;
    return (ks_result){code};
}

void ks_admin_rests_on(struct ks_admin_try *attempt, const struct ks_record_key *key,
                       int64_t revision)
{
    struct ks_store_mutation *mutation = attempt->mutation;
    assert(mutation->compare_count < KS_STORE_COMPARES_MAX);

    char *copy = ks_arena_dup(attempt->arena, ks_record_key_bytes(key));
    assert(copy); /* the arena takes thousands of keys, and a call makes a few */
    mutation->compares[mutation->compare_count++] =
        (struct ks_store_compare){{(const uint8_t *)copy, key->len}, revision};
}

/* A copy in the arena. A value that did not fit must not pass for none, which would delete. */
static ks_result keep(struct ks_admin_try *attempt, ks_bytes bytes, ks_bytes *ret_copy)
{
    const char *copy = ks_arena_dup(attempt->arena, bytes);
    if (!copy) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    *ret_copy = (ks_bytes){(const uint8_t *)copy, bytes.len};
    return KS_RES(OK);
}

ks_result ks_admin_put(struct ks_admin_try *attempt, const struct ks_record_key *key,
                       const ProtobufCMessage *record)
{
    struct ks_store_mutation *mutation = attempt->mutation;
    assert(mutation->op_count < KS_ADMIN_OPS_MAX);

    struct ks_store_op op = {0};
    KS_TRY(keep(attempt, ks_record_key_bytes(key), &op.key));
    if (record) {
        KS_BUFFER_AUTO packed = {.len_max = KS_STORE_VALUE_LEN_MAX};
        KS_TRY(ks_codec_pack(record, &packed));
        KS_TRY(keep(attempt, ks_buffer_bytes(&packed), &op.value));
    }
    mutation->ops[mutation->op_count++] = op;
    return KS_RES(OK);
}

ks_result ks_admin_answer(struct ks_admin_try *attempt, const ProtobufCMessage *response)
{
    return ks_codec_pack(response, attempt->response);
}

ks_result ks_admin_random_hex(struct ks_admin_try *attempt, size_t count, char **ret_hex)
{
    uint8_t random[32];
    assert(count <= sizeof(random));

    KS_TRY(ks_random_public(random, count));
    char *hex = ks_arena_alloc(attempt->arena, 2 * count + 1);
    if (!hex) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    ks_hex_write((ks_bytes){random, count}, hex);
    *ret_hex = hex;
    return KS_RES(OK);
}

ks_result ks_admin_page_size(struct ks_admin_try *attempt, int32_t asked, size_t *ret_count)
{
    if (asked < 0 || asked > KS_ADMIN_PAGE_MAX) {
        return ks_admin_refuse(attempt, "page_size", "page_size must be between 0 and 1000");
    }
    *ret_count = asked == 0 ? KS_ADMIN_PAGE_DEFAULT : (size_t)asked;
    return KS_RES(OK);
}
