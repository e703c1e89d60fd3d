/*
 * lists: checks what only all elements of a list show together: tags and encryption contexts.
 *
 * Private to check.c. Threads: pure; any.
 */
#pragma once

#include "pkg/operation/operation.h"
#include "pkg/operation/refusal.h"

/*
 * Checks the tags in a run of fields: there are at most member->max, and their keys differ, are not
 * reserved and hold no control character.
 * Fails: TAG, or member->text_code (too many); refusal says why.
 */
KS_MUST_USE ks_result ks_lists_check_tags(const struct ks_member *member, ks_bytes run,
                                          struct ks_refusal *refusal);

/*
 * Checks that the fields in a run are an encryption context that pkg/blob can encode.
 * Fails: VALIDATION; refusal says why.
 */
KS_MUST_USE ks_result ks_lists_check_context(const struct ks_member *member, ks_bytes run,
                                             struct ks_refusal *refusal);
