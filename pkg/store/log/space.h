/*
 * space: who may still write while etcd fills up, and how much history is kept. Pure.
 *
 * etcd has a quota of its own, and behind it refuses every change that is not nested (beat.c). A
 * cell where nobody can be revoked any more is lost, so a part of the quota is kept for those who
 * take away: at KS_SPACE_GROWTH_PERCENT nothing grows any more, at KS_SPACE_CHANGE_PERCENT nothing
 * is changed but to withdraw.
 *
 * What counts is what etcd's database uses, not its file: free pages in the file are used again.
 * etcd's own quota counts the file, so a file that has grown is defragmented before it gets there.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/store/store.h"

#define KS_SPACE_GROWTH_PERCENT 70U
#define KS_SPACE_CHANGE_PERCENT 90U

/*
 * History that is kept behind what everyone has applied, so that a keystore that restarts goes on
 * from its disk: 20,000 revisions are a minute of heavy writing, or most of an hour of heartbeats.
 * Large records reach the other bound first, a part of the quota: 256 MiB of 4 GiB.
 */
#define KS_HISTORY_REVISIONS_MAX 20000
#define KS_HISTORY_PART          16U

/*
 * While room is scarce so few revisions are kept that what is deleted is free at once: a record
 * that was deleted is still there as long as a revision before that is kept. A keystore that lags
 * farther behind loads its copy anew.
 */
#define KS_HISTORY_SCARCE_REVISIONS 64

/* What is known of a cell's etcd. */
struct ks_space {
    uint64_t quota_len;   /* --quota-backend-bytes of its members */
    uint64_t used_len;    /* of the member that uses most */
    bool is_out_of_quota; /* etcd has said so: its alarm is raised, or a write was refused */
};

/* Returns whether a mutation of this kind may be sent. */
bool ks_space_admits(const struct ks_space *space, enum ks_store_room room);

/*
 * Returns whether a member with such a file should be defragmented: it takes half of the quota, a
 * fifth of it for nothing; or it takes four fifths, a tenth for nothing.
 */
bool ks_space_is_loose(const struct ks_space *space, uint64_t file_len, uint64_t used_len);

#define KS_HISTORY_MARKS 64U

/* How many bytes of keys and values the newest revisions hold. */
struct ks_history_len {
    uint64_t len_max; /* what is kept; the rest is zero at first */
    struct {
        int64_t revision; /* everything up to it was seen when... */
        uint64_t len;     /* ...so many bytes had been */
    } marks[KS_HISTORY_MARKS];
    size_t next; /* place of the next mark */
    uint64_t len;
    int64_t newest;
};

/* To be called when revisions up to `revision`, with so many bytes, were applied. */
void ks_history_len_add(struct ks_history_len *history, int64_t revision, uint64_t len);

/*
 * Returns up to which revision history can go, given what everyone has applied: 0 or less means
 * that nothing can.
 */
int64_t ks_history_len_floor(const struct ks_history_len *history, int64_t applied_by_all,
                             bool is_scarce);
