/*
 * lmdb: an ordered store of keys and values in one folder, with transactions and snapshots.
 *
 * The folder belongs to one open environment of one process: a lock (flock of `owner.lock` in it)
 * refuses a second one. Keys are 1 to KS_LMDB_KEY_MAX bytes and ordered as memcmp orders them.
 *
 * Outputs are written on success only.
 *
 * Threads: all threads may use an environment. There is one write transaction at a time, which
 * belongs to the thread that began it; a second one waits. A read transaction may move between
 * threads, and one thread at a time uses it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

#define KS_LMDB_KEY_MAX       511U /* bytes: LMDB's own limit as Debian builds it */
#define KS_LMDB_DATABASES_MAX 32U

struct ks_lmdb;
struct ks_lmdb_write;
struct ks_lmdb_read;

/* A named database of an environment; a value, valid as long as the environment is open. */
typedef struct ks_lmdb_db {
    unsigned id;
} ks_lmdb_db;

struct ks_lmdb_options {
    const char *folder;   /* exists; borrowed during open */
    size_t map_len_max;   /* bytes that the data file may grow to; a multiple of 4096 */
    unsigned readers_max; /* read transactions at a time; 0: 126 */
    bool no_sync; /* commits reach the disk only by ks_lmdb_sync; after a crash of the machine the
                     file may be damaged without a sign, so the caller must keep a marker */
};

/* Returns what went wrong in the last failed call of this thread, for logs; static, never NULL. */
const char *ks_lmdb_last_error(void);

/*
 * Opens the environment, and makes the files of a new one.
 *
 * ret_env  the caller's, who closes it with ks_lmdb_close.
 *
 * Fails: CONFLICT (another process, or this one, has the folder open), NOT_FOUND (no such folder),
 * ACCESS_DENIED (file permissions), CORRUPT (not an LMDB file, another version of it, damaged),
 * LIMIT_EXCEEDED (the disk is full, or no memory to map), INTERNAL (anything else).
 */
KS_MUST_USE ks_result ks_lmdb_open(const struct ks_lmdb_options *options, struct ks_lmdb **ret_env);

/* Closes the environment and unlocks the folder. Every transaction must have ended. NULL is allowed. */
void ks_lmdb_close(struct ks_lmdb *env);
void ks_lmdb_close_at(struct ks_lmdb **env);
#define KS_LMDB_AUTO KS_CLEANUP(ks_lmdb_close_at) struct ks_lmdb

/*
 * Opens a named database, and makes it if it is absent. This thread must have no open transaction.
 * Fails: LIMIT_EXCEEDED (KS_LMDB_DATABASES_MAX, or full), CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_lmdb_database(struct ks_lmdb *env, const char *name, ks_lmdb_db *ret_db);

/*
 * Forces all commits to disk.
 * Fails: LIMIT_EXCEEDED (disk full), INTERNAL (I/O error); which commits are on disk is then unknown.
 */
KS_MUST_USE ks_result ks_lmdb_sync(struct ks_lmdb *env);

/* Returns how many bytes of the data file are in use, which map_len_max bounds. */
size_t ks_lmdb_used_len(struct ks_lmdb *env);

/*
 * Begins a write transaction, once the one under way has ended.
 * Fails: CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_lmdb_write_begin(struct ks_lmdb *env, struct ks_lmdb_write **ret_write);

/*
 * Sets key to value. After any failure of a write the caller can only abort the transaction.
 * Fails: LIMIT_EXCEEDED (map_len_max reached), VALIDATION (empty or long key), CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_lmdb_put(struct ks_lmdb_write *write, ks_lmdb_db db, ks_bytes key,
                                  ks_bytes value);

/* Removes key. Fails: NOT_FOUND (it was absent; the transaction goes on), else as ks_lmdb_put. */
KS_MUST_USE ks_result ks_lmdb_delete(struct ks_lmdb_write *write, ks_lmdb_db db, ks_bytes key);

