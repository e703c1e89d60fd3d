/*
 * feed: streams the control plane's records to the keystores of every region, which keep a copy on
 * their disks: with control gone, and after restarts, regions serve on (design, promise 8). How a
 * stream goes is pkg/follow/feed.h's; this is what it says here.
 *
 * Control keeps a mirror of its own records, too (pkg/mirror): with tombstones, which its store does not
 * have, and with the head that it has signed. So a keystore that missed a change gets that change,
 * also after control was restarted. Each change gets a head before it is told. While nothing changes,
 * but the store is known to be current, a new head every KS_CONTROL_HEAD_PERIOD_MS says just that.
 *
 * The epoch is etcd's, which every restore changes; of an embedded store it is the id of its data
 * folder. It is never empty.
 *
 * Threads: made and freed by main; changed, told and reloaded are called on the store's thread. The
 * rest happens on a loop of its own, which the disk may keep busy.
 */
#pragma once

#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/follow/feed.h"
#include "pkg/store/store.h"

#define KS_CONTROL_FEED_METHOD    "/keystead.internal.v1.ControlMirrorService/WatchIdentities"
#define KS_CONTROL_HEAD_PERIOD_MS 5000

struct ks_clock;
struct ks_control_feed;
struct ks_signer;

struct ks_control_feed_options {
    const char *folder; /* of the mirror; borrowed during new */
    const struct ks_clock *clock;
    struct ks_signer *signer; /* the feed's alone as long as it lives; borrowed */
    size_t tombstones_max;    /* 0: the mirror's default */
};

/*
 * Makes it.
 * ret_feed  free with ks_control_feed_free. Written on success only.
 * Fails: as ks_mirror_db_open.
 */
KS_MUST_USE ks_result ks_control_feed_new(const struct ks_control_feed_options *options,
                                          struct ks_control_feed **ret_feed);

/* Frees it, after the server and the store. NULL is fine. */
void ks_control_feed_free(struct ks_control_feed *feed);

/*
 * Sets the store, and begins to say what it holds. ks_control_feed_new can't take it, because the
 * store's callbacks may come before ks_store_new has returned.
 */
void ks_control_feed_set_store(struct ks_control_feed *feed, struct ks_store *store);

/* Ends all use of the store, before it is freed. NULL is fine. */
void ks_control_feed_close(struct ks_control_feed *feed);

/*
 * Notes that a record has changed, mirrored or not (value {NULL, 0}: deleted). ks_control_feed_told
 * sends it.
 */
void ks_control_feed_changed(struct ks_control_feed *feed, ks_bytes key, ks_bytes value,
                             int64_t revision);
/* Says what has changed so far, which is whole: the store is between two revisions. */
void ks_control_feed_told(struct ks_control_feed *feed);
/* Has the mirror compared with the store, because the store's copy was loaded anew. */
void ks_control_feed_reloaded(struct ks_control_feed *feed);

/*
 * Returns the user for the row of KS_CONTROL_FEED_METHOD, whose callbacks are
 * ks_feed_stream_callbacks.
 */
struct ks_feed *ks_control_feed_streams(struct ks_control_feed *feed);
