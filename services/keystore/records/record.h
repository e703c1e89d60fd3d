/*
 * record: stored messages in and out of bytes, with the version of their form.
 *
 * Every record's first member is `uint32 format`; all forms are version 1 so far.
 *
 * Threads: pure over the arguments; any.
 */
#pragma once

#include "keystead/storage/v1/storage.pb-c.h"
#include "pkg/base/arena.h"
#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "services/keystore/records/message.h"

#define KS_RECORD_FORMAT 1U

/*
 * Unpacks a record into arena: `KeyRecord` by STORED_TYPE(key_record).
 * ret_record  lasts as long as arena; cast it to the type's struct.
 *
 * Fails: CORRUPT (not such a message, or of a form that this program does not know: then a newer
 * one has written it, and this one must not guess), LIMIT_EXCEEDED (the arena is full).
 */
KS_MUST_USE ks_result ks_record_read(const ProtobufCMessageDescriptor *type, ks_bytes value,
                                     struct ks_arena *arena, ProtobufCMessage **ret_record);

/* Appends the bytes of a record. Fails: LIMIT_EXCEEDED (the buffer's cap). */
KS_MUST_USE ks_result ks_record_write(const ProtobufCMessage *record, struct ks_buffer *buffer);

/* A key record. Fails: as ks_record_read; CORRUPT also if it has no key material. */
KS_MUST_USE ks_result ks_record_read_key(ks_bytes value, struct ks_arena *arena,
                                         STORED(KeyRecord) * *ret_record);

/* The material that a key encrypts with: the last one. A key that was read has one. */
const STORED(KeyMaterial) * ks_record_current_material(const STORED(KeyRecord) * record);

/* The material with this id; NULL if the key never had it. */
const STORED(KeyMaterial) *
    ks_record_material(const STORED(KeyRecord) * record, const char *material_id);
