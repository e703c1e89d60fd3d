/*
 * call: what a call and a batch have in common: who asks, on which lane, and until when.
 *
 * Private to serve/. Threads: the call's loop.
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
    int64_t deadline_ns;        /* of our work: CLOCK_BOOTTIME */
    int64_t client_deadline_ns; /* of the client */
    const struct ks_clock *clock;
};

/*
 * Lets the caller in. asked is filled in any case.
 * Fails: UNAUTHENTICATED, UNAVAILABLE (no identities yet); refusal says why.
 */
KS_MUST_USE ks_result ks_asked_init(const struct ks_endpoint *endpoint, struct ks_rpc_call *call,
                                    struct ks_asked *asked, struct ks_refusal *refusal);

/* Fills what a request has from its call. done and user are the caller's. */
void ks_asked_request(const struct ks_asked *asked, const struct ks_operation *operation,
                      ks_bytes message, struct ks_request *request);

/* Turns UNAVAILABLE into DEADLINE when it is the client's time that was too short. */
void ks_asked_settle(const struct ks_asked *asked, struct ks_refusal *refusal);

/* Writes the call's line to the log. request_id may be "". */
void ks_asked_log(const struct ks_asked *asked, const char *request_id, ks_code code);

/* Handlers: each answers the call. */
void ks_unary_handle(void *user, struct ks_rpc_call *call);
void ks_batch_handle(void *user, struct ks_rpc_call *call);
