/*
 * reader: reads a backup piece by piece (proto/formats/backup-v1.md). Its owner reads the front
 * first (front.h), then hands over the bytes behind it in pieces of any length.
 *
 * With the stream key, which the custodians have opened, it checks all and hands out the records.
 * Without, it checks what needs no key: that every byte is as it was written, by the digest at the
 * end. That finds damage, but no forgery: whoever changes a backup on purpose makes another digest.
 *
 * A record is authentic when it is handed out, but the backup is whole only when
 * ks_backup_reader_end has said so: until then its owner keeps what it got apart.
 *
 * It keeps one segment and one record, however long the backup is.
 *
 * Threads: one; the struct ks_crypto is the calling thread's.
 */
#pragma once

#include <stdint.h>

#include "pkg/backup/front.h"
#include "pkg/backup/tally.h"
#include "pkg/base/bytes.h"
#include "pkg/base/secret.h"

struct ks_backup_reader;
struct ks_crypto;

struct ks_backup_reader_options {
    struct ks_crypto *crypto;            /* borrowed as long as the reader */
    const struct ks_backup_front *front; /* that ks_backup_front_read gave */
    const ks_secret *stream_key;         /* NULL: there is none */
    /*
     * Takes the next record, borrowed for the call. What it fails with is what the reader's
     * function fails with, and nothing more comes. NULL: nobody wants them.
     */
    ks_result (*each)(void *user, const struct ks_backup_record *record);
    void *user;
};

/*
 * Makes a reader. Front and stream key are borrowed for the call.
 *
 * ret_reader  the caller's, who frees it with ks_backup_reader_free. Untouched after a failure.
 *
 * Fails: VALIDATION (the stream key has a wrong length), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_backup_reader_new(const struct ks_backup_reader_options *options,
                                           struct ks_backup_reader **ret_reader);

/* Wipes what it keeps and frees the reader. NULL is fine. */
void ks_backup_reader_free(struct ks_backup_reader *reader);

/*
 * Reads the next bytes behind the front. After a failure the reader can only be freed.
 * Fails: INVALID_CIPHERTEXT (they are not as they were written, belong to another backup, or stand
 * in another place), INTERNAL (OpenSSL), as `each`.
 */
KS_MUST_USE ks_result ks_backup_reader_push(struct ks_backup_reader *reader, ks_bytes bytes);

/*
 * Says that there are no more bytes. The reader can only be freed afterwards.
 * Fails: INVALID_CIPHERTEXT (as above, or the backup is cut short, or does not hold what its end
 * and its header count), INTERNAL (OpenSSL), as `each`.
 */
KS_MUST_USE ks_result ks_backup_reader_end(struct ks_backup_reader *reader);

/*
 * Returns what was read so far, borrowed from the reader; without a stream key, a tally of nothing.
 */
const struct ks_backup_tally *ks_backup_reader_tally(const struct ks_backup_reader *reader);

/* Cleanup for `KS_BACKUP_READER_AUTO *reader`. */
void ks_backup_reader_free_at(struct ks_backup_reader **reader);
#define KS_BACKUP_READER_AUTO KS_CLEANUP(ks_backup_reader_free_at) struct ks_backup_reader
