/*
 * mirror: this disk's copy of the control plane's records (design, promise 8). It follows control, and
 * feeds the frontends of the region from the copy. In this way frontends get the identities even while
 * control can't be reached, and after a restart.
 *
 * It takes a state only with a head that control has signed (pkg/signedset), later than the one that it
 * has. If changes lead to another state than the one the head speaks of, it starts over with a
 * snapshot, and keeps what it has until that is whole.
 *
 * Threads: made and freed by main. Everything happens on a loop of its own, which the disk may keep
 * busy; ks_identities_get_status may be called on any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/result.h"
#include "pkg/rpc/tls.h"

/* Changes that came in several messages wait in memory; more than this is fetched as a snapshot. */
#define KS_IDENTITIES_CHANGES_BYTES_MAX (64U * 1024U * 1024U)
/* Control says at least every five seconds that nothing has changed. */
#define KS_IDENTITIES_SILENCE_MS 60000

struct ks_feed;
struct ks_identities;

/* All of it is borrowed as long as the mirror. */
struct ks_identities_options {
    const char *folder;       /* of the copy; made if absent */
    const char *address;      /* host:port of control; "": only what the disk holds is fed */
    const char *head_ca_file; /* PEM: the root under which control signs heads */
    struct ks_rpc_tls tls;
};

struct ks_identities_status {
    int64_t revision;   /* 0: nothing is here yet */
    int64_t silence_ms; /* since control's newest word has come, or since the start */
    bool heard;         /* a word has come since the start */
    bool refuses;       /* control has gone back (ks_head_follows): nothing is taken from it */
};

/*
 * Begins to follow.
 * ret_mirror  close it with ks_identities_close, then free it. Written on success only.
 * Fails: VALIDATION (the root can't be read), as ks_mirror_db_open, as ks_rpc_channel_new.
 */
KS_MUST_USE ks_result ks_identities_new(const struct ks_identities_options *options,
                                        struct ks_identities **ret_mirror);

/* Stops to follow control; what the disk holds is still fed. NULL is fine. */
void ks_identities_close(struct ks_identities *mirror);

/* Frees a mirror, after the server whose streams it feeds. NULL is fine. */
void ks_identities_free(struct ks_identities *mirror);

/*
 * Returns the user for the row of KeystoreService.WatchIdentities, whose callbacks are
 * ks_feed_stream_callbacks; borrowed from the mirror.
 */
struct ks_feed *ks_identities_feed(struct ks_identities *mirror);

/* Copies how it stands. Any thread. */
void ks_identities_get_status(struct ks_identities *mirror,
                              struct ks_identities_status *ret_status);
