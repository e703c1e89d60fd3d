/*
 * wire: protobuf's wire form, for the few messages that belong to the transport itself: health,
 * reflection, google.rpc.Status, and descriptors, which are handed on without being understood.
 * Messages of our own go through generated code, not through this.
 *
 * Private to pkg/rpc. Threads: values.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/bytes.h"

enum ks_rpc_wire_type {
    KS_RPC_WIRE_VARINT = 0,
    KS_RPC_WIRE_FIXED64 = 1,
    KS_RPC_WIRE_BYTES = 2,
    KS_RPC_WIRE_FIXED32 = 5
};

struct ks_rpc_wire_field {
    uint32_t number;
    enum ks_rpc_wire_type type;
    uint64_t value; /* VARINT; 0 otherwise */
    ks_bytes bytes; /* BYTES; empty otherwise. Borrowed from what is read */
};

/*
 * Cuts the first field off *rest. Returns false at the end, or where the bytes are damaged;
 * ret_field is then unspecified and *rest empty. *damaged is set in the second case and otherwise
 * left alone. Groups count as damage.
 */
bool ks_rpc_wire_next(ks_bytes *rest, struct ks_rpc_wire_field *ret_field, bool *damaged);

/*
 * Returns the last BYTES field of that number in message, which is how protobuf reads a singular
 * field; empty if there is none.
 */
ks_bytes ks_rpc_wire_bytes(ks_bytes message, uint32_t number);

/* Returns the last VARINT field of that number; 0 if there is none. */
uint64_t ks_rpc_wire_value(ks_bytes message, uint32_t number);

/*
 * Append a field. A field that does not fit is left out as a whole, and *full is set. The writer
 * looks at *full once, at the end.
 */
void ks_rpc_wire_put_value(struct ks_buffer *to, uint32_t number, uint64_t value, bool *full);
void ks_rpc_wire_put_bytes(struct ks_buffer *to, uint32_t number, ks_bytes bytes, bool *full);
