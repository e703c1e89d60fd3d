/*
 * operators: answers the calls that operators make to a keystore: GetStatus, PutRoster, PutCustodians and
 * RotateDomainKey. All but the first wait for the hsm and the store, so a worker carries them out, one
 * after the other.
 *
 * Threads: handlers run on the listener's loops, ks_operators_run on a worker's thread.
 */
#pragma once

#include <stdint.h>

#include "pkg/store/store.h"

#define KS_OPERATORS_PENDING_MAX 16U /* commands that wait; then THROTTLED */

struct ks_execute_streams;
struct ks_housekeeping;
struct ks_hsm_link;
struct ks_keeper;
struct ks_identities;
struct ks_operators;
struct ks_rpc_call;
struct ks_trust;
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
    struct ks_identities *mirror;
    struct ks_execute_streams *streams; /* whose counts GetStatus shows */
    struct ks_trust *trust;             /* whose alarm GetStatus shows */
    struct ks_worker *worker;           /* that runs ks_operators_run */
};

/* Makes it; never NULL. The caller frees it with ks_operators_free. */
struct ks_operators *ks_operators_new(const struct ks_operators_options *options);

/* Frees it, after ks_operators_close and after the server whose calls it answers. */
void ks_operators_free(struct ks_operators *operators);

/* Answers all commands that wait, and all that come from now on, with UNAVAILABLE. */
void ks_operators_close(struct ks_operators *operators);

/* The worker's function: carries out the commands that wait. user is the struct ks_operators. */
void ks_operators_run(void *user, struct ks_worker *worker);

/*
 * Handlers for the rows of KeystoreService, whose user is the struct ks_operators. The first
 * answers its call at once. The other two hand it to the worker; a caller that is no operator gets
 * ACCESS_DENIED, and when KS_OPERATORS_PENDING_MAX commands wait, THROTTLED.
 */
void ks_operators_get_status(void *user, struct ks_rpc_call *call);
void ks_operators_put_roster(void *user, struct ks_rpc_call *call);
void ks_operators_put_custodians(void *user, struct ks_rpc_call *call);
void ks_operators_rotate(void *user, struct ks_rpc_call *call);
