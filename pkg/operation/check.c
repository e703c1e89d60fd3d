#include "pkg/operation/check.h"

#include <assert.h>
#include <string.h>

#include "keystead/kms/v1/types.pb-c.h"
#include "pkg/codec/codec.h"
#include "pkg/codec/wire.h"
#include "pkg/operation/constraint.h"
#include "pkg/operation/lists.h"
#include "pkg/operation/naming.h"

_Static_assert(KS_OPERATION_LEN_MAX <= KS_REQUEST_LEN_MAX,
               "a request that keeps all its limits is not too long");

/* One request that is being looked at. */
struct pass {
    const struct ks_operation *operation;
    struct ks_checked *checked;
    struct ks_refusal *refusal;
    size_t counts[KS_OPERATION_MEMBERS_MAX]; /* how often each member stood */
};

bool ks_checked_has(const struct ks_checked *checked, uint8_t index)
{
    return index != KS_MEMBER_NONE && (checked->present >> index & 1);
}

static bool is_list(const struct ks_member *member)
{
    return member->type == KS_MEMBER_ENUMS || member->type == KS_MEMBER_TEXTS ||
           member->type == KS_MEMBER_TAGS || member->type == KS_MEMBER_CONTEXT;
}

/*
 * The number that whoever unpacks the message reads: protobuf-c reads a bool from all bits of its
 * varint, and takes the low 32 bits of any other number.
 */
static int32_t number_of(const struct ks_member *member, const struct ks_wire_field *field)
{
    return member->type == KS_MEMBER_FLAG ? field->value != 0 : (int32_t)(uint32_t)field->value;
}

/* The value of a single member, or the run of fields from a list's first element to its last. */
static void keep_value(struct pass *pass, size_t index, const struct ks_wire_field *field,
                       ks_bytes raw)
{
    ks_bytes *value = &pass->checked->values[index];
    const struct ks_member *member = &pass->operation->members[index];
    pass->checked->numbers[index] = number_of(member, field);
    if (!is_list(member)) {
        *value = field->bytes;
    } else if (!value->ptr) {
        *value = raw;
    } else {
        value->len = (size_t)(raw.ptr + raw.len - value->ptr);
    }
}

/* One occurrence of a list of enum values: a value, or several that are packed. */
static void visit_enums(struct pass *pass, size_t index, const struct ks_wire_field *field)
{
    const struct ks_member *member = &pass->operation->members[index];
    struct ks_wire_field element = *field;
    ks_bytes packed = field->bytes;
    bool more = field->type == KS_WIRE_VARINT || packed.len > 0;
    while (more) {
        if (field->type == KS_WIRE_BYTES && ks_failed(ks_wire_varint(&packed, &element.value))) {
            return; /* never: the scan has read it */
        }
        pass->counts[index]++;
        pass->checked->present |= 1ULL << index;
        ks_constraint_value(member, &element, pass->counts[index], pass->refusal);
        more = packed.len > 0;
    }
}

static void visit(void *user, const struct ks_wire_field *field, ks_bytes raw)
{
    struct pass *pass = user;
    const struct ks_member *member = ks_operation_member(pass->operation, field->number);
    /* Readers of an enum take the low 32 bits of what stands on the wire. */
    if (!member || (member->type == KS_MEMBER_ENUM && (uint32_t)field->value == 0)) {
        return;
    }
    size_t index = (size_t)(member - pass->operation->members);
    keep_value(pass, index, field, raw);
    if (member->type == KS_MEMBER_ENUMS) {
        visit_enums(pass, index, field);
        return;
    }
    pass->counts[index]++;
    pass->checked->present |= 1ULL << index;
    ks_constraint_value(member, field, pass->counts[index], pass->refusal);
}

static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessageDescriptor *type,
                                                const char *name)
{
    return protobuf_c_message_descriptor_get_field_by_name(type, name);
}

/* What texts call a field of the request, or of a tag in it. */
static const char *name_of(const struct ks_operation *operation, const char *proto_name)
{
    const ProtobufCFieldDescriptor *field = field_of(operation->request, proto_name);
    const struct ks_member *member = field ? ks_operation_member(operation, field->id) : NULL;
    if (member) {
        return member->name;
    }
    field = field_of(&keystead__kms__v1__tag__descriptor, proto_name);
    for (size_t i = 0; field && i < KS_TAG_MEMBER_COUNT; i++) {
        if (ks_tag_members[i].field == field->id) {
            return ks_tag_members[i].name;
        }
    }
    return proto_name; /* "key" and "value" of a map */
}

static ks_result refuse_wire(struct pass *pass, const struct ks_codec_fault *fault)
{
    if (!fault->field[0]) {
        return ks_refusal_set(pass->refusal, KS_VALIDATION, "%s", fault->what);
    }
    const char *name = name_of(pass->operation, fault->field);
    return ks_refusal_blame(pass->refusal, KS_VALIDATION, name, "%s %s", name, fault->what);
}

