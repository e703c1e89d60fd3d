#include "pkg/rpc/wire.h"

#include <assert.h>

#define VARINT_LEN_MAX 10U        /* bytes of a 64-bit varint */
#define NUMBER_MAX     536870911U /* 2^29 - 1: the protobuf limit */

static bool take_varint(ks_bytes *rest, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (size_t i = 0; i < VARINT_LEN_MAX && i < rest->len; i++) {
        uint8_t byte = rest->ptr[i];
        if (i == VARINT_LEN_MAX - 1 && byte > 1) {
            return false; /* over 64 bits */
        }
        value |= (uint64_t)(byte & 0x7fU) << (7 * i);
        if (byte < 0x80) {
            *ret_value = value;
            *rest = (ks_bytes){rest->ptr + i + 1, rest->len - i - 1};
            return true;
        }
    }
    return false;
}

static bool take_bytes(ks_bytes *rest, uint64_t len, ks_bytes *ret_bytes)
{
    if (len > rest->len) {
        return false;
    }
    *ret_bytes = (ks_bytes){rest->ptr, (size_t)len};
    *rest = (ks_bytes){rest->ptr + len, rest->len - (size_t)len};
    return true;
}

static bool take_body(ks_bytes *rest, struct ks_rpc_wire_field *field)
{
    ks_bytes skipped;
    uint64_t len;
    switch (field->type) {
    case KS_RPC_WIRE_VARINT:
        return take_varint(rest, &field->value);
    case KS_RPC_WIRE_BYTES:
        return take_varint(rest, &len) && take_bytes(rest, len, &field->bytes);
    case KS_RPC_WIRE_FIXED64:
        return take_bytes(rest, 8, &skipped);
    case KS_RPC_WIRE_FIXED32:
        return take_bytes(rest, 4, &skipped);
    default:
        return false;
    }
}

bool ks_rpc_wire_next(ks_bytes *rest, struct ks_rpc_wire_field *ret_field, bool *damaged)
{
    assert(rest && ret_field && damaged);

    if (rest->len == 0) {
        return false;
    }
    uint64_t key;
    struct ks_rpc_wire_field field = {0};
    bool good = take_varint(rest, &key) && key >> 3 >= 1 && key >> 3 <= NUMBER_MAX;
    if (good) {
        field.number = (uint32_t)(key >> 3);
        field.type = (enum ks_rpc_wire_type)(key & 7U);
        good = take_body(rest, &field);
    }
    if (!good) {
        *damaged = true;
        *rest = (ks_bytes){0};
        return false;
    }
    *ret_field = field;
    return true;
}

ks_bytes ks_rpc_wire_bytes(ks_bytes message, uint32_t number)
{
    ks_bytes found = {0};
    struct ks_rpc_wire_field field;
    bool damaged = false;
    while (ks_rpc_wire_next(&message, &field, &damaged)) {
        if (field.number == number && field.type == KS_RPC_WIRE_BYTES) {
            found = field.bytes;
        }
    }
    return found;
}

uint64_t ks_rpc_wire_value(ks_bytes message, uint32_t number)
{
    uint64_t found = 0;
    struct ks_rpc_wire_field field;
    bool damaged = false;
    while (ks_rpc_wire_next(&message, &field, &damaged)) {
        if (field.number == number && field.type == KS_RPC_WIRE_VARINT) {
            found = field.value;
        }
    }
    return found;
}

static size_t encode_varint(uint64_t value, uint8_t out[VARINT_LEN_MAX])
{
    size_t len = 0;
    while (value >= 0x80) {
        out[len++] = (uint8_t)(value | 0x80U);
        value >>= 7;
    }
    out[len++] = (uint8_t)value;
    return len;
}

/* Key and value or length in one run, then the bytes: all of it or nothing. */
static void put(struct ks_buffer *to, uint64_t key, uint64_t value, ks_bytes bytes, bool *full)
{
    uint8_t head[2 * VARINT_LEN_MAX];
    size_t len = encode_varint(key, head);
    len += encode_varint(value, head + len);
    if (bytes.len > to->len_max || len + bytes.len > to->len_max - to->len ||
        ks_failed(ks_buffer_append(to, (ks_bytes){head, len})) ||
        ks_failed(ks_buffer_append(to, bytes))) {
        *full = true;
    }
}

void ks_rpc_wire_put_value(struct ks_buffer *to, uint32_t number, uint64_t value, bool *full)
{
    assert(number >= 1 && number <= NUMBER_MAX);

    put(to, (uint64_t)number << 3 | KS_RPC_WIRE_VARINT, value, (ks_bytes){0}, full);
}

void ks_rpc_wire_put_bytes(struct ks_buffer *to, uint32_t number, ks_bytes bytes, bool *full)
{
    assert(number >= 1 && number <= NUMBER_MAX);

    put(to, (uint64_t)number << 3 | KS_RPC_WIRE_BYTES, bytes.len, bytes, full);
}
