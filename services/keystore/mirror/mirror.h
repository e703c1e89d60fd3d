/*
 * mirror: this disk's copy of the control plane's records (design, promise 8). It follows control,
 * and feeds the frontends of the region from the copy. In this way frontends get the identities
 * even while control can't be reached, and after a restart. pkg/follow describes both streams.
 *
 * Threads: made and freed by main. It follows on the loop it was given, which it may keep busy
 * while a snapshot is written; frontends are fed on the loops of their streams.
 */
#pragma once

#include "pkg/base/result.h"
#include "pkg/rpc/tls.h"
#include "pkg/store/store.h"

#define KS_MIRROR_RECORDS_MAX 1000000U /* in a snapshot; one that is larger is not taken */
#define KS_MIRROR_BYTES_MAX   (1024U * 1024U * 1024U)

/* For the keystore's listener: a snapshot of a million records may wait in a queue. */
#define KS_MIRROR_QUEUE_BYTES (256U * 1024U * 1024U)

struct ks_feed;
struct ks_mirror;
struct ks_rpc_loop;

/* All of it is borrowed as long as the mirror. */
struct ks_mirror_options {
    struct ks_store *store;
    const char *address; /* host:port of control; "": only what the disk holds is fed */
    struct ks_rpc_tls tls;
    struct ks_rpc_loop *loop;
};

/*
 * Begins to follow.
 * ret_mirror  close it with ks_mirror_close, then free it. Written on success only.
 * Fails: as ks_rpc_channel_new.
 */
KS_MUST_USE ks_result ks_mirror_new(const struct ks_mirror_options *options,
                                    struct ks_mirror **ret_mirror);

/*
 * Stops to follow control; what the disk holds is still fed. To be called before the loop and the
 * store are freed, and not on the loop. NULL is fine.
 */
void ks_mirror_close(struct ks_mirror *mirror);

/* Frees a mirror that was closed, after the server whose streams it feeds. NULL is fine. */
void ks_mirror_free(struct ks_mirror *mirror);

/*
 * Returns the user for the row of KeystoreService.WatchIdentities, whose callbacks are
 * ks_feed_stream_callbacks; borrowed from the mirror.
 */
struct ks_feed *ks_mirror_feed(struct ks_mirror *mirror);
