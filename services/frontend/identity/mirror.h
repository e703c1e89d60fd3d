/*
 * mirror: makes versions of the identities out of what the keystores of the region stream.
 *
 * All keystores are listened to, so that a revocation counts as soon as the first one has it, and a
 * keystore that has fallen silent does no harm. Each stream brings every revision after the one it
 * was opened at, in order; so whatever is later than what is here can be applied, from whichever
 * stream it comes, and leaves no gap.
 *
 * A restored control plane has another epoch. The mirror goes over to it with the first keystore
 * that does, or when no connected keystore has the old one any more; what is left of the old epoch
 * is passed over.
 *
 * Threads: belongs to one loop; what it publishes is read from any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

#define KS_MIRROR_SOURCES_MAX 16U
#define KS_MIRROR_EPOCH_MAX   64U /* bytes */

struct ks_rcu;
struct ks_mirror;

/* rcu gets the versions; it was made with ks_identities_free. Free with ks_mirror_free. */
struct ks_mirror *ks_mirror_new(struct ks_rcu *rcu);
void ks_mirror_free(struct ks_mirror *mirror);

/* Whether there is a version; its epoch (borrowed, "" if there is none) and revision. */
bool ks_mirror_has_version(const struct ks_mirror *mirror);
const char *ks_mirror_epoch(const struct ks_mirror *mirror);
int64_t ks_mirror_revision(const struct ks_mirror *mirror);

/*
 * A source's stream stands: appends the WatchIdentitiesRequest to send to it.
 * Fails: LIMIT_EXCEEDED (the buffer's cap).
 */
KS_MUST_USE ks_result ks_mirror_opened(struct ks_mirror *mirror, size_t index,
                                       struct ks_buffer *request);

/*
 * A WatchIdentitiesResponse came.
 * Fails: VALIDATION (it is none, or makes no sense here), LIMIT_EXCEEDED (too many records): the
 * stream must be closed.
 */
KS_MUST_USE ks_result ks_mirror_received(struct ks_mirror *mirror, size_t index, ks_bytes message);

/* A source's stream has ended. */
void ks_mirror_closed(struct ks_mirror *mirror, size_t index);
