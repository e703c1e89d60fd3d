/*
 * lane: all that one loop needs to answer calls by itself: its own streams to the keystores of the
 * region, its own views, its own timer and its own cell time. Loops share only the identities, so a lane has no locks.
 *
 * Threads: made and freed by main; everything else on its loop.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/hash.h"
#include "pkg/base/result.h"
#include "pkg/rpc/tls.h"
#include "services/frontend/route/request.h"

struct ks_lane;
struct ks_rpc_loop;

/* A keystore of the region. Borrowed. */
struct ks_keystore_place {
    const char *zone;
    const char *address; /* host:port of its internal listener */
};

struct ks_lane_options {
    struct ks_rpc_loop *loop; /* outlives the lane */
    const struct ks_home *home;
    const struct ks_clock *clock;
    const char *zone; /* our own */
    const struct ks_keystore_place *keystores;
    size_t keystore_count; /* 1 to KS_UPSTREAM_PEERS_MAX */
    struct ks_rpc_tls tls; /* of the process root */
    size_t view_count_max;
    struct ks_hash_key hash_key; /* of the process: for tables that clients choose names of */
    int64_t patience_ms;
    int64_t mutation_patience_ms;
};

/*
 * Opens its streams. Everything in options is borrowed as long as the lane.
 * ret_lane  free with ks_lane_free. Untouched after a failure.
 * Fails: VALIDATION (certificate files cannot be read), INTERNAL (the library refused).
 */
KS_MUST_USE ks_result ks_lane_new(const struct ks_lane_options *options, struct ks_lane **ret_lane);

/* Closes the streams. No request may be under way. Not to be called on the loop. NULL is fine. */
void ks_lane_free(struct ks_lane *lane);

/* Returns the router for requests on this loop; it lasts as long as the lane. */
struct ks_router *ks_lane_router(struct ks_lane *lane);

/*
 * Gives the time that sessions go by: cell time, as the keystores tell it (pkg/celltime). It goes on
 * while none of them is reached. To be called on the loop.
 * Fails: UNAVAILABLE (no keystore has told it yet); ret_now_ms is then untouched.
 */
KS_MUST_USE ks_result ks_lane_now_ms(struct ks_lane *lane, int64_t *ret_now_ms);

/*
 * Between the two calls requests are collected, so that those of a batch travel together. To be
 * called on the loop.
 */
void ks_lane_cork(struct ks_lane *lane);
void ks_lane_uncork(struct ks_lane *lane);
