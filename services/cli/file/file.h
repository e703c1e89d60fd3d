/*
 * file: encrypted files, segment by segment (proto/formats/file-v1.md).
 *
 * header ‖ segments; a segment is KS_FILE_SEGMENT_LEN bytes of content and a tag, the last one may
 * be shorter. Which segment is the last is part of what is authenticated, so a reader must know it
 * before it opens one: it looks one byte ahead.
 *
 * Threads: one; the struct ks_crypto is the calling thread's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/secret.h"

#define KS_FILE_MAGIC_LEN    8U
#define KS_FILE_NONCE_LEN    32U
#define KS_FILE_BLOB_MAX     6144U /* what Decrypt takes */
#define KS_FILE_FRONT_LEN    44U   /* of the header before the blob, whose length is its end */
#define KS_FILE_HEADER_MAX   (KS_FILE_FRONT_LEN + KS_FILE_BLOB_MAX)
#define KS_FILE_DATA_KEY_LEN 32U
#define KS_FILE_SEGMENT_LEN  65536U /* bytes of content */
#define KS_FILE_TAG_LEN      16U
#define KS_FILE_SEALED_LEN   (KS_FILE_SEGMENT_LEN + KS_FILE_TAG_LEN)

struct ks_crypto;
struct ks_file;

/* Returns whether front begins a file. It needs KS_FILE_MAGIC_LEN bytes; fewer begin none. */
bool ks_file_is(ks_bytes front);

/*
 * Appends a header. After a failure out is unchanged.
 *
 * nonce  KS_FILE_NONCE_LEN random bytes, for this file only.
 * Fails: VALIDATION (blob is empty or over KS_FILE_BLOB_MAX), LIMIT_EXCEEDED (the buffer's cap).
 */
KS_MUST_USE ks_result ks_file_header_write(const uint8_t nonce[static KS_FILE_NONCE_LEN],
                                           ks_bytes blob, struct ks_buffer *out);

/*
 * Tells how long the header is that begins with front.
 *
 * ret_len  written on success only.
 *
 * Fails: INVALID_CIPHERTEXT (front is shorter than KS_FILE_FRONT_LEN, or begins no file),
 * UNSUPPORTED (it is of a version or algorithm that is not known here).
 */
KS_MUST_USE ks_result ks_file_header_len(ks_bytes front, size_t *ret_len);

/*
 * Finds the blob in a header.
 *
 * ret_blob  borrowed from header. Written on success only.
 *
 * Fails: as ks_file_header_len; INVALID_CIPHERTEXT (not as long as it says).
 */
KS_MUST_USE ks_result ks_file_header_blob(ks_bytes header, ks_bytes *ret_blob);

/*
 * Begins to write or to read a file.
 *
 * data_key  KS_FILE_DATA_KEY_LEN bytes. Borrowed for the call.
 * header    all of it. Borrowed for the call.
 * ret_file  the caller's, who frees it with ks_file_free; borrows crypto as long as it lives. Written
 *           on success only.
 *
 * Fails: VALIDATION (wrong length of the key), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_file_new(struct ks_crypto *crypto, const ks_secret *data_key,
                                  ks_bytes header, struct ks_file **ret_file);

/* Wipes the key and frees the file. NULL is allowed. */
void ks_file_free(struct ks_file *file);

/*
 * Seals the next segment; is_last ends the file.
 *
 * content     KS_FILE_SEGMENT_LEN bytes, or fewer in the last one: at least 1, but in the first.
 * ret_sealed  content.len + KS_FILE_TAG_LEN bytes, the caller's; may be where content stands.
 *             Unspecified after a failure.
 *
 * Fails: LIMIT_EXCEEDED (2^32 - 1 segments), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_file_seal(struct ks_file *file, ks_bytes content, bool is_last,
                                   uint8_t *ret_sealed);

/*
 * Opens the next segment.
 *
 * sealed       KS_FILE_SEALED_LEN bytes, or fewer in the last one.
 * ret_content  sealed.len - KS_FILE_TAG_LEN bytes, the caller's to wipe; may be where sealed
 *              stands. Zero after a failure.
 *
 * Fails: INVALID_CIPHERTEXT (anything wrong with it, its place or its length), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_file_open(struct ks_file *file, ks_bytes sealed, bool is_last,
                                   uint8_t *ret_content);

/* Cleanup for `KS_FILE_AUTO *file`. */
void ks_file_free_at(struct ks_file **file);
#define KS_FILE_AUTO KS_CLEANUP(ks_file_free_at) struct ks_file
