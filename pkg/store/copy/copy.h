/*
 * copy: the records of a cell on this node's disk, in LMDB, with how far they go.
 *
 *   "data"  key               -> mod revision 8 bytes | checksum 4 bytes | value
 *   "list"  keystore id       -> the same form; the value is a KeystoreRecord
 *   "gone"  key               -> revision 8 bytes: of its deletion, while the copy is being loaded
 *   "prefix", "empty", "due"     what is known of the records under a prefix, and which of them are
 *                                due when (index.h)
 *   "ordinals"  key           -> u64 that the guard has remembered (store.h)
 *   "meta"  "position"        -> struct ks_position; "source" -> struct ks_copy_source
 *
 * Integers are big-endian. The checksum covers key, revision and value. Position and records
 * change in one LMDB transaction, so a snapshot always is the log up to its position.
 *
 * Outputs are written on success only. CORRUPT means that LMDB found damage, or that a record does
 * not match its checksum; INTERNAL, that the system failed (I/O, memory).
 *
 * Threads: any may take and read snapshots, and condemn; changes are made by the store's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/store/store.h"

#define KS_EPOCH_LEN_MAX 39U
#define KS_NONCE_LEN     16U

struct ks_copy;
struct ks_lmdb_read;
struct ks_lmdb_write;

/*
 * The value of the cell's revision record: random, and another one each time that a transaction is
 * sent. So the same nonce at the same revision means the same history up to there.
 */
struct ks_nonce {
    uint8_t bytes[KS_NONCE_LEN];
};

/* How far a copy goes. A new copy's is all zero. */
struct ks_position {
    uint64_t generation;   /* one more each time the copy is begun anew */
    int64_t applied;       /* every revision up to this one; 0: nothing was loaded yet */
    int64_t data_revision; /* the newest that changed a record of "data" */
    int64_t rev_version;   /* version of the cell's revision record; replicated only */
    int64_t rev_revision;  /* its mod revision, */
    struct ks_nonce nonce; /* and its value */
    int64_t floor;         /* a prefix may have changed at any revision up to this (index.h) */
    bool loading;          /* the copy is being loaded anew: its records can't be used */
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
    bool no_sync;                    /* commits reach the disk by ks_copy_sync only */
    ks_store_due_fn *due_ms;         /* as in struct ks_store_options */
    ks_store_guard *guard;           /* asked by ks_copy_put and ks_copy_delete; NULL: none */
    ks_store_ordinal_fn *ordinal_of; /* if there is a guard */
    void (*on_refused)(void *user, ks_bytes key); /* if there is a guard */
    void *user;
};

/*
 * Opens the copy in options->folder, and makes its databases if they are absent.
 * ret_copy  the caller's; close with ks_copy_close.
 * Fails: as ks_lmdb_open; CORRUPT also if position or source can't be read. The files stay.
 */
KS_MUST_USE ks_result ks_copy_open(const struct ks_copy_options *options,
                                   struct ks_copy **ret_copy);

/* Closes it; all snapshots and changes must have ended. NULL is fine. */
void ks_copy_close(struct ks_copy *copy);

/* Returns how many changes the guard has refused since the copy was opened. */
uint64_t ks_copy_refused_count(const struct ks_copy *copy);

/*
 * Forces all commits to disk.
 * Fails: as ks_lmdb_sync; after a crash of the machine the copy may then be damaged.
 */
KS_MUST_USE ks_result ks_copy_sync(struct ks_copy *copy);

/* Returns how many bytes of the copy's file are in use, which options->bytes_max bounds. */
uint64_t ks_copy_used_len(struct ks_copy *copy);

/*
 * Returns whether damage was found while reading, or the copy was condemned, since
 * ks_copy_forgive. The engine then loads the copy anew.
 */
bool ks_copy_is_damaged(const struct ks_copy *copy);

/* Marks the copy as damaged until it is forgiven. */
void ks_copy_condemn(struct ks_copy *copy);

/* Takes the mark away, once the copy was cleared. */
void ks_copy_forgive(struct ks_copy *copy);

/* ---- Snapshots ---- */

/* The copy as it was at one moment. Its owner ends it with ks_snapshot_end. */
struct ks_snapshot {
    struct ks_copy *copy;
    struct ks_lmdb_read *read;
    struct ks_position position;
    unsigned forgiven; /* how often the copy had been forgiven: damage of before counts no more */
    int64_t seen;      /* the copy had come to this revision, as this process knows, not the file */
};

