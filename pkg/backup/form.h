/*
 * form: what writer and reader of a backup agree on, behind its front: segments, and the entries in
 * them (proto/formats/backup-v1.md). For the files of this folder only.
 *
 * Threads: one; the struct ks_crypto is the calling thread's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/backup/tally.h"
#include "pkg/base/bytes.h"
#include "pkg/base/secret.h"
#include "pkg/crypto/aead.h"
#include "pkg/crypto/hash.h"

#define KS_BACKUP_SEGMENT_LEN 65536U /* bytes of content */
#define KS_BACKUP_SEALED_LEN  (KS_BACKUP_SEGMENT_LEN + KS_AEAD_TAG_LEN)

#define KS_BACKUP_ENTRY_END    0U
#define KS_BACKUP_ENTRY_RECORD 1U

/* Tag, length of the key, key, length of the value, value, revision. */
#define KS_BACKUP_ENTRY_LEN_MAX                                                                    \
    (1U + 2U + KS_BACKUP_KEY_LEN_MAX + 4U + KS_BACKUP_VALUE_LEN_MAX + 8U)

/* Tag, number of kinds, and each with its name and count. */
#define KS_BACKUP_END_LEN_MAX (1U + 1U + KS_BACKUP_KINDS_MAX * (1U + KS_BACKUP_KIND_LEN_MAX + 8U))

/* Where the segments of a backup are sealed or opened. {.crypto = ...} has not begun yet. */
struct ks_backup_segments {
    struct ks_crypto *crypto; /* borrowed */
    ks_secret key;            /* the stream key; wiped by the owner */
    uint8_t front_digest[KS_SHA256_LEN];
    uint8_t digest[KS_SHA256_LEN]; /* of all that has passed so far */
    uint32_t index;                /* of the next segment */
};

/*
 * Begins with the bytes of a front.
 * Fails: INTERNAL (OpenSSL); segments are then unspecified.
 */
KS_MUST_USE ks_result ks_backup_segments_begin(struct ks_backup_segments *segments, ks_bytes front);

/*
 * Each handles the next segment: seals it; opens it; takes it into the digest only, as the first
 * two do as well.
 *
 * ret_sealed   content.len + KS_AEAD_TAG_LEN bytes, the caller's; unspecified after a failure.
 * ret_content  sealed.len - KS_AEAD_TAG_LEN bytes, the caller's to wipe; zero after a failure.
 *
 * Fails: LIMIT_EXCEEDED (2^32 - 1 segments), INVALID_CIPHERTEXT (of open: it is not the next
 * segment of this backup as it was written), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_backup_segments_seal(struct ks_backup_segments *segments, ks_bytes content,
                                              bool is_last, uint8_t *ret_sealed);
KS_MUST_USE ks_result ks_backup_segments_open(struct ks_backup_segments *segments, ks_bytes sealed,
                                              bool is_last, uint8_t *ret_content);
KS_MUST_USE ks_result ks_backup_segments_pass(struct ks_backup_segments *segments, ks_bytes sealed);

/* Appends the entry of a record. Fails: LIMIT_EXCEEDED (the buffer's cap; out is unchanged). */
KS_MUST_USE ks_result ks_backup_entry_write(const struct ks_backup_record *record,
                                            struct ks_buffer *out);

/*
 * Appends the entry that ends the content. Fails: LIMIT_EXCEEDED (the buffer's cap; out is
 * unchanged).
 */
KS_MUST_USE ks_result ks_backup_end_write(const struct ks_backup_tally *tally,
                                          struct ks_buffer *out);

/* What stands at the front of some content. */
enum ks_backup_found {
    KS_BACKUP_FOUND_PART,   /* the beginning of an entry: more must come */
    KS_BACKUP_FOUND_RECORD, /* ret_record */
    KS_BACKUP_FOUND_END,    /* the end: ret_record is untouched */
    KS_BACKUP_FOUND_DAMAGE, /* no entry begins so */
};

/*
 * Finds the first entry of some content.
 * ret_record  borrowed from content; written with KS_BACKUP_FOUND_RECORD only.
 */
enum ks_backup_found ks_backup_entry_find(ks_bytes content, struct ks_backup_record *ret_record,
                                          size_t *ret_len);
