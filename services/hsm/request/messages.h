/*
 * messages: short names for the generated messages of hsm.proto, and the functions that read and
 * write them: a frame becomes a batch of requests in an arena, replies become a frame.
 *
 * Threads: one.
 */
#pragma once

#include "keystead/internal/v1/hsm.pb-c.h"
#include "keystead/storage/v1/storage.pb-c.h"
#include "pkg/base/arena.h"
#include "pkg/base/bytes.h"

#define KS_HSM_BATCH_MAX   256U  /* requests in a batch; at least 1 */
#define KS_HSM_RECORDS_MAX 1024U /* records in a batch */
#define KS_HSM_CHANGES_MAX 8U    /* records that one request has made; at least 1 */

typedef Keystead__Internal__V1__HsmBatch HsmBatch;
typedef Keystead__Internal__V1__HsmBatchReply HsmBatchReply;
typedef Keystead__Internal__V1__HsmRequest HsmRequest;
typedef Keystead__Internal__V1__HsmReply HsmReply;
typedef Keystead__Internal__V1__HsmStatus HsmStatus;
typedef Keystead__Internal__V1__HsmRecord HsmRecord;
typedef Keystead__Internal__V1__HsmRestoredKey HsmRestoredKey;
typedef Keystead__Internal__V1__HsmSealRecords HsmSealRecords;
typedef Keystead__Internal__V1__HsmChange HsmChange;
typedef Keystead__Internal__V1__KeyUse KeyUse;
typedef Keystead__Storage__V1__KeyRecord KeyRecord;
typedef Keystead__Storage__V1__KeyMaterial KeyMaterial;
typedef Keystead__Internal__V1__ContextEntry ContextEntry;
typedef Keystead__Internal__V1__HsmEncrypt HsmEncrypt;
typedef Keystead__Internal__V1__HsmDecrypt HsmDecrypt;
typedef Keystead__Internal__V1__HsmGenerateDataKey HsmGenerateDataKey;
typedef Keystead__Internal__V1__HsmReEncrypt HsmReEncrypt;

/*
 * How much of its arena a frame may need at most. Clients choose the contexts, and one client's
 * large contexts must not make the other requests of the same frame fail: 256 ReEncrypts with 2
 * contexts of 128 pairs take 80 bytes a pair (entry, key, value), 8 for its pointer, and 7 KiB for
 * each context while protobuf-c reads it: 10 MiB. The frame's own bytes, plaintexts and replies are
 * 1 MiB each.
 */
#define KS_HSM_ARENA_MAX (16U * 1024U * 1024U)

/*
 * Reads a batch.
 *
 * ret_batch  lasts as long as arena, points to nothing in frame. Untouched after a failure.
 *
 * Fails: VALIDATION (malformed, empty, or over KS_HSM_BATCH_MAX or KS_HSM_RECORDS_MAX), LIMIT_EXCEEDED (arena full).
 */
KS_MUST_USE ks_result ks_hsm_batch_read(ks_bytes frame, struct ks_arena *arena,
                                        HsmBatch **ret_batch);

/*
 * Appends the frame of a reply: head and bytes.
 * out  after a failure it may hold a part of the frame.
 * Fails: VALIDATION (longer than a frame may be), LIMIT_EXCEEDED (the buffer's cap).
 */
KS_MUST_USE ks_result ks_hsm_reply_append(const HsmBatchReply *reply, struct ks_buffer *out);

/*
 * Makes zeroed room for len bytes in arena, as a field of a message.
 * ret_place  untouched after a failure.
 * Fails: LIMIT_EXCEEDED (the arena is full).
 */
KS_MUST_USE ks_result ks_hsm_place(struct ks_arena *arena, size_t len,
                                   ProtobufCBinaryData *ret_place);

/* Returns a field's bytes, borrowed from it. */
ks_bytes ks_hsm_field(const ProtobufCBinaryData *field);
