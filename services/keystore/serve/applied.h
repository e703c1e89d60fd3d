/*
 * applied: what keystores of a cell tell each other as soon as they have applied it, so that nobody
 * waits for a window to end (promise 2). To every other keystore on the list goes one stream; what
 * is said is only ever the newest revision.
 *
 * A word counts only if the certificate's zone is that of the record: who holds one zone's
 * certificate can't speak for another zone.
 *
 * Threads: ks_applied_say on the store's; streams on their loops; a worker keeps the list.
 */
#pragma once

#include <stdint.h>

#include "pkg/rpc/stream.h"
#include "pkg/rpc/tls.h"
#include "pkg/store/store.h"

struct ks_applied;
struct ks_rpc_loop;
struct ks_worker;

struct ks_applied_options {
    struct ks_rpc_loop *loop;
    struct ks_rpc_tls tls; /* borrowed */
    const char *region;    /* borrowed */
};

/* Free with ks_applied_free, once the store, which calls ks_applied_say, is gone. */
struct ks_applied *ks_applied_new(const struct ks_applied_options *options);
void ks_applied_free(struct ks_applied *applied);

/* Ends the streams, after the worker was stopped and before the loop is freed. */
void ks_applied_close(struct ks_applied *applied);

/* The store, once it is there: its callbacks come before ks_store_new has returned. */
void ks_applied_set_store(struct ks_applied *applied, struct ks_store *store);

/* The copy has applied revision. */
void ks_applied_say(struct ks_applied *applied, int64_t revision);

/* The worker's function: opens streams to who is on the list, closes those to who is not.
 * user is the struct ks_applied. */
void ks_applied_run(void *user, struct ks_worker *worker);

/* Of the method's row KeystoreService.Applied, whose user is the struct ks_applied. */
extern const struct ks_rpc_stream_callbacks ks_applied_stream_callbacks;
