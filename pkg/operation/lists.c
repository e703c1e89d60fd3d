#include "pkg/operation/lists.h"

#include <assert.h>

#include "pkg/base/mem.h"
#include "pkg/blob/context.h"
#include "pkg/codec/wire.h"

/* A map entry and a Tag have their members in the same places. */
#define PART_KEY   1U
#define PART_VALUE 2U

#define RESERVED     "aws:"
#define TAG_LIST_MAX 64U /* above every limit of a list of tags: room on the stack */

/* Two strings: a tag, or a pair of an encryption context. */
struct pair {
    ks_bytes key;
    ks_bytes value;
};

/* The next element of member `field`; false at the end. The run passed the wire check. */
static bool next_element(ks_bytes *rest, uint32_t field, ks_bytes *ret_element)
{
    while (rest->len > 0) {
        struct ks_wire_field element;
        if (ks_failed(ks_wire_next(rest, &element))) {
            return false;
        }
        if (element.number == field) {
            *ret_element = element.bytes;
            return true;
        }
    }
    return false;
}

static bool next_pair(ks_bytes *rest, uint32_t field, struct pair *ret_pair)
{
    ks_bytes parts;
    if (!next_element(rest, field, &parts)) {
        return false;
    }
    *ret_pair = (struct pair){0};
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

/* AWS reserves the prefix in every case: "AWS:x", too. */
static bool is_reserved(ks_bytes key)
{
    const ks_bytes reserved = KS_LITERAL(RESERVED);
    if (key.len < reserved.len) {
        return false;
    }
    for (size_t i = 0; i < reserved.len; i++) {
        uint8_t c = key.ptr[i];
        uint8_t lower = c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
        if (lower != reserved.ptr[i]) {
            return false;
        }
    }
    return true;
}

/* U+0000 to U+001F, U+007F, and U+0080 to U+009F, which UTF-8 writes as c2 80 to c2 9f. */
static bool has_control(ks_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        bool second = c == 0xc2 && i + 1 < text.len && text.ptr[i + 1] < 0xa0;
        if (c < 0x20 || c == 0x7f || second) {
            return true;
        }
    }
    return false;
}

static ks_result check_tag(const struct ks_member *member, const struct pair *tag,
                           struct ks_refusal *refusal)
{
    if (is_reserved(tag->key)) {
        return ks_refusal_blame(refusal, KS_TAG, member->name,
                                "Tags beginning with aws: are reserved");
    }
    if (has_control(tag->key) || has_control(tag->value)) {
        return ks_refusal_blame(refusal, KS_TAG, member->name,
                                "Tags must not contain control characters");
    }
    return KS_RES(OK);
}

static ks_result refuse_many(const struct ks_member *member, struct ks_refusal *refusal)
{
    return ks_refusal_blame(refusal, KS_TAG, member->name, "%s", member->text);
}

ks_result ks_lists_check_tags(const struct ks_member *member, ks_bytes run,
                              struct ks_refusal *refusal)
{
    assert(member->max <= (int32_t)TAG_LIST_MAX);

    ks_bytes keys[TAG_LIST_MAX];
    size_t count = 0;
    struct pair tag;
    while (next_pair(&run, member->field, &tag)) {
        if (count == (size_t)member->max) {
            return refuse_many(member, refusal);
        }
        KS_TRY(check_tag(member, &tag, refusal));
        for (size_t i = 0; i < count; i++) {
            if (ks_bytes_equal(keys[i], tag.key)) {
                return ks_refusal_blame(refusal, KS_TAG, member->name, "Duplicate tag keys");
            }
        }
        keys[count++] = tag.key;
    }
    return KS_RES(OK);
}

ks_result ks_lists_check_count(const struct ks_member *member, ks_bytes run,
                               struct ks_refusal *refusal)
{
    size_t count = 0;
    ks_bytes element;
    while (next_element(&run, member->field, &element)) {
        count++;
    }
    return member->text && count > (size_t)member->max ? refuse_many(member, refusal) : KS_RES(OK);
}

ks_result ks_lists_check_context(const struct ks_member *member, ks_bytes run,
                                 struct ks_refusal *refusal)
{
    struct ks_context_pair pairs[KS_CONTEXT_PAIRS_MAX];
    size_t count = 0;
    struct pair pair;
    while (next_pair(&run, member->field, &pair)) {
        if (count == KS_CONTEXT_PAIRS_MAX) {
            ks_refusal_violate(refusal, member->name,
                               "Value at '%s' failed to satisfy constraint: Member must have "
                               "length less than or equal to %u",
                               member->name, KS_CONTEXT_PAIRS_MAX);
            return ks_refusal_conclude(refusal);
        }
        pairs[count++] = (struct ks_context_pair){pair.key, pair.value};
    }
    uint8_t encoded[KS_CONTEXT_LEN_MAX];
    size_t len;
    if (ks_failed(ks_context_encode(pairs, count, encoded, &len))) {
        return ks_refusal_blame(refusal, KS_VALIDATION, member->name,
                                "The encryption context at '%s' is not valid: keys must differ and "
                                "not be empty, with at most %u bytes in a key or a value and %u in "
                                "all.",
                                member->name, KS_CONTEXT_PART_MAX, KS_CONTEXT_LEN_MAX);
    }
    return KS_RES(OK);
}
