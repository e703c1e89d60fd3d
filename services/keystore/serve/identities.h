/*
 * identities: the mirror of the control plane, given on to the frontends: everything first, then
 * what changes. Comes from this disk, so it works with control gone, also after a restart.
 *
 * Threads: any; a mutex keeps changes and new followers in one order.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/rpc/stream.h"
#include "pkg/store/store.h"

#define KS_IDENTITIES_FOLLOWERS_MAX 256U /* frontends that follow at a time */

/* Of the keystore's listener: a snapshot of a million records may wait in a queue. */
#define KS_IDENTITIES_QUEUE_BYTES (256U * 1024U * 1024U)

struct ks_identities;

/* Free with ks_identities_free after the server. store is borrowed. */
struct ks_identities *ks_identities_new(struct ks_store *store);
void ks_identities_free(struct ks_identities *identities);

/* One step of the mirror, as ks_store_mirror_apply takes it. */
struct ks_identities_change {
    bool snapshot;
    const char *epoch;
    int64_t revision;
    const struct ks_store_op *ops;
    size_t op_count;
};

/*
 * Applies a change to the mirror and tells the followers.
 * Fails: as ks_store_mirror_apply.
 */
KS_MUST_USE ks_result ks_identities_apply(struct ks_identities *identities,
                                          const struct ks_identities_change *change);

/* Of the method's row KeystoreService.WatchIdentities, whose user is the struct ks_identities. */
extern const struct ks_rpc_stream_callbacks ks_identities_stream_callbacks;
