/*
 * operators: what people ask a keystore: GetStatus, PutRoster, RotateDomainKey.
 *
 * The last two wait for the hsm and the store, so a worker carries them out, a few at a time.
 * Threads: handlers on the listener's loops; run on a worker's.
 */
#pragma once

#include <stdint.h>

#include "pkg/store/store.h"

#define KS_OPERATORS_PENDING_MAX 16U /* commands that wait; then THROTTLED */

struct ks_execute_streams;
struct ks_housekeeping;
struct ks_hsm_link;
struct ks_keeper;
struct ks_operators;
struct ks_rpc_call;
struct ks_worker;

/* All borrowed. */
struct ks_operators_options {
    const char *name;
    const char *region;
    const char *zone;
    struct ks_store *store;
    struct ks_hsm_link *link;
    struct ks_keeper *keeper;
    struct ks_housekeeping *housekeeping;
    struct ks_execute_streams *streams; /* what came and went */
    struct ks_worker *worker;           /* that runs ks_operators_run */
};

/* Free with ks_operators_free after the server; commands that wait are answered before. */
struct ks_operators *ks_operators_new(const struct ks_operators_options *options);
void ks_operators_free(struct ks_operators *operators);

/* Answers what waits with UNAVAILABLE, and whatever comes from now on. */
void ks_operators_close(struct ks_operators *operators);

/* The worker's function; user is the struct ks_operators. */
void ks_operators_run(void *user, struct ks_worker *worker);

/* Of the rows of KeystoreService; user is the struct ks_operators. */
void ks_operators_get_status(void *user, struct ks_rpc_call *call);
void ks_operators_put_roster(void *user, struct ks_rpc_call *call);
void ks_operators_rotate(void *user, struct ks_rpc_call *call);
