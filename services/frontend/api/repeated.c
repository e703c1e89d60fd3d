#include "services/frontend/api/repeated.h"

#include <assert.h>
#include <stdio.h>

#include "pkg/blob/context.h"
#include "pkg/codec/utf8.h"
#include "pkg/codec/wire.h"
#include "services/frontend/api/constraint.h"

/* AWS KMS API: Tag; a map entry and a Tag have their members in the same places. */
#define PART_KEY      1U
#define PART_VALUE    2U
#define TAGS_MAX      50U
#define TAG_KEY_MAX   128
#define TAG_VALUE_MAX 256
#define PATH_LEN      48U

/* Two strings: a tag, or a pair of an encryption context. */
struct pair {
    ks_bytes key;
    ks_bytes value;
};

/* The next element of member `field`; false at the end. The message passed the wire check. */
static bool next_pair(ks_bytes *rest, uint32_t field, struct pair *ret_pair)
{
    while (rest->len > 0) {
        struct ks_wire_field element;
        if (ks_failed(ks_wire_next(rest, &element))) {
            return false;
        }
        if (element.number != field) {
            continue;
        }
        *ret_pair = (struct pair){0};
        ks_bytes parts = element.bytes;
        struct ks_wire_field part;
        while (parts.len > 0 && !ks_failed(ks_wire_next(&parts, &part))) {
            if (part.number == PART_KEY) {
                ret_pair->key = part.bytes;
            } else if (part.number == PART_VALUE) {
                ret_pair->value = part.bytes;
            }
        }
        return true;
    }
    return false;
}

static ks_result check_tag(const struct pair *tag, size_t number, struct ks_refusal *refusal)
{
    char path[PATH_LEN];
    size_t key_count = ks_utf8_count(tag->key);
    if (key_count == 0 || key_count > TAG_KEY_MAX) {
        (void)snprintf(path, sizeof(path), "tags.%zu.member.tagKey", number);
        struct ks_member member = {path, tag->key.ptr ? tag->key : KS_LITERAL("")};
        return key_count == 0 ? ks_refuse_length(refusal, &member, KS_AT_LEAST, 1)
                              : ks_refuse_length(refusal, &member, KS_AT_MOST, TAG_KEY_MAX);
    }
    if (ks_utf8_count(tag->value) > TAG_VALUE_MAX) {
        (void)snprintf(path, sizeof(path), "tags.%zu.member.tagValue", number);
        struct ks_member member = {path, tag->value};
        return ks_refuse_length(refusal, &member, KS_AT_MOST, TAG_VALUE_MAX);
    }
    if (ks_bytes_starts_with(tag->key, KS_LITERAL("aws:"))) {
        return ks_refuse(refusal, KS_TAG, "Tags beginning with aws: are reserved");
    }
    return KS_RES(OK);
}

ks_result ks_check_tags(const struct ks_rule *rule, ks_bytes message, struct ks_refusal *refusal)
{
    assert(rule->max == TAGS_MAX);

    ks_bytes keys[TAGS_MAX];
    size_t count = 0;
    struct pair tag;
    while (next_pair(&message, rule->field, &tag)) {
        if (count == TAGS_MAX) {
            return ks_refuse(refusal, KS_TAG, "Too many tags");
        }
        KS_TRY(check_tag(&tag, count + 1, refusal));
        for (size_t i = 0; i < count; i++) {
            if (ks_bytes_equal(keys[i], tag.key)) {
                return ks_refuse(refusal, KS_TAG, "Duplicate tag keys");
            }
        }
        keys[count++] = tag.key;
    }
    return KS_RES(OK);
}

ks_result ks_check_context(const struct ks_rule *rule, ks_bytes message, struct ks_refusal *refusal)
{
    struct ks_context_pair pairs[KS_CONTEXT_PAIRS_MAX];
    size_t count = 0;
    struct pair pair;
    while (next_pair(&message, rule->field, &pair)) {
        if (count == KS_CONTEXT_PAIRS_MAX) {
            struct ks_member member = {rule->member, {0}};
            return ks_refuse_length(refusal, &member, KS_AT_MOST, (int32_t)KS_CONTEXT_PAIRS_MAX);
        }
        pairs[count++] = (struct ks_context_pair){pair.key, pair.value};
    }
    uint8_t encoded[KS_CONTEXT_LEN_MAX];
    size_t len;
    if (ks_failed(ks_context_encode(pairs, count, encoded, &len))) {
        return ks_refuse(refusal, KS_VALIDATION,
                         "The encryption context at '%s' is not valid: keys must differ and not be "
                         "empty, with at most %u bytes in a key or a value and %u in all.",
                         rule->member, KS_CONTEXT_PART_MAX, KS_CONTEXT_LEN_MAX);
    }
    return KS_RES(OK);
}