/* Fields that keep no limit are counted, too: what is too many must get that far to be told. */
static ks_result scan(struct pass *pass, ks_bytes message)
{
    struct ks_codec_limits limits = {.field_count_max =
                                         pass->operation->fields_max + KS_CODEC_FIELD_COUNT};
    struct ks_codec_fault fault = {"", ""};
    ks_result read = ks_codec_scan(pass->operation->request, message, &limits, visit, pass, &fault);
    return ks_failed(read) ? refuse_wire(pass, &fault) : KS_RES(OK);
}

static ks_result check_constraints(struct pass *pass)
{
    const struct ks_operation *operation = pass->operation;
    for (size_t i = 0; i < operation->member_count; i++) {
        ks_constraint_whole(&operation->members[i], pass->counts[i], pass->refusal);
    }
    return ks_refusal_conclude(pass->refusal);
}

static ks_result check_choices(struct pass *pass)
{
    const struct ks_operation *operation = pass->operation;
    for (size_t i = 0; i < operation->choice_count; i++) {
        const struct ks_choice *choice = &operation->choices[i];
        uint64_t there = pass->checked->present & choice->members;
        bool one = there != 0 && (there & (there - 1)) == 0;
        if (!one) {
            return ks_refusal_blame(pass->refusal, KS_VALIDATION,
                                    operation->members[choice->first].name, "%s", choice->text);
        }
    }
    return KS_RES(OK);
}

/* A number of elements that has a text of its own. */
static ks_result check_count(struct pass *pass, size_t index)
{
    const struct ks_member *member = &pass->operation->members[index];
    if (member->text && pass->counts[index] > (size_t)member->max) {
        return ks_refusal_blame(pass->refusal, member->text_code, member->name, "%s", member->text);
    }
    return KS_RES(OK);
}

/* A range that has a text of its own. */
static ks_result check_range(struct pass *pass, size_t index)
{
    const struct ks_member *member = &pass->operation->members[index];
    int32_t value = pass->checked->numbers[index];
    if (value < member->min || value > member->max) {
        return ks_refusal_blame(pass->refusal, member->text_code, member->name, "%s", member->text);
    }
    return KS_RES(OK);
}

/* What the member that is there means as a whole. */
static ks_result check_list(struct pass *pass, size_t index)
{
    const struct ks_member *member = &pass->operation->members[index];
    ks_bytes run = pass->checked->values[index];
    switch (member->type) {
    case KS_MEMBER_TAGS:
        return ks_lists_check_tags(member, run, pass->refusal);
    case KS_MEMBER_CONTEXT:
        return ks_lists_check_context(member, run, pass->refusal);
    case KS_MEMBER_ENUMS:
    case KS_MEMBER_TEXTS:
        return check_count(pass, index);
    case KS_MEMBER_NUMBER:
        return member->text ? check_range(pass, index) : KS_RES(OK);
    default:
        return KS_RES(OK);
    }
}

static ks_result check_lists(struct pass *pass)
{
    for (size_t i = 0; i < pass->operation->member_count; i++) {
        if (pass->counts[i] == 0) {
            continue;
        }
        KS_TRY(check_list(pass, i));
    }
    return KS_RES(OK);
}

static ks_result check_len(struct pass *pass, ks_bytes message)
{
    return message.len <= KS_REQUEST_LEN_MAX
               ? KS_RES(OK)
               : ks_refusal_set(pass->refusal, KS_VALIDATION,
                                "The request has %zu bytes; it must have at most %u.", message.len,
                                KS_REQUEST_LEN_MAX);
}

ks_result ks_operation_check(const struct ks_operation *operation, const struct ks_home *home,
                             const char *account, ks_bytes message, struct ks_checked *ret_checked,
                             struct ks_refusal *refusal)
{
    assert(!operation->entry);
    assert(refusal->code == KS_OK);

    *ret_checked = (struct ks_checked){0};
    struct pass pass = {.operation = operation, .checked = ret_checked, .refusal = refusal};
    KS_TRY(scan(&pass, message));
    KS_TRY(check_constraints(&pass));
    KS_TRY(check_len(&pass, message));
    KS_TRY(check_choices(&pass));
    KS_TRY(check_lists(&pass));
    if (operation->request_id != KS_MEMBER_NONE) {
        ret_checked->request_id = ret_checked->values[operation->request_id];
    }
    const struct ks_naming_scene scene = {operation, home, account};
    return ks_naming_find(&scene, ret_checked, refusal);
}

ks_result ks_operation_entries(const struct ks_operation *operation, ks_bytes message,
                               ks_bytes *ret_entries, size_t *ret_count, struct ks_refusal *refusal)
{
    assert(operation->entry);

    const struct ks_member *entries = &operation->members[0];
    size_t count = 0;
    size_t unknown = 0;
    while (message.len > 0) {
        struct ks_wire_field field;
        if (ks_failed(ks_wire_next(&message, &field)) || unknown > KS_CODEC_UNKNOWN_COUNT) {
            return ks_refusal_set(refusal, KS_VALIDATION, "The message is malformed.");
        }
        if (field.number != entries->field || field.type != KS_WIRE_BYTES) {
            unknown++;
            continue;
        }
        if (count < (size_t)entries->max) {
            ret_entries[count] = field.bytes;
        }
        count++;
    }
    ks_constraint_whole(entries, count, refusal);
    KS_TRY(ks_refusal_conclude(refusal));
    *ret_count = count;
    return KS_RES(OK);
}
