#include "services/cli/output/shown.h"

#include <string.h>

#include "keystead/admin/v1/admin.pb-c.h" /* and with it protobuf-c's types */
#include "pkg/message/value.h"

const ProtobufCMessage *ks_shown_message(const ProtobufCMessage *response)
{
    static const char package[] = "keystead.admin.v1";
    const ProtobufCMessageDescriptor *type = response->descriptor;
    if (strcmp(type->package_name, package) != 0 || type->n_fields != 1) {
        return response;
    }
    const ProtobufCFieldDescriptor *field = &type->fields[0];
    if (field->type != PROTOBUF_C_TYPE_MESSAGE || field->label == PROTOBUF_C_LABEL_REPEATED) {
        return response;
    }
    const ProtobufCMessage *inner = ks_value_message(ks_value_at(response, field, 0));
    return inner ? inner : response;
}
