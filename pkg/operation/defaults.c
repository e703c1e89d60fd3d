#include "pkg/operation/defaults.h"

#include <assert.h>
#include <stdlib.h>

#include "keystead/kms/v1/kms.pb-c.h"

/* Where a message has the number of the member that is set in a oneof. */
static uint32_t *oneof_case(const ProtobufCFieldDescriptor *field, ProtobufCMessage *message)
{
    return (uint32_t *)(void *)((char *)message + field->quantifier_offset);
}

static bool is_default(const struct ks_member *member, int32_t value)
{
    if (member->type == KS_MEMBER_ENUM) {
        return value != 0 &&
               ks_bytes_equal(ks_member_value_name(member, value), ks_bytes_of(member->if_absent));
    }
    return value == strtol(member->if_absent, NULL, 10);
}

static void omit(const struct ks_member *member, const ProtobufCFieldDescriptor *field,
                 ProtobufCMessage *message)
{
    /* protoc-c has an int32 and an enum alike; generate.py gives other types no default. */
    int32_t *value = (int32_t *)(void *)((char *)message + field->offset);
    bool in_oneof = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
    if (in_oneof && *oneof_case(field, message) != field->id) {
        return;
    }
    if (!is_default(member, *value)) {
        return;
    }
    *value = 0;
    if (in_oneof) {
        *oneof_case(field, message) = 0;
    }
}

void ks_operation_omit_defaults(const struct ks_operation *operation,
                                struct ProtobufCMessage *message)
{
    assert(message->descriptor == operation->request);

    for (size_t i = 0; i < operation->member_count; i++) {
        const struct ks_member *member = &operation->members[i];
        if (member->if_absent) {
            omit(member, protobuf_c_message_descriptor_get_field(operation->request, member->field),
                 message);
        }
    }
}
