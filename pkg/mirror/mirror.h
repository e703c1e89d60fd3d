/*
 * mirror: a copy on this disk of records whose truth is elsewhere, with the head that control has
 * signed for its state (pkg/signedset). It can say what has changed since a revision.
 *
 *   data0, data1   key -> u64 revision | u8 kind | value. One of them is active, the other is where a
 *                  snapshot comes together before it takes the active one's place.
 *   log0, log1     u64 revision | key -> kind: the same records by the revision of their change
 *   gone           u64 revision | key -> nothing: the tombstones among the active ones, oldest first
 *   meta           "state": which one is active, the floor, the sum, the head
 *
 * A record that was deleted leaves a tombstone. When there are too many, the oldest go, and the floor
 * rises to their revision: a follower that has less than the floor needs a snapshot.
 *
 * A state gets onto the disk together with its head, or not at all. An owner that has no head yet for
 * what it is about to write (control) signs one; one that has (a follower) compares: see seal.
 *
 * Threads: one makes changes and asks for status; any may take views.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/signedset/head.h"

#define KS_MIRROR_KEY_LEN_MAX    400U
#define KS_MIRROR_TOMBSTONES_MAX 262144U
#define KS_MIRROR_BYTES_DEFAULT  (16ULL << 30)

struct ks_mirror_db;
struct ks_mirror_view;

/* {0} in a field with "default" means that default. */
struct ks_mirror_options {
    const char *folder;    /* made if absent, with the one above it; borrowed during open */
    uint64_t bytes_max;    /* default KS_MIRROR_BYTES_DEFAULT; what does not fit is refused */
    size_t tombstones_max; /* default KS_MIRROR_TOMBSTONES_MAX */
};

struct ks_mirror_record {
    ks_bytes key;
    ks_bytes value;   /* {NULL, 0}: it was deleted */
    int64_t revision; /* of its last change: above 0 */
};

/*
 * Says which head goes with a state that is about to be written: signs one, or compares the sum with
 * the one that has come. A failure keeps the mirror as it was, and is what the caller gets.
 * ret_bytes  the signed form is appended; it is empty before.
 */
typedef ks_result (*ks_mirror_seal_fn)(void *user, const struct ks_set_sum *sum,
                                       struct ks_head *ret_head, struct ks_buffer *ret_bytes);

/*
 * Opens the mirror. One that is damaged is thrown away: its truth is elsewhere.
 * ret_mirror  the caller's; close with ks_mirror_db_close. Written on success only.
 * Fails: as ks_lmdb_open, but not CORRUPT.
 */
KS_MUST_USE ks_result ks_mirror_db_open(const struct ks_mirror_options *options,
                                        struct ks_mirror_db **ret_mirror);

/* Closes it; all its views must have been closed. NULL is fine. */
void ks_mirror_db_close(struct ks_mirror_db *mirror);

/*
 * Computes the sum of all records anew, and compares it with the head. A mirror that differs has been
 * damaged, or written by another hand.
 * Fails: CORRUPT (they differ), INTERNAL. Both leave the mirror as it is: ks_mirror_db_empty.
 */
KS_MUST_USE ks_result ks_mirror_db_check(struct ks_mirror_db *mirror);

/* Removes everything. Fails: LIMIT_EXCEEDED, CORRUPT, INTERNAL. */
KS_MUST_USE ks_result ks_mirror_db_empty(struct ks_mirror_db *mirror);

/*
 * Changes records, of which each key stands once at most, and takes a new head, in one step that is
 * on disk when this returns.
 * Fails: VALIDATION (a key or revision is out of range), LIMIT_EXCEEDED (the disk or the mirror is
 * full), CORRUPT, INTERNAL, or what seal fails with; the mirror is then as it was.
 */
KS_MUST_USE ks_result ks_mirror_db_change(struct ks_mirror_db *mirror,
                                          const struct ks_mirror_record *records, size_t count,
                                          ks_mirror_seal_fn seal, void *user);

