#include "pkg/authorize/authorize.h"

static bool is_allowed(const struct ks_policy_request *request)
{
    return ks_policy_decide(request).effect == KS_POLICY_ALLOW;
}

/* What is asked of the caller's own account, or of one of its aliases. */
static bool allows_own(const struct ks_question *question, const struct ks_resource *resource)
{
    bool always = resource->member == KS_MEMBER_NONE;
    if (!always && !ks_checked_has(question->checked, resource->member)) {
        return true;
    }
    const struct ks_policy_request request = {
        .action = ks_bytes_of(resource->action),
        .principal_arn = question->principal,
        .principal_account = question->account,
    };
    return is_allowed(&request);
}

static bool allows_key(const struct ks_question *question, size_t index)
{
    const struct ks_key_naming *key = &question->checked->keys[index];
    const struct ks_facts *facts = &question->keys[index];
    const struct ks_policy_request request = {
        .action = ks_bytes_of(key->resource->action),
        .principal_arn = question->principal,
        .principal_account = question->account,
        .resource_account = key->account,
        .key_arn = ks_facts_find(facts, KS_FACT_KEY_ARN),
        .key_policy = ks_facts_find(facts, KS_FACT_KEY_POLICY),
        .facts = facts->items,
        .fact_count = facts->count,
    };
    return is_allowed(&request);
}

bool ks_authorize(const struct ks_question *question)
{
    const struct ks_operation *operation = question->operation;
    bool allowed = true;
    for (size_t i = 0; i < operation->resource_count; i++) {
        if (operation->resources[i].type != KS_RESOURCE_KEY) {
            allowed = allows_own(question, &operation->resources[i]) && allowed;
        }
    }
    for (size_t i = 0; i < question->checked->key_count; i++) {
        allowed = allows_key(question, i) && allowed;
    }
    return allowed;
}