/* Removes every key of the database; the database stays. Fails as ks_lmdb_put. */
KS_MUST_USE ks_result ks_lmdb_clear(struct ks_lmdb_write *write, ks_lmdb_db db);

/*
 * Reads as ks_lmdb_get does, and sees this transaction's own changes. The value is good until the
 * transaction's next change or end. Fails: as ks_lmdb_get.
 */
KS_MUST_USE ks_result ks_lmdb_write_get(struct ks_lmdb_write *write, ks_lmdb_db db, ks_bytes key,
                                        ks_bytes *ret_value);

/*
 * Finds the first key that starts with prefix (empty: the first of all), with this transaction's
 * own changes.
 * ret_key  good until the transaction's next change or end; untouched after a failure.
 * Fails: NOT_FOUND (there is none), VALIDATION (the prefix is longer than any key), CORRUPT,
 * INTERNAL.
 */
KS_MUST_USE ks_result ks_lmdb_write_first(struct ks_lmdb_write *write, ks_lmdb_db db,
                                          ks_bytes prefix, ks_bytes *ret_key);

/*
 * Commits and ends the transaction. After a failure it has ended, too, and nothing of it is kept.
 * Fails: LIMIT_EXCEEDED (disk or map full), CORRUPT, INTERNAL (I/O error).
 */
KS_MUST_USE ks_result ks_lmdb_commit(struct ks_lmdb_write *write);

/* Ends the transaction and keeps nothing of it. NULL is allowed. */
void ks_lmdb_abort(struct ks_lmdb_write *write);
void ks_lmdb_abort_at(struct ks_lmdb_write **write);
#define KS_LMDB_WRITE_AUTO KS_CLEANUP(ks_lmdb_abort_at) struct ks_lmdb_write

/*
 * Begins to read a snapshot of the last commit. While it is open LMDB cannot reuse old pages and the
 * file grows, so end it soon.
 * Fails: LIMIT_EXCEEDED (readers_max are open), CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_lmdb_read_begin(struct ks_lmdb *env, struct ks_lmdb_read **ret_read);
void ks_lmdb_read_end(struct ks_lmdb_read *read);
void ks_lmdb_read_end_at(struct ks_lmdb_read **read);
#define KS_LMDB_READ_AUTO KS_CLEANUP(ks_lmdb_read_end_at) struct ks_lmdb_read

/*
 * Reads the value of key, which is borrowed from the file until the transaction ends.
 * Fails: NOT_FOUND, VALIDATION (empty or long key), CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_lmdb_get(struct ks_lmdb_read *read, ks_lmdb_db db, ks_bytes key,
                                  ks_bytes *ret_value);

/* Counts the keys of a database. Fails: CORRUPT, INTERNAL. */
KS_MUST_USE ks_result ks_lmdb_count(struct ks_lmdb_read *read, ks_lmdb_db db, size_t *ret_count);

/* Which keys to visit, in order. */
struct ks_lmdb_span {
    ks_bytes prefix;  /* empty: every key */
    ks_bytes start;   /* empty: from the first with the prefix */
    bool after_start; /* start itself is left out */
};

/* A walk over the keys of a span. It must end before its read transaction. */
struct ks_lmdb_walk;

/*
 * Begins a walk. span is copied.
 * Fails: VALIDATION (start is too long), CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_lmdb_walk_begin(struct ks_lmdb_read *read, ks_lmdb_db db,
                                         const struct ks_lmdb_span *span,
                                         struct ks_lmdb_walk **ret_walk);

/*
 * Steps to the next key and its value, which are borrowed until the transaction ends.
 * Fails: NOT_FOUND (there are no more), CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_lmdb_walk_next(struct ks_lmdb_walk *walk, ks_bytes *ret_key,
                                        ks_bytes *ret_value);
void ks_lmdb_walk_end(struct ks_lmdb_walk *walk);
void ks_lmdb_walk_end_at(struct ks_lmdb_walk **walk);
#define KS_LMDB_WALK_AUTO KS_CLEANUP(ks_lmdb_walk_end_at) struct ks_lmdb_walk