/*
 * Begin a snapshot, add records to it in any number of calls (of one key the last one counts), and
 * put it in the place of what is there, if seal agrees. The old state stays until then.
 * Fails: as ks_mirror_db_change; a snapshot that has failed is begun anew.
 */
KS_MUST_USE ks_result ks_mirror_db_stage_begin(struct ks_mirror_db *mirror);
KS_MUST_USE ks_result ks_mirror_db_stage_add(struct ks_mirror_db *mirror,
                                             const struct ks_mirror_record *records, size_t count);
KS_MUST_USE ks_result ks_mirror_db_stage_finish(struct ks_mirror_db *mirror, ks_mirror_seal_fn seal,
                                                void *user);

/*
 * Takes a view of the mirror, which does not change. Close it soon: old pages can't be used again
 * before that.
 * ret_view  the caller's; close with ks_mirror_view_close. Written on success only.
 * Fails: UNAVAILABLE (too many are open), CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_mirror_view_open(struct ks_mirror_db *mirror,
                                          struct ks_mirror_view **ret_view);
void ks_mirror_view_close(struct ks_mirror_view *view);
void ks_mirror_view_close_at(struct ks_mirror_view **view);
#define KS_MIRROR_VIEW_AUTO KS_CLEANUP(ks_mirror_view_close_at) struct ks_mirror_view

/* Returns the head, borrowed from the view; NULL if the mirror is empty. */
const struct ks_head *ks_mirror_view_head(const struct ks_mirror_view *view);
/* Returns the head's signed form, borrowed from the view; empty if the mirror is. */
ks_bytes ks_mirror_view_head_bytes(const struct ks_mirror_view *view);
/* Returns the revision from which on changes are known: a follower that has less needs a snapshot. */
int64_t ks_mirror_view_floor(const struct ks_mirror_view *view);

/* A place among the changes: {0} is before the first one. */
struct ks_mirror_place {
    size_t len;
    uint8_t bytes[8 + KS_MIRROR_KEY_LEN_MAX];
};

/* Returns the place behind all changes up to revision. */
struct ks_mirror_place ks_mirror_after(int64_t revision);

/*
 * Calls `each` for the records and tombstones behind *place, in the order of their revisions, until
 * it returns false or there are no more; *place moves behind the last one that `each` took. Records
 * are borrowed until the view is closed. `each` returns false for one that it does not take.
 * ret_end  whether there are no more. Written on success only.
 * Fails: CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_mirror_view_changes(
    const struct ks_mirror_view *view, struct ks_mirror_place *place,
    bool (*each)(void *user, const struct ks_mirror_record *record), void *user, bool *ret_end);

/*
 * Looks up a record.
 * ret_record  borrowed until the view is closed. Written on success only.
 * Fails: NOT_FOUND (also for a tombstone), CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_mirror_view_get(const struct ks_mirror_view *view, ks_bytes key,
                                         struct ks_mirror_record *ret_record);

/* A walk over the records, without tombstones, in the order of their keys. */
struct ks_mirror_walk;

/*
 * Begins a walk.
 * ret_walk  the caller's, which ends before its view. Written on success only.
 * Fails: CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_mirror_walk_begin(const struct ks_mirror_view *view,
                                           struct ks_mirror_walk **ret_walk);
/*
 * Steps to the next record.
 * ret_record  borrowed until the view is closed. Written on success only.
 * Fails: NOT_FOUND (there are no more), CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_mirror_walk_next(struct ks_mirror_walk *walk,
                                          struct ks_mirror_record *ret_record);
void ks_mirror_walk_end(struct ks_mirror_walk *walk);
void ks_mirror_walk_end_at(struct ks_mirror_walk **walk);
#define KS_MIRROR_WALK_AUTO KS_CLEANUP(ks_mirror_walk_end_at) struct ks_mirror_walk
