#include "pkg/authorize/authorize.h"

#include <assert.h>

#include "pkg/authorize/case.h"

/* Whether there is something to decide: a member that is absent asks for nothing. */
static bool is_asked_for(const struct ks_question *question, const struct ks_resource *resource)
{
    return resource->member == KS_MEMBER_NONE ||
           ks_checked_has(question->checked, resource->member);
}

bool ks_authorize(const struct ks_question *question)
{
    const struct ks_operation *operation = question->operation;
    bool allowed = true;
    size_t key_index = 0;
    for (size_t i = 0; i < operation->resource_count; i++) {
        const struct ks_resource *resource = &operation->resources[i];
        if (!is_asked_for(question, resource)) {
            continue;
        }
        struct ks_case c;
        ks_case_of(question, resource, key_index, &c);
        key_index += resource->type == KS_RESOURCE_KEY ? 1 : 0;
        allowed = ks_policy_decide(&c.request).effect == KS_POLICY_ALLOW && allowed;
    }
    assert(key_index == question->checked->key_count);
    return allowed;
}
