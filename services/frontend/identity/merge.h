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
 * Threads: belongs to one loop; what it publishes is read from any.
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
 * rcu gets the versions; it was made with ks_identities_free, and is borrowed as long as the merge.
 * Never NULL. Free with ks_merge_free.
 */
struct ks_merge *ks_merge_new(struct ks_rcu *rcu);
/* The versions that were published stay with rcu. NULL is fine. */
void ks_merge_free(struct ks_merge *merge);

/* Whether there is a version, and where it stands: zeroed if there is none. Borrowed. */
bool ks_merge_has_version(const struct ks_merge *merge);
const struct ks_follow_position *ks_merge_position(const struct ks_merge *merge);

/* A source's stream is being opened: it will ask for what comes after ks_merge_position. */
void ks_merge_opened(struct ks_merge *merge, size_t index);

/*
 * A source's stream has brought a part. What follows makes no sense of was refused before
 * (following.h). Fails: LIMIT_EXCEEDED (too many records): nothing is published; close the stream.
 */
KS_MUST_USE ks_result ks_merge_received(struct ks_merge *merge, size_t index,
                                        const struct ks_follow_part *part);

/* A source's stream has ended; what came of a snapshot that is not whole is forgotten. */
void ks_merge_closed(struct ks_merge *merge, size_t index);
