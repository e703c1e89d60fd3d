/*
 * tag: what the library hands back when an operation is done; step(owner, ok) runs on the loop.
 * One tag stands inside the object that owns the operation, which lives until step.
 *
 * Private to pkg/rpc.
 */
#pragma once

#include <stdbool.h>

#include <grpc/grpc.h>

struct ks_rpc_loop;

struct ks_rpc_tag {
    void (*step)(void *owner, bool ok);
    void *owner;
};

/* The loop's completion queue, for operations whose tags it shall run. */
grpc_completion_queue *ks_rpc_loop_queue(struct ks_rpc_loop *loop);
