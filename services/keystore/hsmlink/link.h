/*
 * link: requests to the zone's hsm over its Unix socket (keystead/internal/v1/hsm.proto).
 *
 * While a frame is on its way to the hsm, new requests wait, and the next frame takes all of them.
 * The busier the keystore is, the more requests one frame holds; no request waits for a timer. A
 * caller with several requests surrounds them with hold and release, so that they go out in one
 * frame. A caller that works on replies does so in a deferred function, which runs when all replies
 * of a frame have been handed out. The thread that asks or releases writes the frame itself, as far
 * as the socket takes it at once; the link's thread writes the rest. In this way a message of many
 * items wakes the hsm once and then, by its reply, the link once.
 *
 * A link connects by itself, and connects again after each loss. After each connection its owner
 * gives the hsm what it needs (roster, domain keys) and then opens the link for all other requests.
 * Until the link is open, and whenever the connection is lost, requests fail with UNAVAILABLE at
 * once, so that a frontend goes to another keystore.
 *
 * Threads: one of its own, on which done, on_connected and on_lost run and must not block; every
 * function from any thread, and none of them blocks but start and free.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "keystead/internal/v1/hsm.pb-c.h"
#include "pkg/base/clock.h"
#include "pkg/base/result.h"
#include "services/keystore/hsmlink/about.h"
#include "services/keystore/records/message.h"

#define KS_HSM_LINK_PENDING_MAX 16384U /* requests that wait or are on their way; then THROTTLED */
#define KS_HSM_LINK_BATCH_MAX   256U   /* requests in a frame; hsm.proto's bound */
#define KS_HSM_LINK_ABOUT_MAX   64U    /* records that a request may name */
#define KS_HSM_LINK_RECORDS_MAX 1024U  /* records in a frame; hsm.proto's bound */
#define KS_HSM_LINK_FLYING_MAX  2U     /* frames on their way: one is worked on, one waits for it */
#define KS_HSM_LINK_TIMEOUT_MS  5000   /* without a reply the connection is given up after this */

struct ks_hsm_link;

struct ks_hsm_link_options {
    const char *socket_path;      /* copied */
    const struct ks_clock *clock; /* NULL: ks_clock_system */
    /*
     * The hsm is connected; the link is not open yet. life is a number for this connection alone.
     */
    void (*on_connected)(void *user, uint64_t life);
    /* The connection that on_connected announced is lost. */
    void (*on_lost)(void *user);
    void *user;
};

/*
 * How a request went: what the hsm answered, or UNAVAILABLE (no connection, or it was lost: the
 * request may have been carried out), THROTTLED (too many wait), INTERNAL (the hsm's answer makes
 * no sense). reply is NULL unless result is OK, borrowed during the call, and wiped after it.
 */
typedef void (*ks_hsm_done_fn)(void *user, ks_result result, const INTERNAL(HsmReply) * reply);

/*
 * Makes a link, which connects from ks_hsm_link_start on.
 * ret_link  the caller's; free with ks_hsm_link_free. Untouched after a failure.
 * Fails: INTERNAL (the system has no descriptor left).
 */
KS_MUST_USE ks_result ks_hsm_link_new(const struct ks_hsm_link_options *options,
                                      struct ks_hsm_link **ret_link);

/*
 * Starts the link's thread.
 * Fails: INTERNAL (the system has no thread left); the link can then only be freed, or started
 * again.
 */
KS_MUST_USE ks_result ks_hsm_link_start(struct ks_hsm_link *link);

/*
 * Ends the thread and frees the link. All requests that wait or are on their way are answered
 * UNAVAILABLE before this returns. NULL is fine.
 */
void ks_hsm_link_free(struct ks_hsm_link *link);

/* A request, and the records that it rests on. Its own member `records` is empty. */
struct ks_hsm_ask {
    const INTERNAL(HsmRequest) * message; /* packed before the function that takes it returns */
    struct ks_about *const *about;        /* what they point to is borrowed until done is called */
    size_t about_count;                   /* at most KS_HSM_LINK_ABOUT_MAX */
};

/*
 * Sends a request and calls done exactly once. If the request can't be sent, because the link isn't
 * open, too many requests wait, or no frame takes it together with its records, or the reply to it
 * (LIMIT_EXCEEDED), done is called at once on the caller's thread; otherwise later on the link's.
 */
void ks_hsm_link_ask(struct ks_hsm_link *link, const struct ks_hsm_ask *ask, ks_hsm_done_fn done,
                     void *user);

/*
 * Sends a request in the same way, on a link that is connected but need not be open. It is for the
 * owner, which has to prepare the hsm before the link can be opened.
 */
void ks_hsm_link_prepare(struct ks_hsm_link *link, const struct ks_hsm_ask *ask,
                         ks_hsm_done_fn done, void *user);

/*
 * Between hold and release, requests are collected, and release sends them all.
 * Several threads may hold at a time: what one of them has collected is sent at the latest when it
 * releases. Nothing between the two may block.
 */
void ks_hsm_link_hold(struct ks_hsm_link *link);
void ks_hsm_link_release(struct ks_hsm_link *link);

/* Returns whether the caller runs on the link's thread. */
bool ks_hsm_link_is_current(const struct ks_hsm_link *link);

/*
 * Runs fn(argument) on the link's thread when all replies that have arrived by now have been handed
 * out. Deferred functions run in the order of the calls. May be called on the link's thread only,
 * and not by fn.
 */
void ks_hsm_link_defer(struct ks_hsm_link *link, void (*fn)(void *argument), void *argument);

/*
 * Gives the number of requests that were sent since the link was made, and of the frames that they
 * were sent in. Both outputs are always written.
 */
void ks_hsm_link_counts(struct ks_hsm_link *link, uint64_t *ret_requests, uint64_t *ret_frames);

/*
 * Opens the link for ks_hsm_link_ask until the connection is lost. Does nothing if life is not that
 * of the present connection.
 */
void ks_hsm_link_open(struct ks_hsm_link *link, uint64_t life);

/* Returns whether the link is open now; it may be lost a moment later. */
bool ks_hsm_link_is_open(struct ks_hsm_link *link);

/* Returns the life of the connection if the link is open; otherwise 0, which no connection has. */
uint64_t ks_hsm_link_life(struct ks_hsm_link *link);
