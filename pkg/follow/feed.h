/*
 * feed: the server's side of WatchIdentities. It serves a mirror (pkg/mirror) to those who follow it:
 * what each lacks, by difference, and after that what changes.
 *
 * Nothing waits for a follower. A chunk is read from the mirror when the follower's stream has written
 * the one before, on the feed's own loop and under no lock. So one that reads slowly only falls behind,
 * and catches up by one difference. It gets a snapshot when the mirror's tombstones don't reach back
 * to what it has, or its history is not the mirror's.
 *
 * A chunk is read from the mirror as it is at that moment. The changes come in the order of their
 * revisions, so that a record which changes meanwhile comes once more, later; when the last one has
 * come, the follower has the state of that moment, whose head goes with it.
 *
 * Threads: made and freed by one thread. Streams run on the loops of their server, and hand over to
 * the feed's loop, which owns everything else.
 */
#pragma once

#include <stddef.h>

#include "pkg/base/result.h"
#include "pkg/rpc/stream.h"

#define KS_FEED_FOLLOWERS_MAX 1024U /* at a time; the next one is refused */
#define KS_FEED_CHUNK_LEN     (256U * 1024U)

struct ks_feed;
struct ks_mirror_db;
struct ks_rpc_loop;

struct ks_feed_options {
    struct ks_rpc_loop *loop;    /* outlives the streams; kept busy by their chunks */
    struct ks_mirror_db *mirror; /* outlives the feed */
    size_t chunk_len; /* bytes of records after which a message is sent; 0: the default */
    /* A stream is being opened, on its loop. A failure refuses it. NULL: every stream is taken. */
    ks_result (*on_open)(void *user, struct ks_rpc_stream *stream);
    void *user;
};

/* Makes a feed; never NULL. Free with ks_feed_free. Everything in options but itself is borrowed. */
struct ks_feed *ks_feed_new(const struct ks_feed_options *options);

/*
 * Frees a feed, after the server whose streams it serves and after its loop, which runs what those
 * have posted. NULL is fine.
 */
void ks_feed_free(struct ks_feed *feed);

/* Has every follower told of the mirror's new state. On the feed's loop. */
void ks_feed_changed(struct ks_feed *feed);

/* Of the method's row WatchIdentities, whose user is the struct ks_feed. */
extern const struct ks_rpc_stream_callbacks ks_feed_stream_callbacks;
