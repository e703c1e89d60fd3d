/*
 * request: takes one request of the API from its bytes to its outcome. A call is one request, a
 * batch is many.
 *
 *     check ─► decide on what is known ─► send to a keystore
 *                      ▲                         │
 *                      └── STALE_VIEW: newer ◄───┤
 *                          views                 └──► done
 *
 * Every request goes to a keystore, even one that was decided as denied: only a keystore knows
 * whether the facts that the decision rests on are still true.
 *
 * Threads: a request belongs to one loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/operation/bounds.h"
#include "pkg/operation/check.h"
#include "services/frontend/route/item.h"
#include "services/frontend/route/upstream.h"
#include "services/frontend/route/views.h"

#define KS_REQUEST_ROUNDS_MAX 4U /* decisions about one request */

struct ks_clock;

/* What a loop has for its requests. All borrowed, as long as the loop's last request. */
struct ks_router {
    const struct ks_home *home;
    const struct ks_clock *clock;
    struct ks_views *views;
    /* ks_upstream_send, or a fake of it. */
    ks_result (*send)(void *upstream, struct ks_upstream_item *item, int64_t now_ns);
    void *upstream;
};

struct ks_request {
    /* The maker's; borrowed until done. */
    struct ks_router *router;
    const struct ks_operation *operation; /* no batch */
    const char *account;                  /* of the caller */
    const char *principal;                /* its ARN */
    ks_bytes message;
    int64_t deadline_ns; /* CLOCK_BOOTTIME */
    /*
     * Called once, later, unless ks_request_start failed. response is borrowed for the call; it is
     * the answer if refusal.code is KS_OK.
     */
    void (*done)(struct ks_request *request, ks_bytes response);
    void *user;

    /* The outcome. */
    struct ks_refusal refusal;
    char request_id[KS_REQUEST_ID_MAX + 1]; /* the client's or the one that was made; "": none */

    /* The request's own. */
    struct ks_checked checked; /* borrows from message */
    struct ks_item item;
    struct ks_upstream_item outgoing;
    unsigned rounds;
};

/*
 * Starts a request. Its memory is the maker's, and must not be moved until done is called.
 * Fails: with the code of the check, THROTTLED (the keystores have too much to do), INTERNAL (no
 * randomness); request->refusal then says why, and done is not called.
 */
KS_MUST_USE ks_result ks_request_start(struct ks_request *request);

/*
 * Frees what the request holds; its own memory stays the maker's. To be called after done, or after
 * ks_request_start has failed.
 */
void ks_request_done(struct ks_request *request);
