/*
 * mirror: streams the control plane's records to the keystores of every region, who keep a copy on
 * their disks: with control gone, and after restarts, regions serve on (design, promise 8).
 *
 * A keystore says which epoch and revision it has. If that is where the store stands, it gets what
 * changes from now on; otherwise a snapshot first. Who reads too slowly is cut off and starts over.
 *
 * Threads: ks_mirror_changed and ks_mirror_applied from the store's thread, the rest on the loop.
 */
#pragma once

#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/rpc/stream.h"
#include "pkg/store/store.h"

#define KS_MIRROR_STREAMS_MAX 256U /* keystores that follow at a time */

struct ks_mirror;
struct ks_rpc_loop;

/* Never NULL; free with ks_mirror_free after the server and before the loop. */
struct ks_mirror *ks_mirror_new(struct ks_rpc_loop *loop);
void ks_mirror_free(struct ks_mirror *mirror);

/* The store, once it is there: its callbacks come before ks_store_new has returned. */
void ks_mirror_set_store(struct ks_mirror *mirror, struct ks_store *store);

/* A record changed (value {NULL, 0}: deleted): sent when its revision is whole. */
void ks_mirror_changed(struct ks_mirror *mirror, ks_bytes key, ks_bytes value, int64_t revision);
/* The revision is whole. */
void ks_mirror_applied(struct ks_mirror *mirror, int64_t revision);
/* The copy was loaded anew: every follower starts over. */
void ks_mirror_reloaded(struct ks_mirror *mirror);

/* Of the row of ControlMirrorService.WatchIdentities, whose user is the mirror. */
extern const struct ks_rpc_stream_callbacks ks_mirror_callbacks;
