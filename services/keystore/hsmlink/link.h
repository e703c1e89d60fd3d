/*
 * link: requests to the zone's hsm over its Unix socket (keystead/internal/v1/hsm.proto).
 *
 * While frames are on their way, requests collect; the next frame takes all that wait. So the busier
 * the keystore, the more requests one frame holds, and nobody waits for a timer. A caller that has
 * many at once says so (hold, release), and what it sends as replies come it sends once they all
 * have (defer): so a message of items costs one wake of the link and one of the hsm each way.
 *
 * A link connects by itself, again and again. It is opened for everybody only when its owner has
 * given the hsm what it needs (roster, domain keys); until then, and whenever the connection is
 * lost, requests fail with UNAVAILABLE at once, so that a frontend goes to another keystore.
 *
 * Threads: one of its own, on which done, on_connected and on_lost run and must not block; every
 * function from any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "keystead/internal/v1/hsm.pb-c.h"
#include "pkg/base/clock.h"
#include "pkg/base/result.h"
#include "services/keystore/records/message.h"

#define KS_HSM_LINK_PENDING_MAX 16384U /* requests that wait or are on their way; then THROTTLED */
#define KS_HSM_LINK_BATCH_MAX   256U   /* requests in a frame; hsm.proto's bound */
#define KS_HSM_LINK_FLYING_MAX  2U     /* frames on their way: one is worked on, one waits for it */
#define KS_HSM_LINK_TIMEOUT_MS  5000   /* without a reply; then the connection is given up */

struct ks_hsm_link;

struct ks_hsm_link_options {
    const char *socket_path;      /* copied */
    const struct ks_clock *clock; /* NULL: ks_clock_system */
    /* The hsm is there, not open yet; the number is another one for each connection. */
    void (*on_connected)(void *user, uint64_t life);
    void (*on_lost)(void *user); /* after on_connected */
    void *user;
};

/*
 * How a request went: what the hsm answered, or UNAVAILABLE (no connection, or it was lost: the
 * request may have been carried out), THROTTLED (too many wait), INTERNAL (the hsm's answer makes
 * no sense). reply is NULL unless result is OK, borrowed during the call, and wiped after it.
 */
typedef void (*ks_hsm_done_fn)(void *user, ks_result result, const INTERNAL(HsmReply) * reply);

/*
 * A link that connects from ks_hsm_link_start on. Free with ks_hsm_link_free.
 * Fails: INTERNAL (no descriptor).
 */
KS_MUST_USE ks_result ks_hsm_link_new(const struct ks_hsm_link_options *options,
                                      struct ks_hsm_link **ret_link);

/* Fails: INTERNAL (no thread). */
KS_MUST_USE ks_result ks_hsm_link_start(struct ks_hsm_link *link);

/* Ends the thread; whatever waits is answered UNAVAILABLE. NULL is fine. */
void ks_hsm_link_free(struct ks_hsm_link *link);

/*
 * Sends a request (packed before this returns) once the link is open, and calls done exactly once:
 * at once, on this thread, when it can't be sent; otherwise later on the link's.
 */
void ks_hsm_link_ask(struct ks_hsm_link *link, const INTERNAL(HsmRequest) * request,
                     ks_hsm_done_fn done, void *user);

/* The same for who prepares the hsm: as soon as it is connected. */
void ks_hsm_link_prepare(struct ks_hsm_link *link, const INTERNAL(HsmRequest) * request,
                         ks_hsm_done_fn done, void *user);

/*
 * Between the two, requests are collected, and the link is woken once for them all. Any thread, and
 * several at a time: what one of them holds goes at the latest when the last of them releases.
 * Nothing between the two may block.
 */
void ks_hsm_link_hold(struct ks_hsm_link *link);
void ks_hsm_link_release(struct ks_hsm_link *link);

/* Whether the caller runs on the link's thread. */
bool ks_hsm_link_is_current(const struct ks_hsm_link *link);

/*
 * Runs fn(argument) on the link's thread as soon as all replies that have come are handed out, in
 * the order of the calls. On the link's thread only; fn may not defer.
 */
void ks_hsm_link_defer(struct ks_hsm_link *link, void (*fn)(void *argument), void *argument);

/* Requests that were sent, and the frames they were sent in, since the link was made. */
void ks_hsm_link_counts(struct ks_hsm_link *link, uint64_t *ret_requests, uint64_t *ret_frames);

/* Lets ks_hsm_link_ask through if the connection is still the one of this life. */
void ks_hsm_link_open(struct ks_hsm_link *link, uint64_t life);

bool ks_hsm_link_is_open(struct ks_hsm_link *link);

/* The life of the connection that is open; 0: none is. */
uint64_t ks_hsm_link_life(struct ks_hsm_link *link);
