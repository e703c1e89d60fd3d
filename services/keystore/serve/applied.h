/*
 * applied: the keystores of a cell tell each other at once which revision they have applied, so
 * that no answer has to wait until a window ends (promise 2). Each keystore opens one stream to
 * every other keystore on the list, and sends only the newest revision on it.
 *
 * What a keystore says counts only if the zone in its certificate is that of its record: the holder
 * of one zone's certificate can't speak for another zone.
 *
 * Threads: ks_applied_say is called on the store's, streams run on their loops, and a worker keeps
 * the list of streams.
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

/* Makes it, with no stream yet; never NULL. The caller frees it with ks_applied_free. */
struct ks_applied *ks_applied_new(const struct ks_applied_options *options);

/* Frees it, after ks_applied_close and once the store, which calls ks_applied_say, is gone. */
void ks_applied_free(struct ks_applied *applied);

/* Ends the streams. Call it when the worker has stopped and before the loop is freed. */
void ks_applied_close(struct ks_applied *applied);

/*
 * Sets the store, which is borrowed. ks_applied_new can't take it, because the store calls
 * ks_applied_say, perhaps before ks_store_new has returned: applied is made first, the store
 * second.
 */
void ks_applied_set_store(struct ks_applied *applied, struct ks_store *store);

/*
 * Tells the other keystores that this one's copy has applied revision: it is sent on every stream
 * as soon as the stream can be written.
 */
void ks_applied_say(struct ks_applied *applied, int64_t revision);

/*
 * The worker's function: opens streams to the keystores on the list that have none, and closes
 * those to keystores that are not on it. A stream that can't be opened is tried again by the next
 * run. user is the struct ks_applied.
 */
void ks_applied_run(void *user, struct ks_worker *worker);

/* The callbacks for the row of KeystoreService.Applied, whose user is the struct ks_applied. */
extern const struct ks_rpc_stream_callbacks ks_applied_stream_callbacks;
