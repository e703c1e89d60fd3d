#include "services/frontend/api/identifier.h"

#include "pkg/arn/arn.h"
#include "pkg/blob/blob.h"
#include "pkg/codec/wire.h"

/* The bytes of a member; empty if it is not there. */
static ks_bytes member_of(ks_bytes message, uint32_t number)
{
    while (message.len > 0) {
        struct ks_wire_field field;
        if (ks_failed(ks_wire_next(&message, &field))) {
            break;
        }
        if (field.number == number) {
            return field.bytes;
        }
    }
    return (ks_bytes){0};
}

static bool is_known_region(const struct ks_home *home, ks_bytes region)
{
    for (size_t i = 0; i < home->known_region_count; i++) {
        if (ks_bytes_equal(region, ks_bytes_of(home->known_regions[i]))) {
            return true;
        }
    }
    return false;
}

static ks_result from_blob(const struct ks_home *home, ks_bytes bytes,
                           struct ks_identifier *identifier, struct ks_refusal *refusal)
{
    struct ks_blob blob;
    if (ks_failed(ks_blob_parse(bytes, &blob))) {
        return ks_refuse_plainly(refusal, KS_INVALID_CIPHERTEXT);
    }
    if (!ks_bytes_equal(blob.name.region, ks_bytes_of(home->region))) {
        if (is_known_region(home, blob.name.region)) {
            ks_refusal_add(refusal, KS_LITERAL("region"), blob.name.region);
        }
        return ks_refuse_plainly(refusal, KS_INVALID_CIPHERTEXT);
    }
    *identifier = (struct ks_identifier){blob.name.account, blob.name.key_id};
    return KS_RES(OK);
}

static ks_result from_key(const char *account, ks_bytes text, struct ks_identifier *identifier)
{
    struct ks_key_ref ref;
    KS_TRY(ks_key_ref_parse(text, &ref));
    bool named = ref.account.len > 0;
    *identifier = (struct ks_identifier){named ? ref.account : ks_bytes_of(account), ref.name};
    return KS_RES(OK);
}

ks_result ks_identifiers_find(const struct ks_operation *operation, const struct ks_home *home,
                              const char *account, ks_bytes message,
                              struct ks_identifiers *ret_identifiers, struct ks_refusal *refusal)
{
    struct ks_identifiers found = {.count = 0};
    for (size_t i = 0; i < KS_IDENTIFIERS_MAX; i++) {
        const struct ks_identifier_rule *rule = &operation->identifiers[i];
        bool used = rule->source != KS_IDENTIFIER_NONE;
        ks_bytes text = used ? member_of(message, rule->field) : (ks_bytes){0};
        if (text.len == 0) {
            continue;
        }
        struct ks_identifier *next = &found.items[found.count++];
        ks_result read = rule->source == KS_IDENTIFIER_BLOB ? from_blob(home, text, next, refusal)
                                                            : from_key(account, text, next);
        if (ks_failed(read)) {
            return read;
        }
    }
    *ret_identifiers = found;
    return KS_RES(OK);
}
