/*
 * copy: the records of a cell on this node's disk, in LMDB, with how far they go.
 *
 *   "data"  key               -> mod revision 8 bytes | checksum 4 bytes | value
 *   "list"  keystore id       -> the same form; the value is a KeystoreRecord
 *   "meta"  "position"        -> struct ks_position; "source" -> struct ks_copy_source
 *
 * Integers are big-endian. The checksum covers key, revision and value. Position and records
 * change in one LMDB transaction, so a snapshot always is the log up to its position.
 *
 * Threads: snapshots by any; writes by the store's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/store/store.h"

#define KS_EPOCH_LEN_MAX 39U

struct ks_copy;
struct ks_lmdb_read;
struct ks_lmdb_write;

/* How far a copy goes. All zero: a new one. */
struct ks_position {
    uint64_t generation;   /* one more each time the copy is begun anew */
    int64_t applied;       /* every revision up to this one; 0: nothing was loaded yet */
    int64_t data_revision; /* the newest that changed a record of "data" */
    int64_t rev_version;   /* version of the cell's revision record; replicated only */
    int64_t rev_revision;  /* its mod revision */
    bool loading;          /* being loaded anew: what is there can't be used */
};

/* Whose copy it is. */
struct ks_copy_source {
    uint64_t cluster_id;
    int64_t epoch_revision; /* mod revision of the epoch record */
    char epoch[KS_EPOCH_LEN_MAX + 1];
};

struct ks_copy_options {
    const char *folder; /* exists */
    uint64_t bytes_max;
    bool no_sync; /* commits reach the disk by ks_copy_sync only */
};

/* Fails: as ks_lmdb_open. */
KS_MUST_USE ks_result ks_copy_open(const struct ks_copy_options *options,
                                   struct ks_copy **ret_copy);

/* All snapshots and writes have ended. NULL is fine. */
void ks_copy_close(struct ks_copy *copy);

KS_MUST_USE ks_result ks_copy_sync(struct ks_copy *copy);
uint64_t ks_copy_used_len(struct ks_copy *copy);

/*
 * Whether some record did not match its checksum, or the copy was condemned, since the last call
 * of ks_copy_forgive. Any thread.
 */
bool ks_copy_is_damaged(const struct ks_copy *copy);
void ks_copy_condemn(struct ks_copy *copy);
void ks_copy_forgive(struct ks_copy *copy);

/* ---- Snapshots ---- */

struct ks_snapshot {
    struct ks_copy *copy;
    struct ks_lmdb_read *read;
    struct ks_position position;
};

/* Fails: UNAVAILABLE (too many are open), CORRUPT, INTERNAL. */
KS_MUST_USE ks_result ks_copy_snapshot(struct ks_copy *copy, struct ks_snapshot *ret_snapshot);

/* The zero value is fine. */
void ks_snapshot_end(struct ks_snapshot *snapshot);
#define KS_SNAPSHOT_AUTO KS_CLEANUP(ks_snapshot_end) struct ks_snapshot

/* Whose copy it is; zero when it was never loaded. Fails: CORRUPT. */
KS_MUST_USE ks_result ks_snapshot_source(const struct ks_snapshot *snapshot,
                                         struct ks_copy_source *ret_source);

/* As ks_store_get and ks_store_scan. */
KS_MUST_USE ks_result ks_snapshot_get(const struct ks_snapshot *snapshot, ks_bytes key,
                                      struct ks_store_record *ret_record);
typedef bool ks_snapshot_each(void *user, const struct ks_store_record *record);
KS_MUST_USE ks_result ks_snapshot_scan(const struct ks_snapshot *snapshot, ks_bytes prefix,
                                       ks_bytes after, ks_snapshot_each *each, void *user);

/* Every keystore record, as ks_snapshot_scan; a record's key is the keystore's id. */
KS_MUST_USE ks_result ks_snapshot_list(const struct ks_snapshot *snapshot, ks_snapshot_each *each,
                                       void *user);

/* ---- Changes ---- */

/*
 * One change of the copy. After any failure it can only be aborted.
 * position is stored by the commit: whoever changes records sets it.
 */
struct ks_copy_write {
    struct ks_copy *copy;
    struct ks_lmdb_write *txn;
    struct ks_position position;
};

/* Fails: CORRUPT, INTERNAL. */
KS_MUST_USE ks_result ks_copy_write_begin(struct ks_copy *copy, struct ks_copy_write *ret_write);

/* Fails: LIMIT_EXCEEDED (the copy is full), CORRUPT, INTERNAL. */
KS_MUST_USE ks_result ks_copy_put(struct ks_copy_write *write, ks_bytes key, ks_bytes value,
                                  int64_t revision);
KS_MUST_USE ks_result ks_copy_list_put(struct ks_copy_write *write, ks_bytes id, ks_bytes value,
                                       int64_t revision);

/* An absent key is fine. Fails as ks_copy_put. */
KS_MUST_USE ks_result ks_copy_delete(struct ks_copy_write *write, ks_bytes key);
KS_MUST_USE ks_result ks_copy_list_delete(struct ks_copy_write *write, ks_bytes id);

/* The record with this change's own effects. Fails: NOT_FOUND, CORRUPT, INTERNAL. */
KS_MUST_USE ks_result ks_copy_find(struct ks_copy_write *write, ks_bytes key,
                                   struct ks_store_record *ret_record);

/* Removes all records and the source. */
KS_MUST_USE ks_result ks_copy_clear(struct ks_copy_write *write);
KS_MUST_USE ks_result ks_copy_set_source(struct ks_copy_write *write,
                                         const struct ks_copy_source *source);

/* Ends the change, whatever it returns. Fails: LIMIT_EXCEEDED (disk full), CORRUPT, INTERNAL. */
KS_MUST_USE ks_result ks_copy_commit(struct ks_copy_write *write);

/* Ends it without effect; one that has ended, or the zero value, is fine. */
void ks_copy_abort(struct ks_copy_write *write);
#define KS_COPY_WRITE_AUTO KS_CLEANUP(ks_copy_abort) struct ks_copy_write
