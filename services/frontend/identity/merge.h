/*
 * merge: makes versions of the identities out of what the keystores of the region stream.
 *
 * All keystores are listened to, so that a revocation counts as soon as the first one has it, and a
 * keystore that has fallen silent does no harm. Each stream brings every revision after the one at
 * which it was opened, in order; so whatever is later than what is here can be applied, from
 * whichever stream it comes, and leaves no gap.
 *
 * A restored control plane has another epoch. The merge goes over to it with the first keystore
 * that does, or when no connected keystore has the old one any more; what still comes of the old
 * epoch is passed over.
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

struct ks_merge;
struct ks_rcu;

/*
 * Makes a merge, which publishes its versions with rcu; never NULL. Free with ks_merge_free. rcu
 * was made with ks_identities_free, and is borrowed as long as the merge.
 */
struct ks_merge *ks_merge_new(struct ks_rcu *rcu);

/* Frees it; the versions that were published stay with rcu. NULL is fine. */
void ks_merge_free(struct ks_merge *merge);

/* Returns whether a version was published. */
bool ks_merge_has_version(const struct ks_merge *merge);

/* Returns the epoch and revision of the newest version, borrowed; all zero if there is none. */
const struct ks_follow_position *ks_merge_position(const struct ks_merge *merge);

/* A source's stream is being opened: it will ask for what comes after ks_merge_position. */
void ks_merge_opened(struct ks_merge *merge, size_t index);

/*
 * A source's stream has brought a part, which is borrowed for the call and well formed (following.h
 * refuses the others).
 * Fails: LIMIT_EXCEEDED (too many records); nothing is published then, and the caller closes the
 * stream.
 */
KS_MUST_USE ks_result ks_merge_received(struct ks_merge *merge, size_t index,
                                        const struct ks_follow_part *part);

/* A source's stream has ended. What came of a snapshot that is not whole is forgotten. */
void ks_merge_closed(struct ks_merge *merge, size_t index);
