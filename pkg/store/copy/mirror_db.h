/*
 * mirror_db: records of another store, kept on this node's disk in an LMDB environment of their
 * own. They are forced to disk at each change and stay when the copy is thrown away, because a
 * region must be able to start again while the control plane is gone (design, promise 8).
 *
 * Outputs are written on success only.
 *
 * Threads: one makes changes; any may take snapshots.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/store/store.h"

struct ks_mirror_db;
struct ks_mirror_view;

/*
 * Opens the mirror in a folder, and makes its databases if they are absent.
 * ret_mirror  the caller's; close with ks_mirror_db_close.
 * Fails: as ks_lmdb_open. The files stay.
 */
KS_MUST_USE ks_result ks_mirror_db_open(const char *folder, uint64_t bytes_max,
                                        struct ks_mirror_db **ret_mirror);

/* Closes it; all its views must have been closed. NULL is fine. */
void ks_mirror_db_close(struct ks_mirror_db *mirror);

/* The arguments of ks_store_mirror_apply. */
struct ks_mirror_change {
    bool snapshot;
    const char *epoch;
    int64_t revision;
    const struct ks_store_op *ops;
    size_t op_count;
};

/*
 * Makes the change, which is on disk when this returns.
 * Fails: LIMIT_EXCEEDED (the disk or the mirror is full), CORRUPT, INTERNAL; the mirror is then as
 * it was.
 */
KS_MUST_USE ks_result ks_mirror_db_apply(struct ks_mirror_db *mirror,
                                         const struct ks_mirror_change *change);

/*
 * Takes a snapshot.
 * ret_view  the caller's; close with ks_mirror_view_close.
 * Fails: UNAVAILABLE (too many are open), CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_mirror_view_open(struct ks_mirror_db *mirror,
                                          struct ks_mirror_view **ret_view);

/* NULL is fine. */
void ks_mirror_view_close(struct ks_mirror_view *view);

/*
 * Gives the source's epoch and the revision that the mirror goes up to. Both are always written: ""
 * and 0 for an empty mirror and for a damaged one, so that its source fills it anew.
 */
void ks_mirror_view_position(const struct ks_mirror_view *view, char ret_epoch[40],
                             int64_t *ret_revision);

/*
 * Calls `each` for the records whose keys start with prefix, in order of their keys, until it
 * returns false. A record is borrowed until the view is closed; its revision is 0.
 * Fails: CORRUPT, INTERNAL; `each` was then called for the records before.
 */
KS_MUST_USE ks_result ks_mirror_view_scan(const struct ks_mirror_view *view, ks_bytes prefix,
                                          bool (*each)(void *user,
                                                       const struct ks_store_record *record),
                                          void *user);
