/*
 * feed: the server's side of WatchIdentities. A follower says what it has. It gets a snapshot, if
 * the owner finds that it lacks something, and after that every change.
 *
 * A message names a revision once every change up to it was sent, so that a follower which comes
 * back with that revision has missed nothing. A follower that reads too slowly is cut off, because
 * it must not go on without a message that it missed. It comes back and asks again.
 *
 * Threads: any. A mutex keeps changes and new followers in one order; the owner's callback runs
 * under it and may not call the feed but by the writer it is given.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/follow/position.h"
#include "pkg/rpc/stream.h"

#define KS_FEED_FOLLOWERS_MAX 256U            /* at a time; the next one is refused */
#define KS_FEED_RECORDS_MAX   (1024U * 1024U) /* bytes of the records of one message */

struct ks_feed;
struct ks_feed_writer;

struct ks_feed_options {
    /* A stream is being opened. A failure refuses it. NULL: every stream is taken. */
    ks_result (*on_open)(void *user, struct ks_rpc_stream *stream);
    /*
     * Serves a follower that has what *had says. Fills *now with the owner's position; unless the
     * follower needs nothing, also calls ks_feed_begin and then ks_feed_add for each record that
     * there is at *now. A failure cuts the follower off.
     */
    ks_result (*serve)(void *user, const struct ks_follow_position *had,
                       struct ks_feed_writer *writer, struct ks_follow_position *now);
    void *user;
};

/* Makes a feed; never NULL. Free with ks_feed_free, after the server whose streams it serves. */
struct ks_feed *ks_feed_new(const struct ks_feed_options *options);
/* Frees a feed. NULL is fine. */
void ks_feed_free(struct ks_feed *feed);

/* Begins a snapshot of the records as they are at *now. At most once in a call of serve. */
void ks_feed_begin(struct ks_feed_writer *writer, const struct ks_follow_position *now);

/*
 * Adds a record to the snapshot. revision is that of its last change; 0: not known.
 * Fails: LIMIT_EXCEEDED (the follower reads too slowly), UNAVAILABLE (its stream is over). The
 * snapshot can't be sent then: serve returns the failure.
 */
KS_MUST_USE ks_result ks_feed_add(struct ks_feed_writer *writer, ks_bytes key, ks_bytes value,
                                  int64_t revision);

/*
 * Appends a record that has changed to records, for ks_feed_publish (value {NULL, 0}: deleted).
 * Fails: LIMIT_EXCEEDED (records' cap, which is KS_FEED_RECORDS_MAX at most; it is unchanged).
 */
KS_MUST_USE ks_result ks_feed_pack(struct ks_buffer *records, ks_bytes key, ks_bytes value,
                                   int64_t revision);

/*
 * Sends what changed up to *now to each follower that has not been told of it. A follower of
 * another epoch is cut off.
 * records  of all changes since the position published before; borrowed. May be empty.
 */
void ks_feed_publish(struct ks_feed *feed, const struct ks_follow_position *now, ks_bytes records);

/*
 * Calls serve for each follower, with what it was told last, because everything may have changed.
 */
void ks_feed_renew(struct ks_feed *feed);

/* Returns whether there is a follower that is to be told of changes. */
bool ks_feed_has_followers(struct ks_feed *feed);

/* Cuts every follower off. cause is for the log. */
void ks_feed_cut_off(struct ks_feed *feed, const char *cause);

/* Of the method's row WatchIdentities, whose user is the struct ks_feed. */
extern const struct ks_rpc_stream_callbacks ks_feed_stream_callbacks;
