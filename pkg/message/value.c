#include "pkg/message/value.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "google/protobuf/timestamp.pb-c.h"
#include "pkg/json/base64.h"
#include "pkg/message/names.h"

#define EXTENSIONS_FROM 100U
#define NS_PER_MS       1000000

void ks_time_text(int64_t seconds, int32_t nanos, char ret_text[static KS_TIME_TEXT_LEN])
{
    struct tm parts;
    time_t time = (time_t)seconds;
    ret_text[0] = '\0';
    if (nanos < 0 || nanos >= 1000 * NS_PER_MS || !gmtime_r(&time, &parts)) {
        return;
    }
    char whole[KS_TIME_TEXT_LEN - 8];
    if (strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &parts) > 0) {
        snprintf(ret_text, KS_TIME_TEXT_LEN, "%s.%03dZ", whole, nanos / NS_PER_MS);
    }
}

static const void *place_of(const ProtobufCMessage *message, size_t offset)
{
    return (const char *)message + offset;
}

size_t ks_value_count(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return field->label == PROTOBUF_C_LABEL_REPEATED
               ? *(const size_t *)place_of(message, field->quantifier_offset)
               : 1;
}

/* Bytes that an element takes in memory. */
static size_t element_len(const ProtobufCFieldDescriptor *field)
{
    static const size_t lens[] = {
        [PROTOBUF_C_TYPE_INT32] = sizeof(int32_t),
        [PROTOBUF_C_TYPE_SINT32] = sizeof(int32_t),
        [PROTOBUF_C_TYPE_SFIXED32] = sizeof(int32_t),
        [PROTOBUF_C_TYPE_INT64] = sizeof(int64_t),
        [PROTOBUF_C_TYPE_SINT64] = sizeof(int64_t),
        [PROTOBUF_C_TYPE_SFIXED64] = sizeof(int64_t),
        [PROTOBUF_C_TYPE_UINT32] = sizeof(uint32_t),
        [PROTOBUF_C_TYPE_FIXED32] = sizeof(uint32_t),
        [PROTOBUF_C_TYPE_UINT64] = sizeof(uint64_t),
        [PROTOBUF_C_TYPE_FIXED64] = sizeof(uint64_t),
        [PROTOBUF_C_TYPE_FLOAT] = sizeof(float),
        [PROTOBUF_C_TYPE_DOUBLE] = sizeof(double),
        [PROTOBUF_C_TYPE_BOOL] = sizeof(protobuf_c_boolean),
        [PROTOBUF_C_TYPE_ENUM] = sizeof(int),
        [PROTOBUF_C_TYPE_STRING] = sizeof(char *),
        [PROTOBUF_C_TYPE_BYTES] = sizeof(ProtobufCBinaryData),
        [PROTOBUF_C_TYPE_MESSAGE] = sizeof(ProtobufCMessage *),
    };
    assert((size_t)field->type < KS_COUNT(lens));

    return lens[field->type];
}

const void *ks_value_at(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                        size_t index)
{
    assert(index < ks_value_count(message, field));

    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        return place_of(message, field->offset);
    }
    const char *elements = *(const char *const *)place_of(message, field->offset);
    return elements + index * element_len(field);
}

static bool is_unset_choice(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
           *(const uint32_t *)place_of(message, field->quantifier_offset) != field->id;
}

static bool is_zero(const ProtobufCFieldDescriptor *field, const void *value)
{
    const uint8_t *bytes = value;
    for (size_t i = 0; i < element_len(field); i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

bool ks_value_is_absent(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return field->id >= EXTENSIONS_FROM && ks_value_count(message, field) == 0;
    }
    if (is_unset_choice(message, field)) {
        return true;
    }
    bool says_presence = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
    if (says_presence && field->type != PROTOBUF_C_TYPE_MESSAGE) {
        return false; /* "" is a value there: that of a tag */
    }
    const void *value = ks_value_at(message, field, 0);
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = *(const char *const *)value;
        return !text || text[0] == '\0';
    }
    case PROTOBUF_C_TYPE_BYTES:
        return ((const ProtobufCBinaryData *)value)->len == 0;
    case PROTOBUF_C_TYPE_MESSAGE:
        return !ks_value_message(value);
    case PROTOBUF_C_TYPE_ENUM:
        return *(const int *)value == 0;
    default:
        return field->id >= EXTENSIONS_FROM && is_zero(field, value);
    }
}

const ProtobufCMessage *ks_value_message(const void *value)
{
    return *(const ProtobufCMessage *const *)value;
}

bool ks_value_is_time(const ProtobufCFieldDescriptor *field)
{
    return field->type == PROTOBUF_C_TYPE_MESSAGE &&
           field->descriptor == &google__protobuf__timestamp__descriptor;
}

static ks_result append_text(struct ks_buffer *out, const char *text)
{
    return ks_buffer_append(out, ks_bytes_of(text));
}

static ks_result append_enum(struct ks_buffer *out, const ProtobufCFieldDescriptor *field,
                             int number)
{
    const ProtobufCEnumDescriptor *type = field->descriptor;
    const char *name = ks_value_name_of(type->name, number);
    char digits[16];
    snprintf(digits, sizeof(digits), "%d", number);
    return append_text(out, name ? name : digits);
}

static ks_result append_time(struct ks_buffer *out, const ProtobufCMessage *message)
{
    const Google__Protobuf__Timestamp *time = (const Google__Protobuf__Timestamp *)message;
    char text[KS_TIME_TEXT_LEN] = "";
    if (time) {
        ks_time_text(time->seconds, time->nanos, text);
    }
    return append_text(out, text);
}

ks_result ks_value_append(const ProtobufCFieldDescriptor *field, const void *value,
                          struct ks_buffer *out)
{
    char digits[24] = "";
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return append_text(out, *(const char *const *)value);
    case PROTOBUF_C_TYPE_BYTES: {
        const ProtobufCBinaryData *bytes = value;
        return ks_base64_append(out, (ks_bytes){bytes->data, bytes->len});
    }
    case PROTOBUF_C_TYPE_ENUM:
        return append_enum(out, field, *(const int *)value);
    case PROTOBUF_C_TYPE_BOOL:
        return append_text(out, *(const protobuf_c_boolean *)value ? "true" : "false");
    case PROTOBUF_C_TYPE_INT32:
        snprintf(digits, sizeof(digits), "%" PRId32, *(const int32_t *)value);
        return append_text(out, digits);
    case PROTOBUF_C_TYPE_INT64:
        snprintf(digits, sizeof(digits), "%" PRId64, *(const int64_t *)value);
        return append_text(out, digits);
    case PROTOBUF_C_TYPE_UINT32:
        snprintf(digits, sizeof(digits), "%" PRIu32, *(const uint32_t *)value);
        return append_text(out, digits);
    case PROTOBUF_C_TYPE_UINT64:
        snprintf(digits, sizeof(digits), "%" PRIu64, *(const uint64_t *)value);
        return append_text(out, digits);
    default:
        return ks_value_is_time(field) ? append_time(out, ks_value_message(value)) : KS_RES(OK);
    }
}
