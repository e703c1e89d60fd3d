#include "pkg/rcu/rcu.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>

#include <urcu/urcu-bp.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif

/*
 * The library waits for readers in a way that ThreadSanitizer does not see. So it is told that
 * everything done with a holder before its last release happens before the holder is freed.
 */
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#include <sanitizer/tsan_interface.h>
#define NO_MORE_USE_OF(holder) __tsan_release(holder)
#define NOBODY_USES(holder)    __tsan_acquire(holder)
#else
#define NO_MORE_USE_OF(holder) (void)(holder)
#define NOBODY_USES(holder)    (void)(holder)
#endif

/* One version, and what the library needs to free it later. */
struct holder {
    struct rcu_head head;
    void *version;
    ks_rcu_free_fn free_version;
};

struct ks_rcu {
    _Atomic(struct holder *) current; /* read under RCU; replaced by the one writer */
    ks_rcu_free_fn free_version;
};

/* The snapshot of this thread. Snapshots do not nest: no code that has one needs another. */
static _Thread_local struct holder *held;
static _Thread_local bool holds_snapshot;

struct ks_rcu *ks_rcu_new(ks_rcu_free_fn free_version)
{
    assert(free_version);

    struct ks_rcu *rcu = ks_alloc(1, sizeof(*rcu));
    rcu->free_version = free_version;
    return rcu;
}

static void holder_free(struct holder *holder)
{
    holder->free_version(holder->version);
    ks_free(holder);
}

static void free_later(struct rcu_head *head)
{
    struct holder *holder = (struct holder *)((char *)head - offsetof(struct holder, head));
    NOBODY_USES(holder);
    holder_free(holder);
}

void ks_rcu_free(struct ks_rcu *rcu)
{
    if (!rcu) {
        return;
    }
    urcu_bp_barrier();
    struct holder *last = atomic_load(&rcu->current);
    if (last) {
        NOBODY_USES(last);
        holder_free(last);
    }
    ks_free(rcu);
}

struct ks_rcu_snapshot ks_rcu_acquire(const struct ks_rcu *rcu)
{
    assert(!holds_snapshot);

    urcu_bp_read_lock();
    holds_snapshot = true;
    held = atomic_load_explicit(&rcu->current, memory_order_acquire);
    return (struct ks_rcu_snapshot){.version = held ? held->version : NULL, .held = true};
}

void ks_rcu_release(struct ks_rcu_snapshot *snapshot)
{
    if (!snapshot->held) {
        return;
    }
    assert(holds_snapshot);

    if (held) {
        NO_MORE_USE_OF(held);
    }
    held = NULL;
    holds_snapshot = false;
    *snapshot = (struct ks_rcu_snapshot){0};
    urcu_bp_read_unlock();
}

const void *ks_rcu_current(const struct ks_rcu *rcu)
{
    const struct holder *holder = atomic_load_explicit(&rcu->current, memory_order_acquire);
    return holder ? holder->version : NULL;
}

void ks_rcu_publish(struct ks_rcu *rcu, void *version)
{
    assert(version);
    assert(!holds_snapshot);

    struct holder *holder = ks_alloc(1, sizeof(*holder));
    holder->version = version;
    holder->free_version = rcu->free_version;
    struct holder *old = atomic_exchange_explicit(&rcu->current, holder, memory_order_acq_rel);
    if (old) {
        NO_MORE_USE_OF(old);
        urcu_bp_call_rcu(&old->head, free_later);
    }
}
