/*
 * lists: what the elements of a list mean together: tags and encryption contexts.
 *
 * Private to check.c. Threads: pure; any.
 */
#pragma once

#include "pkg/operation/operation.h"
#include "pkg/operation/refusal.h"

/*
 * The tags in a run of fields: at most member->max, whose keys differ, are not reserved and hold no
 * control character.
 * Fails: TAG; refusal says why.
 */
KS_MUST_USE ks_result ks_lists_check_tags(const struct ks_member *member, ks_bytes run,
                                          struct ks_refusal *refusal);

/*
 * The texts in a run of fields, count of them: at most member->max.
 * Fails: TAG (too many of a list that has a text for it); refusal says why.
 */
KS_MUST_USE ks_result ks_lists_check_count(const struct ks_member *member, ks_bytes run,
                                           struct ks_refusal *refusal);

/*
 * The encryption context in a run of fields: what pkg/blob can encode.
 * Fails: VALIDATION; refusal says why.
 */
KS_MUST_USE ks_result ks_lists_check_context(const struct ks_member *member, ks_bytes run,
                                             struct ks_refusal *refusal);
