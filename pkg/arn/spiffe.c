#include "pkg/arn/spiffe.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define START        "spiffe://" KS_TRUST_DOMAIN
#define SEGMENTS_MAX 4U

/*
 * A part of a path that is not a fixed word: where its value is stored, and which values it may
 * have.
 */
struct slot {
    size_t offset;
    size_t len_max;
    bool (*is_valid)(ks_bytes text);
};

/* Either a word or a slot. */
struct segment {
    const char *word;
    const struct slot *slot;
};

struct form {
    size_t segment_count;
    struct segment segments[SEGMENTS_MAX];
};

static const struct slot account = {offsetof(struct ks_spiffe, account), KS_ACCOUNT_LEN,
                                    ks_is_account};
static const struct slot name = {offsetof(struct ks_spiffe, name), KS_USER_NAME_LEN_MAX,
                                 ks_user_name_is_valid};
static const struct slot region = {offsetof(struct ks_spiffe, region), KS_REGION_LEN_MAX,
                                   ks_is_region};
static const struct slot zone = {offsetof(struct ks_spiffe, zone), KS_ZONE_LEN_MAX, ks_is_zone};
static const struct slot node = {offsetof(struct ks_spiffe, node), KS_NODE_NAME_LEN_MAX,
                                 ks_node_name_is_valid};

#define WORD(text)                                                                                 \
    {                                                                                              \
        .word = (text)                                                                             \
    }
#define PART(part)                                                                                 \
    {                                                                                              \
        .slot = &(part)                                                                            \
    }

static const struct form forms[KS_SPIFFE_KIND_COUNT] = {
    [KS_SPIFFE_ACCOUNT_USER] = {4, {WORD("account"), PART(account), WORD("user"), PART(name)}},
    [KS_SPIFFE_OPERATOR] = {2, {WORD("operator"), PART(name)}},
    [KS_SPIFFE_FRONTEND] = {4, {WORD("region"), PART(region), WORD("frontend"), PART(node)}},
    [KS_SPIFFE_KEYSTORE] = {4, {WORD("region"), PART(region), WORD("keystore"), PART(zone)}},
    [KS_SPIFFE_CONTROL] = {1, {WORD("control")}},
    [KS_SPIFFE_IDENTITIES] = {2, {WORD("control"), WORD("identities")}},
    [KS_SPIFFE_HSM] = {3, {WORD("hsm"), PART(region), PART(zone)}},
};

/* Takes "/segment" off the front; false if there is none. */
static bool take_segment(ks_bytes *rest, ks_bytes *ret_segment)
{
    if (rest->len == 0 || rest->ptr[0] != '/') {
        return false;
    }
    size_t len = 0;
    while (len + 1 < rest->len && rest->ptr[len + 1] != '/') {
        len++;
    }
    *ret_segment = (ks_bytes){rest->ptr + 1, len};
    *rest = (ks_bytes){rest->ptr + 1 + len, rest->len - 1 - len};
    return true;
}

static bool read_segment(const struct segment *segment, ks_bytes text, struct ks_spiffe *spiffe)
{
    if (segment->word) {
        return ks_bytes_equal(text, ks_bytes_of(segment->word));
    }
    const struct slot *slot = segment->slot;
    if (text.len > slot->len_max || !slot->is_valid(text)) {
        return false;
    }
    memcpy((char *)spiffe + slot->offset, text.ptr, text.len);
    return true;
}

static bool zone_fits(const struct ks_spiffe *spiffe)
{
    return spiffe->zone[0] == 0 ||
           ks_is_zone_of(ks_bytes_of(spiffe->zone), ks_bytes_of(spiffe->region));
}

static bool read_form(enum ks_spiffe_kind kind, ks_bytes path, struct ks_spiffe *ret_spiffe)
{
    struct ks_spiffe spiffe = {.kind = kind};
    for (size_t i = 0; i < forms[kind].segment_count; i++) {
        ks_bytes text;
        if (!take_segment(&path, &text) || !read_segment(&forms[kind].segments[i], text, &spiffe)) {
            return false;
        }
    }
    if (path.len > 0 || !zone_fits(&spiffe)) {
        return false;
    }
    *ret_spiffe = spiffe;
    return true;
}

ks_result ks_spiffe_parse(ks_bytes text, struct ks_spiffe *ret_spiffe)
{
    ks_bytes start = KS_LITERAL(START);
    if (text.len > KS_SPIFFE_LEN_MAX || !ks_bytes_starts_with(text, start)) {
        return KS_RES(VALIDATION);
    }
    ks_bytes path = {text.ptr + start.len, text.len - start.len};
    for (int kind = 0; kind < KS_SPIFFE_KIND_COUNT; kind++) {
        if (read_form((enum ks_spiffe_kind)kind, path, ret_spiffe)) {
            return KS_RES(OK);
        }
    }
    return KS_RES(VALIDATION);
}

static ks_result put(struct ks_buffer *text, const struct segment *segment,
                     const struct ks_spiffe *spiffe)
{
    KS_TRY(ks_buffer_append(text, KS_LITERAL("/")));
    const char *part = segment->word ? segment->word : (const char *)spiffe + segment->slot->offset;
    if (segment->slot && !segment->slot->is_valid(ks_bytes_of(part))) {
        return KS_RES(VALIDATION);
    }
    return ks_buffer_append(text, ks_bytes_of(part));
}

ks_result ks_spiffe_format(const struct ks_spiffe *spiffe, char *ret_text)
{
    assert((unsigned)spiffe->kind < KS_SPIFFE_KIND_COUNT);

    if (!zone_fits(spiffe)) {
        return KS_RES(VALIDATION);
    }
    const struct form *form = &forms[spiffe->kind];
    KS_BUFFER_AUTO text = {.len_max = KS_SPIFFE_LEN_MAX};
    KS_TRY(ks_buffer_append(&text, KS_LITERAL(START)));
    for (size_t i = 0; i < form->segment_count; i++) {
        KS_TRY(put(&text, &form->segments[i], spiffe));
    }
    memcpy(ret_text, text.ptr, text.len);
    ret_text[text.len] = 0;
    return KS_RES(OK);
}
