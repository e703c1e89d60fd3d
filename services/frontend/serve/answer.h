/*
 * answer: turns a refusal into the status of a gRPC call. Private to serve/.
 *
 * Threads: pure; any.
 */
#pragma once

#include "pkg/operation/refusal.h"
#include "pkg/rpc/status.h"

/* Owns the texts that the status borrows. */
struct ks_answer_status {
    struct ks_rpc_status status;
    char violations[KS_REFUSAL_VIOLATIONS_MAX][KS_RPC_VALUE_MAX + 1];
};

/*
 * Makes the status of a refusal, whose code is not KS_OK.
 * ret_status  always written. It borrows from refusal, and from itself: it must not be moved.
 */
void ks_answer_status(const struct ks_refusal *refusal, struct ks_answer_status *ret_status);
