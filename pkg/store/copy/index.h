/*
 * index: what the copy knows of the records under a prefix, kept by the same change that puts and
 * deletes them: how many there are, and the newest revision that changed one, deletions too. An
 * absence or a list rests on that revision, a quota on that count.
 *
 *   "prefix"  prefix            -> newest revision 8 bytes | checksum 4 bytes | count 8 bytes
 *   "empty"   newest 8 | prefix -> nothing: the prefixes with a count of 0, the oldest first
 *   "due"     the key up to its first slash | due time 8 | the rest of the key -> nothing: the records
 *             that somebody must see to at a time, the earliest first
 *
 * Integers are big-endian. A prefix ends a path level that the table of index.c names; of other
 * prefixes nothing is kept.
 *
 * A prefix that has become empty is forgotten KS_INDEX_KEPT_REVISIONS later, and after a load no
 * prefix has a history. The floor of the copy's position is for both: a prefix may have changed at
 * any revision up to the floor, and at no later one than that or its entry's. A floor that is too
 * high makes an answer wait for a settlement that it does not need; it never makes it wrong.
 *
 * Threads: the store's for changes; any for reads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/lmdb/lmdb.h"

#define KS_INDEX_LEVELS_MAX 2U /* prefixes that are kept of one key */

/*
 * At 1000 revisions a second these are 100 s. Every keystore has applied a revision that old, or is
 * not on the list any more, so that what rests on it waits for nothing.
 */
#define KS_INDEX_KEPT_REVISIONS 100000

struct ks_index {
    ks_lmdb_db prefixes;
    ks_lmdb_db empty;
    ks_lmdb_db due;
};

/* What is known of a prefix; zero: nothing. */
struct ks_index_entry {
    int64_t newest;
    uint64_t count;
};

/*
 * Gives the prefixes of a record's key of which something is kept, and returns how many they are.
 * ret_prefixes  borrows key; only the first ones, as many as are returned, are written.
 */
size_t ks_index_prefixes_of(ks_bytes key, ks_bytes ret_prefixes[KS_INDEX_LEVELS_MAX]);

/* Returns whether something is kept of that prefix. */
bool ks_index_keeps(ks_bytes prefix);

/*
 * Gives the directory of a key: the prefix of a kind of records of which one key, or one grantee, has
 * many, which are kept together and can be deleted by one op. Returns false if it has none.
 * ret_directory  borrows key; untouched if there is none.
 */
bool ks_index_directory(ks_bytes key, ks_bytes *ret_directory);

/*
 * Makes the index's databases if they are absent. Fails: as ks_lmdb_database; ret_index is
 * untouched then.
 */
KS_MUST_USE ks_result ks_index_open(struct ks_lmdb *env, struct ks_index *ret_index);

/* Forgets everything. Fails: LIMIT_EXCEEDED (the copy is full), CORRUPT, INTERNAL. */
KS_MUST_USE ks_result ks_index_clear(const struct ks_index *index, struct ks_lmdb_write *write);

/* What has become of a record. */
enum ks_index_event { KS_INDEX_ADDED, KS_INDEX_CHANGED, KS_INDEX_REMOVED };

/*
 * Notes what has become of the record `key` at revision, and forgets prefixes that have been empty
 * for long.
 * floor  the copy's; raised to the newest revision of what is forgotten.
 * Fails: LIMIT_EXCEEDED (the copy is full), CORRUPT, INTERNAL; write can then only be aborted.
 */
KS_MUST_USE ks_result ks_index_note(const struct ks_index *index, struct ks_lmdb_write *write,
                                    ks_bytes key, enum ks_index_event event, int64_t revision,
                                    int64_t *floor);

/*
 * Notes that the record `key`, which was due at before_ms, is due at after_ms; 0: never.
 * Fails: LIMIT_EXCEEDED (the copy is full), CORRUPT, INTERNAL; write can then only be aborted.
 */
KS_MUST_USE ks_result ks_index_note_due(const struct ks_index *index, struct ks_lmdb_write *write,
                                        ks_bytes key, int64_t before_ms, int64_t after_ms);

/*
 * Calls `each` with the keys of the records below root, which ends with the only slash in it, that
 * are due at until_ms or before, the earliest first, until it returns false. A key is borrowed for
 * the call.
 * Fails: CORRUPT, INTERNAL; `each` was then called for those before.
 */
KS_MUST_USE ks_result ks_index_scan_due(const struct ks_index *index, struct ks_lmdb_read *read,
                                        ks_bytes root, int64_t until_ms,
                                        bool (*each)(void *user, ks_bytes key), void *user);

/*
 * Reads what is known of a prefix, without regard to the floor.
 * ret_entry  untouched after a failure.
 * Fails: CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_index_read(const struct ks_index *index, struct ks_lmdb_read *read,
                                    ks_bytes prefix, struct ks_index_entry *ret_entry);
