/*
 * case: what a policy is asked about one resource of a request: who wants to do what with which
 * resource, and the facts that conditions can ask for. They are of two kinds: what is known of the
 * key (facts.h) and what the request says, whose members name their condition keys in the table of
 * operations.
 *
 * Private to authorize.c. Threads: pure; any.
 */
#pragma once

#include "pkg/arn/arn.h"
#include "pkg/authorize/authorize.h"
#include "pkg/operation/bounds.h"
#include "pkg/policy/policy.h"

/* Condition keys that no member of a request stands for. */
#define KS_FACT_CALLER_ACCOUNT "kms:CallerAccount"
#define KS_FACT_REQUEST_ALIAS  "kms:RequestAlias" /* the key is named by this alias */

/* What the members say, the two above, and whether two keys are one. */
#define KS_CASE_FACTS_MAX (KS_OPERATION_FACTS_MAX + 3U)

#define KS_CASE_NUMBER_LEN 12U /* an int32_t in decimal, with its end */

/* The request for the policy, and what it borrows besides what the question does. */
struct ks_case {
    struct ks_policy_request request;
    struct ks_arn arn; /* of an alias */
    size_t fact_count;
    struct ks_policy_fact facts[KS_CASE_FACTS_MAX];
    char numbers[KS_OPERATION_MEMBERS_MAX][KS_CASE_NUMBER_LEN];
};

/*
 * Makes the case of one resource, which the request names or asks for.
 * key_index  of a resource of type KEY: which of the question's keys it is.
 * ret_case   filled in place, as its request points into it; it must not be moved.
 */
void ks_case_of(const struct ks_question *question, const struct ks_resource *resource,
                size_t key_index, struct ks_case *ret_case);
