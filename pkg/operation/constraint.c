#include "pkg/operation/constraint.h"

#include <stdio.h>

#include "pkg/codec/codec.h"
#include "pkg/codec/utf8.h"

#define FAILED   "failed to satisfy constraint: Member must"
#define PATH_LEN 48U

int ks_shown_len(ks_bytes value)
{
    if (!value.ptr || value.len <= KS_SHOWN_LEN_MAX) {
        return (int)value.len;
    }
    size_t len = KS_SHOWN_LEN_MAX;
    while (len > 0 && (value.ptr[len] & 0xc0) == 0x80) {
        len--;
    }
    return (int)len;
}

/* What a sentence is about. */
struct place {
    const struct ks_member *member;
    const char *path; /* "keyId", "grantTokens.1.member" */
    ks_bytes shown;   /* the value, where it may be repeated; else ptr is NULL */
};

static void violate_length(const struct place *place, const char *comparison, int32_t bound,
                           struct ks_refusal *refusal)
{
    const char *quote = place->shown.ptr ? "'" : "";
    ks_refusal_violate(refusal, place->member->name,
                       "Value%s%s%.*s%s at '%s' " FAILED " have length %s than or equal to %d",
                       place->shown.ptr ? " " : "", quote, ks_shown_len(place->shown),
                       place->shown.ptr ? (const char *)place->shown.ptr : "", quote, place->path,
                       comparison, bound);
}

static void keep_length(const struct place *place, size_t len, int32_t min, int32_t max,
                        struct ks_refusal *refusal)
{
    if (max > 0 && len > (size_t)max) {
        violate_length(place, "less", max, refusal);
    } else if (len < (size_t)min) {
        violate_length(place, "greater", min, refusal);
    }
}

static bool is_of(ks_charset set, ks_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c >= 128 || !(set.bits[c / 64] >> (c % 64) & 1)) {
            return false;
        }
    }
    return true;
}

static ks_bytes shown(const struct ks_member *member, ks_bytes value)
{
    static const uint8_t nothing[1];
    if (member->secret) {
        return (ks_bytes){NULL, 0};
    }
    return value.ptr ? value : (ks_bytes){nothing, 0};
}

static void keep_text(const struct ks_member *member, const struct ks_wire_field *field,
                      size_t number, struct ks_refusal *refusal)
{
    (void)number;
    struct place place = {member, member->name, shown(member, field->bytes)};
    keep_length(&place, ks_utf8_count(field->bytes), member->min, member->max, refusal);
    if (member->pattern && field->bytes.len > 0 && !is_of(member->charset, field->bytes)) {
        ks_refusal_violate(refusal, member->name,
                           "Value '%.*s' at '%s' " FAILED " satisfy regular expression pattern: %s",
                           ks_shown_len(field->bytes), (const char *)field->bytes.ptr, place.path,
                           member->pattern);
    }
}

static void keep_bytes(const struct ks_member *member, const struct ks_wire_field *field,
                       size_t number, struct ks_refusal *refusal)
{
    (void)number;
    struct place place = {member, member->name, {NULL, 0}};
    keep_length(&place, field->bytes.len, member->min, member->max, refusal);
}

static void keep_number(const struct ks_member *member, const struct ks_wire_field *field,
                        size_t number, struct ks_refusal *refusal)
{
    (void)number;
    int32_t value = (int32_t)(uint32_t)field->value;
    if (member->text || (value >= member->min && value <= member->max)) {
        return; /* check.c answers for a range that has a text of its own */
    }
    bool low = value < member->min;
    ks_refusal_violate(refusal, member->name,
                       "Value '%d' at '%s' " FAILED " have value %s than or equal to %d", value,
                       member->name, low ? "greater" : "less", low ? member->min : member->max);
}

static void keep_enum(const struct ks_member *member, const struct ks_wire_field *field,
                      size_t number, struct ks_refusal *refusal)
{
    (void)number;
    int32_t value = (int32_t)(uint32_t)field->value;
    if (value < 0 || value > member->value_max) {
        ks_refusal_violate(refusal, member->name,
                           "Value '%d' at '%s' " FAILED " satisfy enum value set: [%s]", value,
                           member->name, member->values);
    }
}

