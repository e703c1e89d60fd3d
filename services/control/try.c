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
    ks_change_compare(attempt->change, ks_record_key_bytes(key), revision);
}

void ks_admin_put(struct ks_admin_try *attempt, const struct ks_record_key *key,
                  const ProtobufCMessage *record)
{
    if (record) {
        ks_change_put(attempt->change, ks_record_key_bytes(key), record);
    } else {
        ks_change_delete(attempt->change, ks_record_key_bytes(key));
    }
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
