/*
 * record: stored messages in and out of bytes, with the version of their form.
 *
 * The first member of each record is `uint32 format`; all forms are version 1 so far.
 *
 * Threads: pure over the arguments; any.
 */
#pragma once

#include "pkg/base/arena.h"
#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/record/stored.h"
#include "pkg/store/store.h"

#define KS_RECORD_FORMAT 1U

/*
 * Unpacks a record into arena: a KeyRecord by STORED_TYPE(key_record).
 * ret_record  lasts as long as arena; cast it to the type's struct. Unchanged on failure.
 *
 * Fails: CORRUPT (the bytes are no such message, or their form is one that this program does not
 * know: a newer program has written it, and this one must not guess), LIMIT_EXCEEDED (the arena is
 * full).
 */
KS_MUST_USE ks_result ks_record_read(const ProtobufCMessageDescriptor *type, ks_bytes value,
                                     struct ks_arena *arena, ProtobufCMessage **ret_record);

/*
 * Looks a record up and reads it.
 * ret_record    as above; unchanged on failure.
 * ret_revision  the revision of its last change; unchanged on failure.
 *
 * Fails: NOT_FOUND (there is no record under this key), CORRUPT, LIMIT_EXCEEDED (as above).
 */
KS_MUST_USE ks_result ks_record_load(const struct ks_store_view *view, ks_bytes key,
                                     const ProtobufCMessageDescriptor *type, struct ks_arena *arena,
                                     ProtobufCMessage **ret_record, int64_t *ret_revision);

/*
 * Appends the bytes of a record, whose format must be KS_RECORD_FORMAT.
 *
 * Fails: LIMIT_EXCEEDED (the buffer's cap; the buffer is unchanged).
 */
KS_MUST_USE ks_result ks_record_write(const ProtobufCMessage *record, struct ks_buffer *buffer);
