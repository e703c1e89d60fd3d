#include "pkg/codec/codec.h"

#include <assert.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "pkg/codec/utf8.h"
#include "pkg/codec/wire.h"

/* One message that is being looked at. */
struct frame {
    const ProtobufCMessageDescriptor *type;
    ks_bytes rest;
    uint64_t seen; /* a bit for each field of type that stood already and may not again */
};

struct checker {
    struct frame frames[KS_CODEC_DEPTH_MAX];
    size_t depth; /* frames in use */
    size_t field_count;
    size_t unknown_count;
    struct ks_codec_limits limits;
    ks_codec_visit_fn visit; /* NULL: nobody wants to know */
    void *user;
    struct ks_codec_fault fault;
};

static const enum ks_wire_type wire_types[] = {
    [PROTOBUF_C_TYPE_INT32] = KS_WIRE_VARINT,     [PROTOBUF_C_TYPE_SINT32] = KS_WIRE_VARINT,
    [PROTOBUF_C_TYPE_SFIXED32] = KS_WIRE_FIXED32, [PROTOBUF_C_TYPE_INT64] = KS_WIRE_VARINT,
    [PROTOBUF_C_TYPE_SINT64] = KS_WIRE_VARINT,    [PROTOBUF_C_TYPE_SFIXED64] = KS_WIRE_FIXED64,
    [PROTOBUF_C_TYPE_UINT32] = KS_WIRE_VARINT,    [PROTOBUF_C_TYPE_FIXED32] = KS_WIRE_FIXED32,
    [PROTOBUF_C_TYPE_UINT64] = KS_WIRE_VARINT,    [PROTOBUF_C_TYPE_FIXED64] = KS_WIRE_FIXED64,
    [PROTOBUF_C_TYPE_FLOAT] = KS_WIRE_FIXED32,    [PROTOBUF_C_TYPE_DOUBLE] = KS_WIRE_FIXED64,
    [PROTOBUF_C_TYPE_BOOL] = KS_WIRE_VARINT,      [PROTOBUF_C_TYPE_ENUM] = KS_WIRE_VARINT,
    [PROTOBUF_C_TYPE_STRING] = KS_WIRE_BYTES,     [PROTOBUF_C_TYPE_BYTES] = KS_WIRE_BYTES,
    [PROTOBUF_C_TYPE_MESSAGE] = KS_WIRE_BYTES,
};

static size_t or_default(size_t value, size_t fallback)
{
    return value > 0 ? value : fallback;
}

static ks_result refuse(struct checker *checker, const char *field, const char *what)
{
    checker->fault = (struct ks_codec_fault){field, what};
    return KS_RES(VALIDATION);
}

static ks_result enter(struct checker *checker, const ProtobufCMessageDescriptor *type,
                       ks_bytes message, const char *field)
{
    assert(type->n_fields <= KS_CODEC_FIELDS_MAX);

    if (checker->depth == checker->limits.depth_max) {
        return refuse(checker, field, "is nested too deeply");
    }
    checker->frames[checker->depth++] = (struct frame){.type = type, .rest = message};
    return KS_RES(OK);
}

/* Returns whether the message had another member of the field's oneof before. */
static bool oneof_is_taken(const struct frame *frame, const ProtobufCFieldDescriptor *field)
{
    if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)) {
        return false;
    }
    for (unsigned i = 0; i < frame->type->n_fields; i++) {
        const ProtobufCFieldDescriptor *other = &frame->type->fields[i];
        bool same = (other->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
                    other->quantifier_offset == field->quantifier_offset;
        if (same && (frame->seen >> i & 1)) {
            return true;
        }
    }
    return false;
}

static ks_result check_once(struct checker *checker, struct frame *frame,
                            const ProtobufCFieldDescriptor *field)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return KS_RES(OK);
    }
    uint64_t bit = 1ULL << (field - frame->type->fields);
    if (frame->seen & bit) {
        return refuse(checker, field->name, "stands more than once");
    }
    if (oneof_is_taken(frame, field)) {
        return refuse(checker, field->name, "excludes another field that is there");
    }
    frame->seen |= bit;
    return KS_RES(OK);
}

/* A repeated number may be packed: its values follow one another without tags. */
static ks_result check_packed(struct checker *checker, const ProtobufCFieldDescriptor *field,
                              ks_bytes values)
{
    enum ks_wire_type type = wire_types[field->type];
    if (type != KS_WIRE_VARINT) {
        size_t len = type == KS_WIRE_FIXED32 ? 4 : 8;
        checker->field_count += values.len / len;
        return values.len % len == 0 ? KS_RES(OK) : refuse(checker, field->name, "is malformed");
    }
    while (values.len > 0) {
        uint64_t value;
        if (ks_failed(ks_wire_varint(&values, &value))) {
            return refuse(checker, field->name, "is malformed");
        }
        checker->field_count++;
    }
    return KS_RES(OK);
}

static ks_result check_value(struct checker *checker, const ProtobufCFieldDescriptor *field,
                             const struct ks_wire_field *value)
{
    if (value->type != wire_types[field->type]) {
        bool packed = field->label == PROTOBUF_C_LABEL_REPEATED && value->type == KS_WIRE_BYTES;
        return packed ? check_packed(checker, field, value->bytes)
                      : refuse(checker, field->name, "has another type");
    }
    if (field->type == PROTOBUF_C_TYPE_STRING && !ks_utf8_is_text(value->bytes)) {
        return refuse(checker, field->name, "must be UTF-8 text without NUL");
    }
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        return enter(checker, field->descriptor, value->bytes, field->name);
    }
    return KS_RES(OK);
}

