/*
 * message: bytes on their way into and out of the library, without a copy where that can be, and
 * wiped when they are done with: they may be plaintexts.
 *
 * Private to pkg/rpc. Threads: values.
 */
#pragma once

#include <grpc/grpc.h>

#include "pkg/base/bytes.h"

/* A message to send, for grpc_byte_buffer_destroy; wiped when its last reader is done. */
grpc_byte_buffer *ks_rpc_message_copy(ks_bytes bytes);

/* The same, taking the bytes of buffer, which is empty afterwards. */
grpc_byte_buffer *ks_rpc_message_take(struct ks_buffer *buffer);

/* A message that was received. */
struct ks_rpc_message {
    ks_bytes bytes; /* all of it, until done */
    grpc_byte_buffer *raw;
    struct ks_buffer flat; /* the copy, if it came in pieces */
};

/*
 * Takes raw, also on failure. It is not NULL: that is how the library says that no message came,
 * or only a part of one, while an empty message is a buffer without bytes.
 *
 * message  written in any case, and freed with ks_rpc_message_done; bytes are empty on failure.
 * Fails: UNSUPPORTED (compressed, which no peer that heeds our settings sends).
 */
KS_MUST_USE ks_result ks_rpc_message_init(struct ks_rpc_message *message, grpc_byte_buffer *raw);

/* Wipes and frees; the zero value is fine, and is what it leaves. */
void ks_rpc_message_done(struct ks_rpc_message *message);

/* A slice whose bytes are copied. */
grpc_slice ks_rpc_slice(ks_bytes bytes);

/* The bytes of a slice, borrowed from *slice. */
ks_bytes ks_rpc_slice_bytes(const grpc_slice *slice);
