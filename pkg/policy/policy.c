#include "pkg/policy/policy.h"

#include <assert.h>
#include <stdbool.h>

static struct ks_policy_answer deny(enum ks_policy_reason reason)
{
    return (struct ks_policy_answer){KS_POLICY_DENY, reason};
}

static struct ks_policy_answer allow(enum ks_policy_reason reason)
{
    return (struct ks_policy_answer){KS_POLICY_ALLOW, reason};
}

/* If a document that cannot be read were ignored, that could allow what it denies. */
static bool is_understood(const struct ks_policy_request *request)
{
    return request->key_policy.len == 0 && request->identity_policy_count == 0 &&
           request->guardrail_count == 0;
}

struct ks_policy_answer ks_policy_decide(const struct ks_policy_request *request)
{
    assert(request);
    assert(request->action.len > 0);
    assert(request->principal_account.len > 0);

    if (!is_understood(request)) {
        return deny(KS_POLICY_NOT_UNDERSTOOD);
    }
    if (request->resource == KS_POLICY_ACCOUNT) {
        return allow(KS_POLICY_OWN_ACCOUNT);
    }
    if (!ks_bytes_equal(request->resource_account, request->principal_account)) {
        return deny(KS_POLICY_OTHER_ACCOUNT);
    }
    bool is_key = request->resource == KS_POLICY_KEY && request->resource_arn.len > 0;
    return allow(is_key ? KS_POLICY_DEFAULT_KEY_POLICY : KS_POLICY_OWN_ACCOUNT);
}
