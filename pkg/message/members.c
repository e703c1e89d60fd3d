#include "pkg/message/members.h"

#include <assert.h>

#include "google/protobuf/timestamp.pb-c.h"
#include "pkg/message/names.h"
#include "pkg/message/value.h"

/* Bytes of the longest scalar as text; strings and bytes are written straight from the message. */
#define SCALAR_LEN_MAX 64U

/* One message that is being written, and how far. Messages within messages have a frame each. */
struct frame {
    const ProtobufCMessage *message;
    unsigned field; /* the next one */
    size_t index;   /* of the next element, in a repeated field that is open */
    bool in_list;
    bool closes; /* whether an object was opened for it, which is closed after its last field */
};

static void put_scalar(struct ks_json_writer *writer, const char *name,
                       const ProtobufCFieldDescriptor *field, const void *value)
{
    KS_BUFFER_AUTO text = {.len_max = SCALAR_LEN_MAX};
    ks_result r = ks_value_append(field, value, &text);
    assert(!ks_failed(r));
    ks_json_put_text(writer, name, ks_buffer_bytes(&text));
}

/* Writes a value that is not a message; a time counts as a value. */
static void put_value(struct ks_json_writer *writer, const char *name,
                      const ProtobufCFieldDescriptor *field, const void *value)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        ks_json_put_string(writer, name, *(const char *const *)value);
        break;
    case PROTOBUF_C_TYPE_BYTES: {
        const ProtobufCBinaryData *bytes = value;
        ks_json_put_base64(writer, name, (ks_bytes){bytes->data, bytes->len});
        break;
    }
    case PROTOBUF_C_TYPE_BOOL:
        ks_json_put_bool(writer, name, *(const protobuf_c_boolean *)value);
        break;
    case PROTOBUF_C_TYPE_INT32:
        ks_json_put_int64(writer, name, *(const int32_t *)value);
        break;
    case PROTOBUF_C_TYPE_UINT32:
        ks_json_put_int64(writer, name, *(const uint32_t *)value);
        break;
    case PROTOBUF_C_TYPE_INT64:
        ks_json_put_int64(writer, name, *(const int64_t *)value);
        break;
    case PROTOBUF_C_TYPE_UINT64:
        ks_json_put_int64(writer, name, (int64_t) * (const uint64_t *)value);
        break;
    default:
        put_scalar(writer, name, field, value);
        break;
    }
}

static bool is_nested(const ProtobufCFieldDescriptor *field)
{
    return field->type == PROTOBUF_C_TYPE_MESSAGE && !ks_value_is_time(field);
}

/*
 * Takes one step in the innermost frame: writes a value, or opens or closes an array. Returns the
 * message to descend into when the next value is one, whose object is then open; else NULL.
 */
static const ProtobufCMessage *step(struct ks_json_writer *writer, struct frame *frame)
{
    const ProtobufCMessage *message = frame->message;
    const ProtobufCFieldDescriptor *field = &message->descriptor->fields[frame->field];
    const char *name = ks_member_name_of(message->descriptor->name, field->name);
    bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
    if (!frame->in_list && ks_value_is_absent(message, field)) {
        frame->field++;
        return NULL;
    }
    if (repeated && !frame->in_list) {
        ks_json_array(writer, name);
        frame->in_list = true;
        frame->index = 0;
        return NULL;
    }
    if (repeated && frame->index == ks_value_count(message, field)) {
        ks_json_close(writer);
        frame->in_list = false;
        frame->field++;
        return NULL;
    }
    const void *value = ks_value_at(message, field, repeated ? frame->index++ : 0);
    frame->field += repeated ? 0 : 1;
    if (is_nested(field)) {
        ks_json_object(writer, repeated ? NULL : name);
        return ks_value_message(value);
    }
    put_value(writer, repeated ? NULL : name, field, value);
    return NULL;
}

void ks_members_write(struct ks_json_writer *writer, const ProtobufCMessage *message)
{
    struct frame frames[KS_MEMBERS_DEPTH_MAX] = {{.message = message}};
    size_t depth = 1;
    while (depth > 0) {
        struct frame *frame = &frames[depth - 1];
        if (frame->field == frame->message->descriptor->n_fields) {
            if (frame->closes) {
                ks_json_close(writer);
            }
            depth--;
            continue;
        }
        const ProtobufCMessage *inner = step(writer, frame);
        if (inner) {
            assert(depth < KS_MEMBERS_DEPTH_MAX);
            frames[depth++] = (struct frame){.message = inner, .closes = true};
        }
    }
}