static void keep_enum_element(const struct ks_member *member, const struct ks_wire_field *field,
                              size_t number, struct ks_refusal *refusal)
{
    int32_t value = (int32_t)(uint32_t)field->value;
    if (value < 1 || value > member->value_max) {
        ks_refusal_violate(refusal, member->name,
                           "Value '%d' at '%s.%zu.member' " FAILED " satisfy enum value set: [%s]",
                           value, member->name, number, member->values);
    }
}

static void keep_element(const struct ks_member *member, const struct ks_wire_field *field,
                         size_t number, struct ks_refusal *refusal)
{
    char path[PATH_LEN];
    (void)snprintf(path, sizeof(path), "%s.%zu.member", member->name, number);
    struct place place = {member, path, shown(member, field->bytes)};
    keep_length(&place, ks_utf8_count(field->bytes), member->element_min, member->element_max,
                refusal);
}

/* The two texts of a tag. */
static void keep_tag(const struct ks_member *member, const struct ks_wire_field *field,
                     size_t number, struct ks_refusal *refusal)
{
    size_t counts[KS_TAG_MEMBER_COUNT] = {0};
    char paths[KS_TAG_MEMBER_COUNT][PATH_LEN];
    for (size_t i = 0; i < KS_TAG_MEMBER_COUNT; i++) {
        (void)snprintf(paths[i], sizeof(paths[i]), "%s.%zu.member.%s", member->name, number,
                       ks_tag_members[i].name);
    }
    ks_bytes rest = field->bytes;
    struct ks_wire_field part;
    /* What has more fields than this is refused by the scan, which looks within it later. */
    for (size_t seen = 0; seen < KS_CODEC_UNKNOWN_COUNT && rest.len > 0; seen++) {
        if (ks_failed(ks_wire_next(&rest, &part))) {
            break;
        }
        for (size_t i = 0; i < KS_TAG_MEMBER_COUNT; i++) {
            const struct ks_member *text = &ks_tag_members[i];
            if (part.number == text->field) {
                struct place place = {member, paths[i], shown(text, part.bytes)};
                keep_length(&place, ks_utf8_count(part.bytes), text->min, text->max, refusal);
                counts[i]++;
            }
        }
    }
    for (size_t i = 0; i < KS_TAG_MEMBER_COUNT; i++) {
        if (ks_tag_members[i].required && counts[i] == 0) {
            ks_refusal_violate(refusal, member->name, "Value null at '%s' " FAILED " not be null",
                               paths[i]);
        }
    }
}

typedef void (*keep_fn)(const struct ks_member *member, const struct ks_wire_field *field,
                        size_t number, struct ks_refusal *refusal);

/* NULL: one occurrence says nothing by itself. */
static const keep_fn keepers[] = {
    [KS_MEMBER_FLAG] = NULL,          [KS_MEMBER_TEXT] = keep_text,
    [KS_MEMBER_BYTES] = keep_bytes,   [KS_MEMBER_NUMBER] = keep_number,
    [KS_MEMBER_ENUM] = keep_enum,     [KS_MEMBER_ENUMS] = keep_enum_element,
    [KS_MEMBER_TEXTS] = keep_element, [KS_MEMBER_TAGS] = keep_tag,
    [KS_MEMBER_CONTEXT] = NULL,       [KS_MEMBER_ENTRIES] = NULL,
};

void ks_constraint_value(const struct ks_member *member, const struct ks_wire_field *field,
                         size_t number, struct ks_refusal *refusal)
{
    if (keepers[member->type]) {
        keepers[member->type](member, field, number, refusal);
    }
}

void ks_constraint_whole(const struct ks_member *member, size_t count, struct ks_refusal *refusal)
{
    if (member->required && count == 0) {
        ks_refusal_violate(refusal, member->name, "Value null at '%s' " FAILED " not be null",
                           member->name);
        return;
    }
    bool list = member->type == KS_MEMBER_ENUMS || member->type == KS_MEMBER_TEXTS ||
                member->type == KS_MEMBER_ENTRIES;
    if (list && !member->text && count > 0) {
        struct place place = {member, member->name, {NULL, 0}};
        keep_length(&place, count, member->min, member->max, refusal);
    }
}
