/*
 * tag: the pointer that the library hands back when an operation has ended; the loop then calls
 * step(owner, ok). A tag is a member of the object that owns the operation and that lives until
 * then.
 *
 * Private to pkg/rpc.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include <grpc/grpc.h>

struct ks_rpc_loop;

struct ks_rpc_tag {
    void (*step)(void *owner, bool ok);
    void *owner;
    /*
     * A step sees what was written before its operation began. The library guarantees that; this
     * flag says it in C, for ThreadSanitizer, which can't look into the library.
     */
    atomic_bool begun;
};

#define KS_RPC_TAG(function, object) ((struct ks_rpc_tag){.step = (function), .owner = (object)})

/* Returns the tag of an operation that is about to begin, in the form that the library takes. */
static inline void *ks_rpc_tag_begin(struct ks_rpc_tag *tag)
{
    atomic_store_explicit(&tag->begun, true, memory_order_release);
    return tag;
}

static inline void ks_rpc_tag_run(struct ks_rpc_tag *tag, bool ok)
{
    (void)atomic_load_explicit(&tag->begun, memory_order_acquire);
    tag->step(tag->owner, ok);
}

/* Returns the loop's completion queue, for operations whose tags it is to run. */
grpc_completion_queue *ks_rpc_loop_queue(struct ks_rpc_loop *loop);
