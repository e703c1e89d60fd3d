/*
 * history: whether etcd's log is the one that a copy was made from.
 *
 * etcd can go back: its lost majority is replaced by a survivor that was behind
 * (`--force-new-cluster`), or it is restored from a snapshot. Cluster id and epoch may then be the
 * same ones, and its counters soon catch up, so they prove nothing. The nonce does: each
 * transaction puts another one into the revision record (struct ks_nonce). A copy remembers the
 * last transaction that it applied, its anchor. If etcd has the same nonce at the same revision,
 * both have the same history up to there. Otherwise the copy holds what etcd has lost: it may
 * neither be served nor be replaced, until somebody decides.
 *
 * Threads: pure.
 */
#pragma once

#include "pkg/store/copy/anchor.h"

/* What etcd has now. */
struct ks_history_found {
    struct ks_copy_source source; /* an empty epoch: there is no epoch record */
    int64_t revision;             /* etcd's newest */
    int64_t rev_revision;         /* of the revision record; 0: there is none */
    bool has_nonce;               /* its value has the form of a nonce */
    struct ks_nonce nonce;
};

enum ks_history_verdict {
    KS_HISTORY_SAME,
    KS_HISTORY_ASK,   /* etcd is newer: look at the revision record as of the anchor's revision */
    KS_HISTORY_OTHER, /* another cluster or another epoch: the anchor says nothing about it */
    KS_HISTORY_EMPTY, /* etcd holds nothing of the cell */
    KS_HISTORY_LOST,  /* etcd lacks the anchor's transaction: it has gone back */
    KS_HISTORY_FORM,  /* the revision record has no form that we know */
};

/* Returns whether both are the same cluster in the same epoch. */
bool ks_history_same_source(const struct ks_copy_source *a, const struct ks_copy_source *b);

/* Returns what etcd's newest state says of the anchor. */
enum ks_history_verdict ks_history_judge(const struct ks_anchor *anchor,
                                         const struct ks_history_found *found);

/*
 * Returns SAME or LOST for the revision record as it was at the anchor's revision: its mod revision
 * then (0: there was none), and its value.
 */
enum ks_history_verdict ks_history_judge_then(const struct ks_anchor *anchor, int64_t rev_revision,
                                              ks_bytes value);
