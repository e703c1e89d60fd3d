/*
 * follower: keeps a stream of WatchIdentities open to one address, and hands over what comes: what
 * this side's copy lacks, then every change. When the stream ends, or a message makes no sense
 * (following.h), it waits a while and asks anew.
 *
 * Threads: made and freed on any thread but the loop's; its callbacks run on the loop it was given.
 */
#pragma once

#include <stdbool.h>

#include "pkg/base/result.h"
#include "pkg/follow/following.h"
#include "pkg/rpc/tls.h"

struct ks_follower;
struct ks_rpc_loop;

/* Texts and the callbacks' user are borrowed as long as the follower. */
struct ks_follower_options {
    struct ks_rpc_loop *loop; /* outlives the follower */
    const char *method;       /* "/package.Service/WatchIdentities" */
    const char *address;      /* host:port */
    const char *server_spiffe;
    struct ks_rpc_tls tls;
    /*
     * A stream is about to be opened: writes the copy's position to *position, which is zeroed before.
     * Returns whether to open it; if not, this is asked again after a while.
     */
    bool (*on_open)(void *user, struct ks_follow_position *position);
    /*
     * A part came; borrowed during the call. A failure ends the stream: the next one asks again
     * from where the copy stands then.
     */
    ks_result (*on_part)(void *user, const struct ks_follow_part *part);
    /* The stream has ended: forget the parts of a transfer that is not whole. */
    void (*on_end)(void *user);
    void *user;
};

/*
 * Opens the first stream, soon.
 * ret_follower  free with ks_follower_free. Written on success only.
 * Fails: as ks_rpc_channel_new; no callback comes then.
 */
KS_MUST_USE ks_result ks_follower_new(const struct ks_follower_options *options,
                                      struct ks_follower **ret_follower);

/* Closes the stream; no callback comes once this has returned. NULL is fine. */
void ks_follower_free(struct ks_follower *follower);
