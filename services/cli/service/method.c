#include "services/cli/service/method.h"

#include <assert.h>
#include <stdio.h>

#include "google/protobuf/timestamp.pb-c.h"
#include "pkg/operation/operation.h"

struct ks_signature ks_method_signature(const struct ks_method *method)
{
    if (method->operation == 0) {
        return method->admin;
    }
    const struct ks_operation *operation = ks_operation_of(method->operation);
    assert(operation);

    return (struct ks_signature){.path = operation->path,
                                 .request = operation->request,
                                 .response = operation->response,
                                 .door = KS_DOOR_FRONTEND};
}

const struct ks_member *ks_method_member(const struct ks_method *method, const char *field)
{
    const struct ks_operation *operation = ks_operation_of(method->operation);
    const ProtobufCFieldDescriptor *described =
        operation ? protobuf_c_message_descriptor_get_field_by_name(operation->request, field)
                  : NULL;
    return described ? ks_operation_member(operation, described->id) : NULL;
}

void ks_method_limits(const struct ks_command *command, const struct ks_option *option,
                      char ret_text[static KS_LIMITS_LEN])
{
    const struct ks_member *member =
        command->method && option->field ? ks_method_member(command->method, option->field) : NULL;
    ret_text[0] = '\0';
    if (member && member->type == KS_MEMBER_NUMBER && member->max > 0) {
        snprintf(ret_text, KS_LIMITS_LEN, "%d to %d", (int)member->min, (int)member->max);
    }
    if (member && (member->type == KS_MEMBER_ENUM || member->type == KS_MEMBER_ENUMS)) {
        snprintf(ret_text, KS_LIMITS_LEN, "%s", member->values);
    }
}
