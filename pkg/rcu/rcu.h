/*
 * rcu: one object that many threads read and one replaces as a whole, without a lock.
 *
 * A writer builds the new version, publishes it with one swap and forgets it; the old version is
 * freed once nobody reads it any more. A reader takes a snapshot, looks at it for some microseconds
 * and releases it: no pointer into it may be kept, and nothing in between may block or publish.
 *
 * Flavour: liburcu's "bp". A thread is registered when it first reads and taken off when it ends, so
 * that no thread of a library can be forgotten; reading costs some nanoseconds more than with the
 * other flavours. It does not survive a fork.
 *
 * Threads: snapshots from any thread, one at a time in each; publishing by one thread at a time.
 */
#pragma once

#include <stdbool.h>

#include "pkg/base/mem.h"

struct ks_rcu;

/* Frees a version, on a thread of the library's own. */
typedef void (*ks_rcu_free_fn)(void *version);

/* A place with no version in it. Free with ks_rcu_free. */
struct ks_rcu *ks_rcu_new(ks_rcu_free_fn free_version);

/* Frees the version and waits until old ones are freed. Nobody reads any more. NULL is fine. */
void ks_rcu_free(struct ks_rcu *rcu);

/* A version that stays as it is until it is released. */
struct ks_rcu_snapshot {
    const void *version; /* NULL: none was published yet */
    bool held;
};

/* Takes what is published now. Release it on the same thread. */
struct ks_rcu_snapshot ks_rcu_acquire(const struct ks_rcu *rcu);

/* The pointer is gone after this. A released one, and the zero value, are fine. */
void ks_rcu_release(struct ks_rcu_snapshot *snapshot);
#define KS_RCU_AUTO KS_CLEANUP(ks_rcu_release) struct ks_rcu_snapshot

/*
 * What was published last, for the one thread that publishes: to build the next version from.
 * NULL: none was.
 */
const void *ks_rcu_current(const struct ks_rcu *rcu);

/*
 * Takes version over; whoever acquires from now on gets it. Not while holding a snapshot. Returns at
 * once; the version before is freed later.
 */
void ks_rcu_publish(struct ks_rcu *rcu, void *version);
