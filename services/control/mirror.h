/*
 * mirror: streams the control plane's records to the keystores of every region, who keep a copy on
 * their disks: with control gone, and after restarts, regions serve on (design, promise 8).
 *
 * A keystore says which epoch and revision it has. If nothing has changed since, it gets what
 * changes from now on; otherwise a snapshot first. A message says a revision once every change up
 * to it has been sent, so who comes back with that revision has missed nothing. Who reads too
 * slowly, or can't be told something, is cut off and starts over.
 *
 * The epoch is etcd's, which every restore changes; of an embedded store it is the id of its data
 * folder. It is never empty. A message of a snapshot is at most KS_MIRROR_MESSAGE_MAX bytes, with as
 * many records as fit: readers raise the codec's bound on fields.
 *
 * Threads: changed, told and reloaded from the store's thread, the rest on the loop.
 */
#pragma once

#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/rpc/stream.h"
#include "pkg/store/store.h"

#define KS_MIRROR_METHOD      "/keystead.internal.v1.ControlMirrorService/WatchIdentities"
#define KS_MIRROR_STREAMS_MAX 256U                    /* keystores that follow at a time */
#define KS_MIRROR_MESSAGE_MAX (1024U * 1024U + 1024U) /* bytes: records and what is around them */

struct ks_mirror;
struct ks_rpc_loop;

/* Never NULL; free with ks_mirror_free after the server, the store and the loop. */
struct ks_mirror *ks_mirror_new(struct ks_rpc_loop *loop);
void ks_mirror_free(struct ks_mirror *mirror);

/* The store, before the server: its callbacks may come before ks_store_new has returned. */
void ks_mirror_set_store(struct ks_mirror *mirror, struct ks_store *store);

/* A record changed, mirrored or not (value {NULL, 0}: deleted). Sent by ks_mirror_told. */
void ks_mirror_changed(struct ks_mirror *mirror, ks_bytes key, ks_bytes value, int64_t revision);
/* The store is between two revisions: what changed so far is whole. */
void ks_mirror_told(struct ks_mirror *mirror);
/* The copy was loaded anew: every follower starts over. */
void ks_mirror_reloaded(struct ks_mirror *mirror);

/* Of the row of KS_MIRROR_METHOD, whose user is the mirror. */
extern const struct ks_rpc_stream_callbacks ks_mirror_callbacks;
