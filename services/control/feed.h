/*
 * feed: streams the control plane's records to the keystores of every region, which keep a copy on
 * their disks: with control gone, and after restarts, regions serve on (design, promise 8). How a
 * stream goes is pkg/follow/feed.h's; this is what it says here.
 *
 * A keystore that has every change of a mirrored record needs no snapshot, though other records
 * have changed since. Changes are collected on the store's thread and sent from the loop.
 *
 * The epoch is etcd's, which every restore changes; of an embedded store it is the id of its data
 * folder. It is never empty.
 *
 * Threads: changed, told and reloaded are called on the store's thread, the rest on the loop.
 */
#pragma once

#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/follow/feed.h"
#include "pkg/store/store.h"

#define KS_CONTROL_FEED_METHOD "/keystead.internal.v1.ControlMirrorService/WatchIdentities"

struct ks_control_feed;
struct ks_rpc_loop;

/* Makes it; never NULL. Free with ks_control_feed_free after the server, the store and the loop. */
struct ks_control_feed *ks_control_feed_new(struct ks_rpc_loop *loop);
/* NULL is fine. */
void ks_control_feed_free(struct ks_control_feed *feed);

/*
 * Sets the store, before the server is made. ks_control_feed_new can't take it, because the store's
 * callbacks may come before ks_store_new has returned.
 */
void ks_control_feed_set_store(struct ks_control_feed *feed, struct ks_store *store);

/*
 * Notes that a record has changed, mirrored or not (value {NULL, 0}: deleted). ks_control_feed_told
 * sends it.
 */
void ks_control_feed_changed(struct ks_control_feed *feed, ks_bytes key, ks_bytes value,
                             int64_t revision);
/* Sends what has changed so far, which is whole: the store is between two revisions. */
void ks_control_feed_told(struct ks_control_feed *feed);
/* Has every follower start over, because the copy was loaded anew. */
void ks_control_feed_reloaded(struct ks_control_feed *feed);

/*
 * Returns the user for the row of KS_CONTROL_FEED_METHOD, whose callbacks are
 * ks_feed_stream_callbacks.
 */
struct ks_feed *ks_control_feed_streams(struct ks_control_feed *feed);
