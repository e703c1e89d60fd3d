/*
 * mirror: records of another store, kept on this node's disk in an LMDB environment of their own.
 * It is forced to disk at each change and does not go when the copy is thrown away: a region must
 * be able to start again while the control plane is gone (design, promise 8).
 *
 * Threads: changes by one; snapshots by any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/store/store.h"

struct ks_mirror_db;
struct ks_mirror_view;

/* Fails: as ks_lmdb_open. */
KS_MUST_USE ks_result ks_mirror_db_open(const char *folder, uint64_t bytes_max,
                                        struct ks_mirror_db **ret_mirror);
void ks_mirror_db_close(struct ks_mirror_db *mirror);

/* As ks_store_mirror_apply. */
struct ks_mirror_change {
    bool snapshot;
    const char *epoch;
    int64_t revision;
    const struct ks_store_op *ops;
    size_t op_count;
};
KS_MUST_USE ks_result ks_mirror_db_apply(struct ks_mirror_db *mirror,
                                         const struct ks_mirror_change *change);

/* A snapshot. Fails: UNAVAILABLE (too many are open), CORRUPT, INTERNAL. */
KS_MUST_USE ks_result ks_mirror_view_open(struct ks_mirror_db *mirror,
                                          struct ks_mirror_view **ret_view);
void ks_mirror_view_close(struct ks_mirror_view *view);

/* "" and 0 for an empty mirror, and for a damaged one: it is filled anew by its source. */
void ks_mirror_view_position(const struct ks_mirror_view *view, char ret_epoch[40],
                             int64_t *ret_revision);
KS_MUST_USE ks_result ks_mirror_view_scan(const struct ks_mirror_view *view, ks_bytes prefix,
                                          bool (*each)(void *user,
                                                       const struct ks_store_record *record),
                                          void *user);
