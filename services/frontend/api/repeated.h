/*
 * repeated: the members of a request that are lists: tags and encryption contexts.
 *
 * Private to check.c. Threads: pure; any.
 */
#pragma once

#include "services/frontend/api/operation.h"

/*
 * The tags that stand in member rule->field of message: at most rule->max, keys different.
 * Fails: TAG, VALIDATION; refusal says why.
 */
KS_MUST_USE ks_result ks_check_tags(const struct ks_rule *rule, ks_bytes message,
                                    struct ks_refusal *refusal);

/*
 * The encryption context in member rule->field: what pkg/blob encodes, the hsm opens.
 * Fails: VALIDATION; refusal says why.
 */
KS_MUST_USE ks_result ks_check_context(const struct ks_rule *rule, ks_bytes message,
                                       struct ks_refusal *refusal);
