/*
 * merge: makes versions of the identities out of what the keystores of the region stream.
 *
 * The merge listens to all keystores, so that a revocation counts as soon as the first of them has
 * it, and so that a silent keystore does no harm. Each stream brings every revision after the one
 * at which it was opened, in order. A revision that is later than the newest one here can therefore
 * be applied from any of the streams without leaving a gap.
 *
 * A restored control plane has another epoch. The merge changes to the new epoch with the first
 * keystore that does, or when no connected keystore has the old epoch any more. After that it
 * ignores what still comes of the old one.
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

/*
 * Notes that a source's stream is being opened, which asks for what comes after ks_merge_position.
 */
void ks_merge_opened(struct ks_merge *merge, size_t index);

/*
 * Takes a part that a source's stream has brought. The part is borrowed for the call, and well
 * formed: following.h refuses all others.
 * Fails: LIMIT_EXCEEDED (too many records); nothing is published then, and the caller closes the
 * stream.
 */
KS_MUST_USE ks_result ks_merge_received(struct ks_merge *merge, size_t index,
                                        const struct ks_follow_part *part);

/*
 * Notes that a source's stream has ended. The parts of a snapshot that isn't whole are forgotten.
 */
void ks_merge_closed(struct ks_merge *merge, size_t index);
