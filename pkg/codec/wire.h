/*
 * wire: reads the fields of a message one after the other without unpacking it, and writes single
 * fields. It is for code that looks at few fields of a message, or passes parts of it on unchanged.
 *
 * Threads: pure over the arguments; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

#define KS_WIRE_NUMBER_MAX 536870911U /* 2^29 - 1: the highest field number */

/* The numbers are those on the wire. Groups (3 and 4) are refused: proto3 has none. */
enum ks_wire_type {
    KS_WIRE_VARINT = 0,
    KS_WIRE_FIXED64 = 1,
    KS_WIRE_BYTES = 2,
    KS_WIRE_FIXED32 = 5,
};

struct ks_wire_field {
    unsigned number;
    enum ks_wire_type type;
    uint64_t value; /* of VARINT, FIXED32, FIXED64; else 0 */
    ks_bytes bytes; /* of BYTES: borrowed from the message; else empty */
};

/*
 * Takes the next field off the front of *rest, which must not be empty.
 *
 * Fails: VALIDATION (cut short, a varint that is too long, a tag or length of more than 32 bits,
 * field number 0, a group, an unknown wire type). After a failure *rest and ret_field are unchanged.
 */
KS_MUST_USE ks_result ks_wire_next(ks_bytes *rest, struct ks_wire_field *ret_field);

/*
 * Takes a varint of at most 10 bytes and 64 bits off the front of *rest.
 *
 * Fails: VALIDATION (cut short or too long). After a failure *rest and ret_value are unchanged.
 */
KS_MUST_USE ks_result ks_wire_varint(ks_bytes *rest, uint64_t *ret_value);

/* Each appends a field. Fails: LIMIT_EXCEEDED (the buffer's cap; the buffer is unchanged). */
KS_MUST_USE ks_result ks_wire_put_varint(unsigned number, uint64_t value, struct ks_buffer *buffer);
KS_MUST_USE ks_result ks_wire_put_bytes(unsigned number, ks_bytes bytes, struct ks_buffer *buffer);

/*
 * Appends a field of len bytes in one step, so that the buffer grows once. ret_place is where the
 * caller writes the bytes; it holds until the buffer is changed.
 * Fails: LIMIT_EXCEEDED (the buffer's cap; the buffer and ret_place are unchanged).
 */
KS_MUST_USE ks_result ks_wire_put_place(unsigned number, size_t len, struct ks_buffer *buffer,
                                        uint8_t **ret_place);

/*
 * Appends the tag and the length of a field of len bytes, which the caller appends next.
 * Fails: LIMIT_EXCEEDED (the buffer's cap; the buffer is unchanged).
 */
KS_MUST_USE ks_result ks_wire_put_head(unsigned number, size_t len, struct ks_buffer *buffer);

/* Returns how many bytes ks_wire_put_head writes, for a caller that must know a length before. */
size_t ks_wire_head_len(unsigned number, size_t len);

/*
 * Writes the tag and the length of a field of len bytes to place, which has room for
 * ks_wire_head_len bytes, and returns the place behind them.
 */
uint8_t *ks_wire_write_head(unsigned number, size_t len, uint8_t *place);