/*
 * Takes a snapshot.
 * ret_snapshot  the caller's to end; untouched after a failure.
 * Fails: UNAVAILABLE (too many are open), CORRUPT (and the copy is damaged from now on), INTERNAL.
 */
KS_MUST_USE ks_result ks_copy_snapshot(struct ks_copy *copy, struct ks_snapshot *ret_snapshot);

/* Ends it and makes it the zero value, for which an end does nothing. */
void ks_snapshot_end(struct ks_snapshot *snapshot);
#define KS_SNAPSHOT_AUTO KS_CLEANUP(ks_snapshot_end) struct ks_snapshot

/*
 * Reads whose copy it is: zero if it was never loaded.
 * Fails: CORRUPT, INTERNAL; ret_source is untouched then.
 */
KS_MUST_USE ks_result ks_snapshot_source(const struct ks_snapshot *snapshot,
                                         struct ks_copy_source *ret_source);

/*
 * Looks up one record. One whose ordinal is lower than what this process remembers is CORRUPT, and
 * the guard's owner is told: somebody has written the copy's file. So it is with a scan.
 * ret_record  borrowed until the snapshot ends (its key from `key`); untouched after a failure.
 * Fails: NOT_FOUND, CORRUPT (and the copy is damaged from now on), INTERNAL.
 */
KS_MUST_USE ks_result ks_snapshot_get(const struct ks_snapshot *snapshot, ks_bytes key,
                                      struct ks_store_record *ret_record);

/* Looks at one record, borrowed until the snapshot ends. Returns false to stop the scan. */
typedef bool ks_snapshot_each(void *user, const struct ks_store_record *record);

/*
 * Calls `each` for the records whose keys start with prefix, in order of their keys, beginning
 * after the key `after` (empty: with the first one).
 * Fails: CORRUPT (and the copy is damaged from now on), INTERNAL; `each` was then called for the
 * records before.
 */
KS_MUST_USE ks_result ks_snapshot_scan(const struct ks_snapshot *snapshot, ks_bytes prefix,
                                       ks_bytes after, ks_snapshot_each *each, void *user);

/*
 * Tells what is known of the records whose keys start with prefix, which must be one of those that
 * ks_index_keeps.
 * ret_newest  no record under prefix was put or deleted after this revision
 * ret_count   how many there are
 * Both are untouched after a failure.
 * Fails: CORRUPT (and the copy is damaged from now on), INTERNAL.
 */
KS_MUST_USE ks_result ks_snapshot_prefix(const struct ks_snapshot *snapshot, ks_bytes prefix,
                                         int64_t *ret_newest, uint64_t *ret_count);

/*
 * Calls `each` for the records below root that are due at until_ms or before, as
 * ks_store_scan_due does.
 * Fails: as the scan does.
 */
KS_MUST_USE ks_result ks_snapshot_scan_due(const struct ks_snapshot *snapshot, ks_bytes root,
                                           int64_t until_ms, ks_snapshot_each *each, void *user);

/*
 * Calls `each` for every keystore record, whose key is the keystore's id. Fails as the scan does.
 */
KS_MUST_USE ks_result ks_snapshot_list(const struct ks_snapshot *snapshot, ks_snapshot_each *each,
                                       void *user);

/* ---- Changes ---- */

struct ks_copy_ordinal {
    uint64_t hash; /* of the record's key (ordinals.h) */
    uint64_t ordinal;
    int64_t revision;
};

/* Ordinals that a change brings; zero: none. */
struct ks_copy_ordinals {
    bool forgets; /* all that was known before */
    size_t count;
    size_t count_max;
    struct ks_copy_ordinal *items; /* owned by the change */
};

/*
 * One change of the copy. Its owner ends it by a commit or an abort; after a failure of a function
 * that changes something, only an abort is left. The commit stores `position`, so code that changes
 * records also sets that.
 */
struct ks_copy_write {
    struct ks_copy *copy;
    struct ks_lmdb_write *txn;
    struct ks_position position;
    struct ks_copy_ordinals ordinals; /* to be remembered in memory, too, once it is committed */
};

