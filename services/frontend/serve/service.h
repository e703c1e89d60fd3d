/*
 * service: the methods of keystead.kms.v1 on the public listener. It lets a caller in, makes one
 * request of a call or many of a batch, and answers.
 *
 * Threads: main makes it before the listener opens; handlers run on the loops.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/operation/operation.h"
#include "pkg/rpc/server.h"
#include "services/frontend/route/lane.h"

struct ks_rcu;
struct ks_service;

/* One row of the listener's table. */
struct ks_endpoint {
    struct ks_service *service;
    const struct ks_operation *operation;
};

/* All borrowed as long as the listener. */
struct ks_service {
    struct ks_rpc_loop *loops[KS_RPC_LOOPS_MAX]; /* lanes[i] belongs to loops[i] */
    struct ks_lane *lanes[KS_RPC_LOOPS_MAX];
    size_t lane_count;
    const struct ks_rcu *identities;
    const struct ks_clock *clock;
    int64_t timeout_ms; /* a request is given up after this, even if its client waits for longer */

    /* Filled by ks_service_methods: one for each of its methods. */
    struct ks_endpoint endpoints[KS_OPERATION_COUNT];
};

/*
 * Writes a row for each operation to ret_methods, which has room for KS_OPERATION_COUNT, and
 * returns their number.
 */
size_t ks_service_methods(struct ks_service *service, struct ks_rpc_method *ret_methods);
