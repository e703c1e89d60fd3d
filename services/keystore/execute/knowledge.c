#include "services/keystore/execute/knowledge.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/keyspec/keyspec.h"

static ks_bytes arn_of(const struct ks_target *target)
{
    return ks_bytes_of(target->arn.text);
}

static ks_bytes policy_of(const struct ks_target *target)
{
    return ks_bytes_of(target->key->policy);
}

static ks_bytes spec_of(const struct ks_target *target)
{
    const struct ks_keyspec *spec = ks_keyspec_of(target->key->spec);
    return ks_bytes_of(spec ? spec->name : NULL);
}

/* A name and where its value stands; a value that is empty is left out. */
struct row {
    const char *name;
    ks_bytes (*value_of)(const struct ks_target *target);
};

/* All of them are read from the key's record: key_version covers them. */
static const struct row rows[] = {
    {KS_FACT_KEY_ARN, arn_of},
    {KS_FACT_KEY_POLICY, policy_of},
    {"kms:KeySpec", spec_of},
};

_Static_assert(KS_COUNT(rows) <= KS_FACTS_MAX, "all facts of a key fit");

void ks_knowledge_of(const struct ks_target *target, struct ks_facts *ret_facts)
{
    ret_facts->count = 0;
    for (size_t i = 0; target->key && i < KS_COUNT(rows); i++) {
        ks_bytes value = rows[i].value_of(target);
        if (value.len > 0) {
            ks_result added = ks_facts_add(ret_facts, rows[i].name, value);
            assert(!ks_failed(added));
        }
    }
}
