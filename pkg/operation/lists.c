#include "pkg/operation/lists.h"

#include <assert.h>

#include "pkg/base/mem.h"
#include "pkg/blob/context.h"
#include "pkg/operation/elements.h"

#define RESERVED     "aws:"
#define TAG_LIST_MAX 64U /* above every limit of a list of tags: room on the stack */

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

static ks_result check_tag(const struct ks_member *member, const struct ks_pair *tag,
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
    return ks_refusal_blame(refusal, member->text_code, member->name, "%s", member->text);
}

ks_result ks_lists_check_tags(const struct ks_member *member, ks_bytes run,
                              struct ks_refusal *refusal)
{
    assert(member->max <= (int32_t)TAG_LIST_MAX);

    ks_bytes keys[TAG_LIST_MAX];
    size_t count = 0;
    struct ks_pair tag;
    while (ks_elements_next_pair(member, &run, &tag)) {
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

ks_result ks_lists_check_context(const struct ks_member *member, ks_bytes run,
                                 struct ks_refusal *refusal)
{
    struct ks_context_pair pairs[KS_CONTEXT_PAIRS_MAX];
    size_t count = 0;
    struct ks_pair pair;
    while (ks_elements_next_pair(member, &run, &pair)) {
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
