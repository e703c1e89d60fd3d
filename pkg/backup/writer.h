/*
 * writer: writes a backup piece by piece (proto/formats/backup-v1.md). Its owner gives it the
 * records in the order of their keys, and gets the bytes of the backup through a function of its
 * own. It keeps one segment and one record, however large the cell is.
 *
 * Threads: one; the struct ks_crypto is the calling thread's.
 */
#pragma once

#include "pkg/backup/front.h"
#include "pkg/backup/tally.h"
#include "pkg/base/bytes.h"
#include "pkg/base/secret.h"

#define KS_BACKUP_STREAM_KEY_LEN 32U

struct ks_backup_writer;
struct ks_crypto;

struct ks_backup_writer_options {
    struct ks_crypto *crypto; /* borrowed as long as the writer */
    const struct ks_backup_header *header;
    ks_bytes key_block;          /* made for this very header */
    const ks_secret *stream_key; /* KS_BACKUP_STREAM_KEY_LEN bytes, of this backup alone */
    /*
     * Takes the next bytes of the backup, borrowed for the call. What it fails with is what the
     * writer's function fails with, and nothing more comes.
     */
    ks_result (*take)(void *user, ks_bytes bytes);
    void *user;
};

/*
 * Makes a writer, which hands header and key block to `take` at once. Header, key block and stream
 * key are borrowed for the call.
 *
 * ret_writer  the caller's, who frees it with ks_backup_writer_free. Untouched after a failure.
 *
 * Fails: VALIDATION (a field of the header or a length is not within its limits), INTERNAL
 * (OpenSSL), as `take`.
 */
KS_MUST_USE ks_result ks_backup_writer_new(const struct ks_backup_writer_options *options,
                                           struct ks_backup_writer **ret_writer);

/* Wipes the stream key and frees the writer. NULL is fine. */
void ks_backup_writer_free(struct ks_backup_writer *writer);

/*
 * Adds the next record, borrowed for the call. After a failure the writer can only be freed: what
 * it has handed out so far is no backup.
 * Fails: VALIDATION and LIMIT_EXCEEDED as ks_backup_tally_add, LIMIT_EXCEEDED also with 2^32 - 1
 * segments, INTERNAL (OpenSSL), as `take`.
 */
KS_MUST_USE ks_result ks_backup_writer_add(struct ks_backup_writer *writer,
                                           const struct ks_backup_record *record);

/*
 * Ends the backup, which is whole then. The writer can only be freed afterwards.
 * Fails: CONFLICT (the header's key_count is not the number of records whose keys begin with
 * "key/"), INTERNAL (OpenSSL), LIMIT_EXCEEDED, as `take`.
 */
KS_MUST_USE ks_result ks_backup_writer_end(struct ks_backup_writer *writer);

/* Returns what was added so far, borrowed from the writer. */
const struct ks_backup_tally *ks_backup_writer_tally(const struct ks_backup_writer *writer);

/* Cleanup for `KS_BACKUP_WRITER_AUTO *writer`. */
void ks_backup_writer_free_at(struct ks_backup_writer **writer);
#define KS_BACKUP_WRITER_AUTO KS_CLEANUP(ks_backup_writer_free_at) struct ks_backup_writer
