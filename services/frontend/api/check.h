/*
 * check: whether a request keeps the form and the limits of its operation, before anybody looks at
 * what it asks for. Texts are those of AWS KMS.
 *
 * First the wire (pkg/codec), then each member against its rule, in the order in which they stand;
 * the first that fails is reported.
 *
 * Threads: pure over the arguments; any.
 */
#pragma once

#include "pkg/base/bytes.h"
#include "services/frontend/api/home.h"
#include "services/frontend/api/operation.h"
#include "services/frontend/api/refusal.h"

/*
 * The wire form of a request, a batch with all its entries included.
 * Fails: VALIDATION; refusal says why.
 */
KS_MUST_USE ks_result ks_check_wire(const struct ks_operation *operation, ks_bytes message,
                                    struct ks_refusal *refusal);

/*
 * The members of a request that has passed ks_check_wire, alone or as an entry of a batch.
 *
 * account  of the caller, for the ARNs in its own texts.
 *
 * Fails: VALIDATION, NOT_FOUND and INVALID_ARN (a key identifier that can name no key here),
 * INVALID_ALIAS_NAME, TAG; refusal says why.
 */
KS_MUST_USE ks_result ks_check_members(const struct ks_operation *operation,
                                       const struct ks_home *home, const char *account,
                                       ks_bytes message, struct ks_refusal *refusal);

/* The rule of a member by its number; NULL if the operation has none. */
const struct ks_rule *ks_rule_of(const struct ks_operation *operation, uint32_t field);
