/*
 * rcu: one object that many threads read and one replaces as a whole, without a lock.
 *
 * A writer builds a new version and publishes it with one swap; it must not touch the version after
 * that. The old version is freed once no thread reads it any more. A reader takes a snapshot, looks
 * at it for some microseconds and releases it. It must not keep a pointer into the snapshot, and must
 * neither block nor publish while it holds one.
 *
 * This uses liburcu's flavour "bp", which registers a thread when it first reads and removes it when
 * it ends. Threads that a library started are therefore covered. Reading costs some nanoseconds more
 * than with the other flavours, and it does not survive a fork.
 *
 * Threads: snapshots from any thread, one at a time in each; publishing by one thread at a time.
 */
#pragma once

#include <stdbool.h>

#include "pkg/base/mem.h"

struct ks_rcu;

/* Frees a version. Called on a thread of liburcu's own. */
typedef void (*ks_rcu_free_fn)(void *version);

/* Makes a place that has no version yet; never NULL. Free with ks_rcu_free. */
struct ks_rcu *ks_rcu_new(ks_rcu_free_fn free_version);

/*
 * Frees the place and its version, and waits until older versions are freed. No thread may read any
 * more. NULL is allowed.
 */
void ks_rcu_free(struct ks_rcu *rcu);

/* A version that stays as it is until it is released. */
struct ks_rcu_snapshot {
    const void *version; /* NULL: none was published yet */
    bool held;
};

/* Returns a snapshot of what is published now, which the same thread must release. */
struct ks_rcu_snapshot ks_rcu_acquire(const struct ks_rcu *rcu);

/* Releases a snapshot and clears its pointer. A released one and the zero value are allowed. */
void ks_rcu_release(struct ks_rcu_snapshot *snapshot);
#define KS_RCU_AUTO KS_CLEANUP(ks_rcu_release) struct ks_rcu_snapshot

/*
 * Returns what was published last; NULL if nothing was. Only the thread that publishes may call it, to
 * build the next version from the last one.
 */
const void *ks_rcu_current(const struct ks_rcu *rcu);

/*
 * Publishes a version, which belongs to rcu from now on: every later snapshot is of it. The calling
 * thread must not hold a snapshot. Returns at once; the version before is freed later.
 */
void ks_rcu_publish(struct ks_rcu *rcu, void *version);