/* NULL: the type does not know the number. Most types number their fields 1, 2, 3 and so on. */
static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessageDescriptor *type,
                                                unsigned number)
{
    if (number <= type->n_fields && type->fields[number - 1].id == number) {
        return &type->fields[number - 1];
    }
    return protobuf_c_message_descriptor_get_field(type, number);
}

static ks_result check_field(struct checker *checker, struct frame *frame)
{
    struct ks_wire_field value;
    const uint8_t *begin = frame->rest.ptr;
    bool outermost = checker->depth == 1;
    if (ks_failed(ks_wire_next(&frame->rest, &value))) {
        return refuse(checker, "", "the message is cut short or malformed");
    }
    const ProtobufCFieldDescriptor *field = field_of(frame->type, value.number);
    checker->field_count++;
    if (!field) {
        checker->unknown_count++;
        return checker->unknown_count <= checker->limits.unknown_count_max
                   ? KS_RES(OK)
                   : refuse(checker, "", "the message has too many unknown fields");
    }
    KS_TRY(check_once(checker, frame, field));
    ks_bytes raw = {begin, (size_t)(frame->rest.ptr - begin)};
    KS_TRY(check_value(checker, field, &value));
    if (outermost && checker->visit) {
        checker->visit(checker->user, &value, raw);
    }
    return KS_RES(OK);
}

static ks_result check_all(struct checker *checker)
{
    while (checker->depth > 0) {
        struct frame *frame = &checker->frames[checker->depth - 1];
        if (frame->rest.len == 0) {
            checker->depth--;
            continue;
        }
        KS_TRY(check_field(checker, frame));
        if (checker->field_count > checker->limits.field_count_max) {
            return refuse(checker, "", "the message has too many fields");
        }
    }
    return KS_RES(OK);
}

static struct ks_codec_limits limits_of(const struct ks_codec_limits *limits)
{
    struct ks_codec_limits asked = limits ? *limits : (struct ks_codec_limits){0};
    assert(asked.depth_max <= KS_CODEC_DEPTH_MAX);

    return (struct ks_codec_limits){
        .len_max = or_default(asked.len_max, KS_CODEC_MESSAGE_LEN),
        .field_count_max = or_default(asked.field_count_max, KS_CODEC_FIELD_COUNT),
        .unknown_count_max = or_default(asked.unknown_count_max, KS_CODEC_UNKNOWN_COUNT),
        .depth_max = or_default(asked.depth_max, KS_CODEC_DEPTH_MAX),
    };
}

ks_result ks_codec_scan(const struct ProtobufCMessageDescriptor *type, ks_bytes message,
                        const struct ks_codec_limits *limits, ks_codec_visit_fn visit, void *user,
                        struct ks_codec_fault *reterr_fault)
{
    assert(type);
    assert(message.ptr || message.len == 0);

    struct checker checker;
    checker.depth = 0;
    checker.field_count = 0;
    checker.unknown_count = 0;
    checker.limits = limits_of(limits);
    checker.visit = visit;
    checker.user = user;
    ks_result result = message.len > checker.limits.len_max
                           ? refuse(&checker, "", "the message is too long")
                           : enter(&checker, type, message, "");
    if (!ks_failed(result)) {
        result = check_all(&checker);
    }
    if (ks_failed(result) && reterr_fault) {
        *reterr_fault = checker.fault;
    }
    return result;
}

ks_result ks_codec_check(const struct ProtobufCMessageDescriptor *type, ks_bytes message,
                         const struct ks_codec_limits *limits, struct ks_codec_fault *reterr_fault)
{
    return ks_codec_scan(type, message, limits, NULL, NULL, reterr_fault);
}

static void *alloc_in_arena(void *arena, size_t len)
{
    return ks_arena_alloc(arena, len);
}

static void free_with_arena(void *arena, void *ptr)
{
    (void)arena;
    (void)ptr;
}

ks_result ks_codec_unpack(const struct ProtobufCMessageDescriptor *type, ks_bytes message,
                          const struct ks_codec_limits *limits, struct ks_arena *arena,
                          struct ProtobufCMessage **ret_message)
{
    KS_TRY(ks_codec_check(type, message, limits, NULL));
    return ks_codec_unpack_checked(type, message, arena, ret_message);
}

ks_result ks_codec_unpack_checked(const struct ProtobufCMessageDescriptor *type, ks_bytes message,
                                  struct ks_arena *arena, struct ProtobufCMessage **ret_message)
{
    ProtobufCAllocator allocator = {alloc_in_arena, free_with_arena, arena};
    ProtobufCMessage *unpacked =
        protobuf_c_message_unpack(type, &allocator, message.len, message.ptr);
    if (!unpacked) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    *ret_message = unpacked;
    return KS_RES(OK);
}

size_t ks_codec_packed_len(const struct ProtobufCMessage *message)
{
    return protobuf_c_message_get_packed_size(message);
}

void ks_codec_write(const struct ProtobufCMessage *message, size_t len, uint8_t *place)
{
    size_t written = protobuf_c_message_pack(message, place);
    assert(written == len);
}

ks_result ks_codec_pack(const struct ProtobufCMessage *message, struct ks_buffer *buffer)
{
    size_t len = ks_codec_packed_len(message);
    uint8_t *place;
    KS_TRY(ks_buffer_extend(buffer, len, &place));
    ks_codec_write(message, len, place);
    return KS_RES(OK);
}

ks_result ks_codec_pack_field(unsigned number, const struct ProtobufCMessage *message,
                              struct ks_buffer *buffer)
{
    size_t len = ks_codec_packed_len(message);
    uint8_t *place;
    KS_TRY(ks_wire_put_place(number, len, buffer, &place));
    ks_codec_write(message, len, place);
    return KS_RES(OK);
}