/*
 * Begins a change, with the present position.
 * ret_write  the caller's to end; untouched after a failure.
 * Fails: CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_copy_write_begin(struct ks_copy *copy, struct ks_copy_write *ret_write);

/*
 * Put a record, or a keystore's record, in place of the one that is there. The index follows.
 * What the guard refuses is passed over, and counted.
 * Fails: LIMIT_EXCEEDED (the copy is full, or the value is too long), CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_copy_put(struct ks_copy_write *write, ks_bytes key, ks_bytes value,
                                  int64_t revision);
KS_MUST_USE ks_result ks_copy_list_put(struct ks_copy_write *write, ks_bytes id, ks_bytes value,
                                       int64_t revision);

/*
 * Delete a record at revision, or a keystore's record; an absent one is fine. The index follows.
 * What the guard refuses is passed over, and counted.
 * Fails: LIMIT_EXCEEDED (the copy is full), CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_copy_delete(struct ks_copy_write *write, ks_bytes key, int64_t revision);
KS_MUST_USE ks_result ks_copy_list_delete(struct ks_copy_write *write, ks_bytes id);

/*
 * Deletes the records of a directory (ks_index_directory) whose keys start with prefix, at revision,
 * and calls `each` with the key of every one, borrowed for the call. The index follows. The guard is
 * not asked: a directory of records that it looks at is not deleted in this way.
 * Fails: LIMIT_EXCEEDED (the copy is full), CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_copy_delete_prefix(struct ks_copy_write *write, ks_bytes prefix,
                                            int64_t revision,
                                            void (*each)(void *user, ks_bytes key), void *user);

/*
 * While the copy is being loaded, pages and events come in no order. Both functions change nothing
 * if the record, or its deletion, is known in the same or a newer form. Otherwise they put or
 * delete it as above, and the second one remembers the deletion.
 * Fails: LIMIT_EXCEEDED (the copy is full, or the value is too long), CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_copy_put_newer(struct ks_copy_write *write, ks_bytes key, ks_bytes value,
                                        int64_t revision);
KS_MUST_USE ks_result ks_copy_delete_newer(struct ks_copy_write *write, ks_bytes key,
                                           int64_t revision);

/* Forgets the deletions that were remembered: the load has ended. Fails as ks_copy_clear does. */
KS_MUST_USE ks_result ks_copy_forget_deletions(struct ks_copy_write *write);

/*
 * Looks up a record as this change has left it. A failure does not end the change.
 * ret_record  borrowed until the change is ended or changes something; untouched after a failure.
 * Fails: NOT_FOUND, CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_copy_find(struct ks_copy_write *write, ks_bytes key,
                                   struct ks_store_record *ret_record);

/*
 * Forgets what the guard has remembered: the copy is to be of another epoch.
 * Fails: LIMIT_EXCEEDED (the copy is full), CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_copy_forget_ordinals(struct ks_copy_write *write);

/*
 * Tells the guard's owner of each record that has an ordinal and is not there: to be called when the
 * copy was loaded anew. Fails: LIMIT_EXCEEDED (too many are reading), CORRUPT, INTERNAL; it may then
 * have been told of some.
 */
KS_MUST_USE ks_result ks_copy_tell_missing(struct ks_copy *copy);

/*
 * Notes that a record has an ordinal, as another keystore knows, and returns whether that was higher
 * than what was known: a lower one is CORRUPT from now on, and the guard refuses it. Any thread. It is not on the disk before the record is.
 */
bool ks_copy_raise_ordinal(struct ks_copy *copy, ks_bytes key, uint64_t ordinal);

/* Returns the ordinal that is known of a record; 0: none is. Any thread. */
uint64_t ks_copy_ordinal(struct ks_copy *copy, ks_bytes key);

/*
 * Calls `each` for every record that has an ordinal, in order of their keys, with the revision of
 * its last change (0: the record is not there), until it returns false.
 * Fails: CORRUPT (and the copy is damaged from now on), INTERNAL; `each` was then called for those
 * before.
 */
KS_MUST_USE ks_result ks_snapshot_scan_ordinals(const struct ks_snapshot *snapshot,
                                                ks_store_ordinal_each *each, void *user);

/*
 * Removes all records and the source, but not the ordinals. Fails: LIMIT_EXCEEDED (the copy is full), CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_copy_clear(struct ks_copy_write *write);

/* Stores whose copy it is. Fails: as ks_copy_clear. */
KS_MUST_USE ks_result ks_copy_set_source(struct ks_copy_write *write,
                                         const struct ks_copy_source *source);

/*
 * Makes the change visible, all at once, and ends it, whatever is returned.
 * Fails: LIMIT_EXCEEDED (the disk or the copy is full), CORRUPT, INTERNAL; the copy is then as it
 * was before the change.
 */
KS_MUST_USE ks_result ks_copy_commit(struct ks_copy_write *write);

/* Ends the change without effect. One that has ended, and the zero value, are fine. */
void ks_copy_abort(struct ks_copy_write *write);
#define KS_COPY_WRITE_AUTO KS_CLEANUP(ks_copy_abort) struct ks_copy_write
