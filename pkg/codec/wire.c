#include "pkg/codec/wire.h"

#include <assert.h>
#include <string.h>

#define VARINT_LEN_MAX 10U /* 64 bits, seven a byte */
#define TAG_LEN_MAX    5U  /* 32 bits: protobuf-c reads no longer tags and lengths */
#define TYPE_BITS      3U

/* Reads a varint of at most len_max bytes. Returns its length; 0 if the bytes are not a varint. */
static size_t read_varint(ks_bytes bytes, size_t len_max, uint64_t *ret_value)
{
    if (bytes.len > 0 && bytes.ptr[0] < 0x80) { /* most tags and lengths */
        *ret_value = bytes.ptr[0];
        return 1;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.len && i < len_max; i++) {
        uint8_t byte = bytes.ptr[i];
        if (i == VARINT_LEN_MAX - 1 && byte > 1) {
            return 0;
        }
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *ret_value = value;
            return i + 1;
        }
    }
    return 0;
}

static ks_result take_varint(ks_bytes *rest, size_t len_max, uint64_t *ret_value)
{
    size_t len = read_varint(*rest, len_max, ret_value);
    if (len == 0) {
        return KS_RES(VALIDATION);
    }
    *rest = (ks_bytes){rest->ptr + len, rest->len - len};
    return KS_RES(OK);
}

ks_result ks_wire_varint(ks_bytes *rest, uint64_t *ret_value)
{
    return take_varint(rest, VARINT_LEN_MAX, ret_value);
}

/* Reads a number of len bytes, little-endian. */
static ks_result take_fixed(ks_bytes *rest, size_t len, uint64_t *ret_value)
{
    if (rest->len < len) {
        return KS_RES(VALIDATION);
    }
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        value |= (uint64_t)rest->ptr[i] << (8 * i);
    }
    *ret_value = value;
    *rest = (ks_bytes){rest->ptr + len, rest->len - len};
    return KS_RES(OK);
}

static ks_result take_bytes(ks_bytes *rest, ks_bytes *ret_bytes)
{
    uint64_t len;
    KS_TRY(take_varint(rest, TAG_LEN_MAX, &len));
    if (len > rest->len) {
        return KS_RES(VALIDATION);
    }
    *ret_bytes = (ks_bytes){rest->ptr, (size_t)len};
    *rest = (ks_bytes){rest->ptr + len, rest->len - (size_t)len};
    return KS_RES(OK);
}

static ks_result take_value(ks_bytes *rest, struct ks_wire_field *field)
{
    switch (field->type) {
    case KS_WIRE_VARINT:
        return take_varint(rest, VARINT_LEN_MAX, &field->value);
    case KS_WIRE_FIXED64:
        return take_fixed(rest, 8, &field->value);
    case KS_WIRE_FIXED32:
        return take_fixed(rest, 4, &field->value);
    case KS_WIRE_BYTES:
        return take_bytes(rest, &field->bytes);
    }
    return KS_RES(VALIDATION);
}

ks_result ks_wire_next(ks_bytes *rest, struct ks_wire_field *ret_field)
{
    assert(rest->len > 0);

    ks_bytes left = *rest;
    uint64_t tag;
    KS_TRY(take_varint(&left, TAG_LEN_MAX, &tag));
    if (tag > UINT32_MAX || tag >> TYPE_BITS == 0) {
        return KS_RES(VALIDATION);
    }
    struct ks_wire_field field = {
        .number = (unsigned)(tag >> TYPE_BITS),
        .type = (enum ks_wire_type)(tag & 7),
    };
    KS_TRY(take_value(&left, &field));
    *rest = left;
    *ret_field = field;
    return KS_RES(OK);
}

static size_t varint_len(uint64_t value)
{
    size_t len = 1;
    while (value >= 0x80) {
        value >>= 7;
        len++;
    }
    return len;
}

static uint8_t *write_varint(uint8_t *place, uint64_t value)
{
    while (value >= 0x80) {
        *place++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *place++ = (uint8_t)value;
    return place;
}

static uint64_t tag_of(unsigned number, enum ks_wire_type type)
{
    assert(number > 0);
    assert(number <= KS_WIRE_NUMBER_MAX);

    return (uint64_t)number << TYPE_BITS | type;
}

ks_result ks_wire_put_varint(unsigned number, uint64_t value, struct ks_buffer *buffer)
{
    uint64_t tag = tag_of(number, KS_WIRE_VARINT);
    uint8_t *place;
    KS_TRY(ks_buffer_extend(buffer, varint_len(tag) + varint_len(value), &place));
    (void)write_varint(write_varint(place, tag), value);
    return KS_RES(OK);
}

size_t ks_wire_head_len(unsigned number, size_t len)
{
    return varint_len(tag_of(number, KS_WIRE_BYTES)) + varint_len(len);
}

uint8_t *ks_wire_write_head(unsigned number, size_t len, uint8_t *place)
{
    return write_varint(write_varint(place, tag_of(number, KS_WIRE_BYTES)), len);
}

ks_result ks_wire_put_place(unsigned number, size_t len, struct ks_buffer *buffer,
                            uint8_t **ret_place)
{
    uint8_t *place;
    if (len > buffer->len_max) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    KS_TRY(ks_buffer_extend(buffer, ks_wire_head_len(number, len) + len, &place));
    *ret_place = ks_wire_write_head(number, len, place);
    return KS_RES(OK);
}

ks_result ks_wire_put_head(unsigned number, size_t len, struct ks_buffer *buffer)
{
    uint8_t *place;
    KS_TRY(ks_buffer_extend(buffer, ks_wire_head_len(number, len), &place));
    (void)ks_wire_write_head(number, len, place);
    return KS_RES(OK);
}

ks_result ks_wire_put_bytes(unsigned number, ks_bytes bytes, struct ks_buffer *buffer)
{
    uint8_t *place;
    KS_TRY(ks_wire_put_place(number, bytes.len, buffer, &place));
    if (bytes.len > 0) {
        memcpy(place, bytes.ptr, bytes.len);
    }
    return KS_RES(OK);
}
