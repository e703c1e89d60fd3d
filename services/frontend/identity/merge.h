/*
 * merge: makes versions of the identities out of what the keystores of the region stream.
 *
 * The merge listens to all keystores, so that a revocation counts as soon as the first of them has
 * it, and so that a silent keystore does no harm. A version is published only with a head that control
 * has signed for just that set, later than the one here (pkg/signedset). So a keystore that was taken
 * over can be silent, and nothing else: what it adds, alters, leaves out or replays leads to no head.
 *
 * A stream brings everything that has changed since the position which it was opened with, or which it
 * told last. Whatever other streams have brought meanwhile, the state after that is the one of the
 * stream's head. If it is not, the history here is not the stream's, or it lies: the stream is closed,
 * and its keystore is asked for a snapshot.
 *
 * Threads: belongs to one loop; any thread reads what it publishes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/result.h"
#include "pkg/follow/following.h"

#define KS_MERGE_SOURCES_MAX 16U
/* Before there is a version, one source is asked at a time, and this long. */
#define KS_MERGE_LOADER_MS 1000

struct ks_head_verifier;
struct ks_merge;
struct ks_rcu;

/*
 * Makes a merge, which publishes its versions with rcu; never NULL. Free with ks_merge_free. rcu
 * was made with ks_identities_free; both are borrowed as long as the merge, verifier for it alone.
 */
struct ks_merge *ks_merge_new(struct ks_rcu *rcu, struct ks_head_verifier *verifier);

/* Frees it; the versions that were published stay with rcu. NULL is fine. */
void ks_merge_free(struct ks_merge *merge);

/* Returns whether a version was published. */
bool ks_merge_has_version(const struct ks_merge *merge);

/* Returns the position of the newest version, borrowed; all zero if there is none. */
const struct ks_follow_position *ks_merge_position(const struct ks_merge *merge);

/*
 * A source's stream is about to be opened. Writes what to ask it for, and returns true; or returns
 * false because another one is being listened to first, so that a frontend which has nothing yet does
 * not fetch everything from everybody.
 * now_ms  of a clock that does not step.
 */
bool ks_merge_open(struct ks_merge *merge, size_t index, int64_t now_ms,
                   struct ks_follow_position *position);

/*
 * Takes a part that a source's stream has brought. The part is borrowed for the call, and well
 * formed: following.h refuses all others.
 * Fails: LIMIT_EXCEEDED (too many records), VALIDATION (a malformed record or head), UNAUTHENTICATED
 * (the head is not control's, or speaks of another set than the one that has come), CONFLICT (control
 * has gone back: ks_head_follows); nothing is published then, and the caller closes the stream.
 */
KS_MUST_USE ks_result ks_merge_received(struct ks_merge *merge, size_t index, int64_t now_ms,
                                        const struct ks_follow_part *part);

/*
 * Notes that a source's stream has ended. The parts of a transfer that isn't whole are forgotten.
 */
void ks_merge_closed(struct ks_merge *merge, size_t index);
