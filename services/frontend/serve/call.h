/*
 * call: what a call and a batch have in common: which client asks, on which lane, and until when.
 * Private to serve/.
 *
 * Threads: the call's loop.
 */
#pragma once

#include <stdint.h>

#include "pkg/operation/check.h"
#include "services/frontend/identity/session.h"
#include "services/frontend/serve/service.h"

/* All borrowed until the call is answered. */
struct ks_asked {
    struct ks_rpc_call *call;
    const struct ks_operation *operation;
    struct ks_lane *lane;
    const struct ks_session *session;
    int64_t deadline_ns;        /* until when we work on it: CLOCK_BOOTTIME */
    int64_t client_deadline_ns; /* until when the client waits */
    const struct ks_clock *clock;
};

/*
 * Fills asked, on failure too, and checks that the client may call.
 * refusal  after a failure it says why, for the client; otherwise untouched.
 * Fails: UNAUTHENTICATED (the client may not call), UNAVAILABLE (no identities are known yet).
 */
KS_MUST_USE ks_result ks_asked_init(const struct ks_endpoint *endpoint, struct ks_rpc_call *call,
                                    struct ks_asked *asked, struct ks_refusal *refusal);

/*
 * Fills the members of request that come from its call. done and user are left to the caller; what
 * is filled in borrows from asked and message.
 */
void ks_asked_request(const struct ks_asked *asked, const struct ks_operation *operation,
                      ks_bytes message, struct ks_request *request);

/* Turns UNAVAILABLE into DEADLINE when it is the client's time that was too short. */
void ks_asked_settle(const struct ks_asked *asked, struct ks_refusal *refusal);

/* Writes the call's line to the log. request_id may be "". */
void ks_asked_log(const struct ks_asked *asked, const char *request_id, ks_code code);

/* Handlers of one request and of a batch: each answers the call once, now or later. */
void ks_unary_handle(void *user, struct ks_rpc_call *call);
void ks_batch_handle(void *user, struct ks_rpc_call *call);
