/*
 * compare: the comparison of counters in a keystore's process. The store is held when it is opened.
 * This asks the keystores of other zones what they remember, and then releases it:
 *
 *   all of those on the list have answered        at once
 *   some have answered                            after KS_COMPARE_SOME_MS
 *   none has, or no other zone is on the list     after KS_COMPARE_ALONE_MS: a cell serves with one
 *                                                 zone left, and this one then has its disk's word
 *
 * Those that have not answered are asked again, as long as the process lives, until each has once.
 *
 * Threads: ks_compare_run and ks_compare_answer_run on two workers' threads, because two keystores
 * that start wait for each other's answers; the handler on the listener's loops.
 */
#pragma once

#include <stdint.h>

#include "pkg/rpc/tls.h"
#include "pkg/store/store.h"

#define KS_COMPARE_SOME_MS     2000
#define KS_COMPARE_ALONE_MS    10000
#define KS_COMPARE_PENDING_MAX 16U /* questions that wait; then THROTTLED */

struct ks_compare;
struct ks_rpc_call;
struct ks_rpc_loop;
struct ks_worker;

/* All borrowed. */
struct ks_compare_options {
    struct ks_store *store;
    struct ks_rpc_loop *loop;
    struct ks_rpc_tls tls;
    const char *region;
    const char *zone;
    struct ks_worker *worker; /* that runs ks_compare_answer_run */
    void (*on_found)(void *user,
                     ks_bytes name); /* of each record that is older here; on the worker */
    void *user;
};

/* Makes it; never NULL. The caller frees it with ks_compare_free. */
struct ks_compare *ks_compare_new(const struct ks_compare_options *options);

/* Frees it, after ks_compare_close and after the server whose calls it answers. NULL is fine. */
void ks_compare_free(struct ks_compare *compare);

/* Answers all questions that wait, and all that come from now on, with UNAVAILABLE. */
void ks_compare_close(struct ks_compare *compare);

/* A worker's function: asks, and releases the store. user is the struct ks_compare. */
void ks_compare_run(void *user, struct ks_worker *worker);

/* Another worker's function: answers the questions that wait. user is the struct ks_compare. */
void ks_compare_answer_run(void *user, struct ks_worker *worker);

/*
 * The handler of KeystoreService.Compare, whose user is the struct ks_compare. It hands the call to
 * the worker. A caller that is no keystore gets ACCESS_DENIED, and when KS_COMPARE_PENDING_MAX calls
 * wait, THROTTLED.
 */
void ks_compare_handle(void *user, struct ks_rpc_call *call);
