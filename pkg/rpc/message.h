/*
 * message: hands bytes to the library and takes them from it, without a copy where possible. The
 * bytes may be plaintexts, so they are wiped when nothing needs them any more.
 *
 * Private to pkg/rpc. Threads: values.
 */
#pragma once

#include <grpc/grpc.h>

#include "pkg/base/bytes.h"

/*
 * Makes a message to send of a copy of bytes. The caller frees it with grpc_byte_buffer_destroy;
 * its bytes are wiped when the last reader has finished.
 */
grpc_byte_buffer *ks_rpc_message_copy(ks_bytes bytes);

/* Makes one without a copy: takes the bytes of buffer, which is empty afterwards. */
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

/* Returns a slice with a copy of bytes. */
grpc_slice ks_rpc_slice(ks_bytes bytes);

/* Returns the bytes of a slice, borrowed from *slice. */
ks_bytes ks_rpc_slice_bytes(const grpc_slice *slice);
