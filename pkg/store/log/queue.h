/*
 * queue: the mutations that wait for a transaction, and which of them go into the next one.
 *
 *   accounts   take turns, one mutation each, so that one with many waiting has no more than its
 *              share of a group while others wait
 *   hot keys   a mutation waits while a key that it touches is being changed by another one: until
 *              that one's outcome is known, and the copy has applied it. It does not keep those
 *              behind it waiting
 *   conflicts  where the copy has a newer revision than a compare names, the compare can't hold: the
 *              answer is CONFLICT, and etcd is not asked
 *
 * So of many updates of one key that were decided on the same revision, one goes to etcd, and the
 * others are refused as soon as the copy has it.
 *
 * What waits on a key is remembered by a hash without a key, in places that others may take. An error of that kind
 * makes a mutation wait for a moment, or go to etcd and be refused there; the outcome is the same.
 *
 * Threads: one. Pure but for the functions it is given.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/result.h"
#include "pkg/store/engine/pending.h"
#include "pkg/store/log/group.h"

struct ks_queue;

/* What the copy says. */
struct ks_queue_copy {
    int64_t applied;
    int64_t (*revision_of)(void *user, ks_bytes key); /* of the record; 0: there is none */
    void *user;
};

/* Takes pending over, which is to be answered with code: nothing was done. */
typedef void ks_queue_refuse(void *user, struct ks_pending *pending, ks_code code);

/* Makes an empty queue; never NULL. */
struct ks_queue *ks_queue_new(void);

/* Frees it; nothing may wait in it any more. NULL is fine. */
void ks_queue_free(struct ks_queue *queue);

/* Appends a mutation, which the queue owns from now on. */
void ks_queue_push(struct ks_queue *queue, struct ks_pending *pending);

/* Returns how many mutations wait. */
size_t ks_queue_count(const struct ks_queue *queue);

/*
 * Moves mutations into an empty group, which owns them then, and gives those to refuse that can't be
 * done: CONFLICT, LIMIT_EXCEEDED (too large for any transaction). One that the copy may be too old
 * for, or that was done before, makes the group careful, or waits for a careful one.
 *
 * Returns the number of the group, for ks_queue_done. If the group is empty, nothing can go before a
 * group is done, or the copy has applied more; its number means nothing then.
 */
uint64_t ks_queue_fill(struct ks_queue *queue, const struct ks_queue_copy *copy,
                       struct ks_group *group, ks_queue_refuse *refuse, void *user);

/*
 * Notes that a group's outcomes are known, or given up. What waits for the keys that it changed
 * waits until the copy has applied `revision`; 0: it waits no more.
 */
void ks_queue_done(struct ks_queue *queue, uint64_t number, int64_t revision);

/* Gives those to refuse, with UNAVAILABLE, whose deadline is now_ns or before. INT64_MAX: all. */
void ks_queue_expire(struct ks_queue *queue, int64_t now_ns, ks_queue_refuse *refuse, void *user);
