#include "services/keystore/execute/knowledge.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/keyspec/keyspec.h"

static void add(struct ks_facts *facts, const char *key, ks_bytes name, ks_bytes value)
{
    const struct ks_policy_fact fact = {ks_bytes_of(key), name, value};
    ks_result added = ks_facts_add(facts, &fact);
    assert(!ks_failed(added)); /* what a record can hold fits: ROOM below */
}

/* A value that is empty is no fact. */
static void add_text(struct ks_facts *facts, const char *key, const char *value)
{
    if (value && value[0]) {
        add(facts, key, (ks_bytes){0}, ks_bytes_of(value));
    }
}

static void add_arn(const struct ks_target *target, const char *key, struct ks_facts *facts)
{
    add_text(facts, key, target->arn.text);
}

/*
 * Key policies are not read yet. A key that has one was changed by a newer program; its hash is no
 * policy that can be read, and so nothing is allowed.
 */
static void add_policy(const struct ks_target *target, const char *key, struct ks_facts *facts)
{
    ks_bytes sha256 = ks_bytes_in(target->key->policy_sha256);
    if (sha256.len > 0) {
        add(facts, key, (ks_bytes){0}, sha256);
    }
}

static void add_spec(const struct ks_target *target, const char *key, struct ks_facts *facts)
{
    const struct ks_keyspec *spec = ks_keyspec_of(target->key->spec);
    add_text(facts, key, spec ? spec->name : NULL);
}

static void add_usage(const struct ks_target *target, const char *key, struct ks_facts *facts)
{
    add_text(facts, key, ks_key_usage_name((uint32_t)target->key->usage));
}

/* One origin is stored so far. */
static void add_origin(const struct ks_target *target, const char *key, struct ks_facts *facts)
{
    bool made_here = target->key->origin == STORED_ENUM(KEY_ORIGIN__KEY_ORIGIN_AWS_KMS);
    add_text(facts, key, made_here ? "AWS_KMS" : NULL);
}

/* No key is of several regions so far. */
static void add_regions(const struct ks_target *target, const char *key, struct ks_facts *facts)
{
    (void)target;
    add_text(facts, key, "false");
}

static void add_tags(const struct ks_target *target, const char *key, struct ks_facts *facts)
{
    assert(target->key->n_tags <= KS_TAGS_MAX); /* ks_record_read_key has looked */

    for (size_t i = 0; i < target->key->n_tags; i++) {
        const STORED(Tag) *tag = target->key->tags[i];
        add(facts, key, ks_bytes_of(tag->key), ks_bytes_of(tag->value));
    }
}

/* A condition key, and what adds its values. */
struct row {
    const char *key;
    void (*add)(const struct ks_target *target, const char *key, struct ks_facts *facts);
};

/* All of them are read from the key's record: key_version covers them. */
static const struct row rows[] = {
    {KS_FACT_KEY_ARN, add_arn},     {KS_FACT_KEY_POLICY, add_policy},
    {"kms:KeySpec", add_spec},      {"kms:KeyUsage", add_usage},
    {"kms:KeyOrigin", add_origin},  {"kms:MultiRegion", add_regions},
    {"aws:ResourceTag/", add_tags},
};

#define ROOM (KS_COUNT(rows) - 1U + KS_TAGS_MAX) /* each row is one fact, but for the tags */

_Static_assert(ROOM <= KS_FACTS_MAX, "all facts of a key fit");

void ks_knowledge_of(const struct ks_target *target, struct ks_facts *ret_facts)
{
    ret_facts->count = 0;
    for (size_t i = 0; target->key && i < KS_COUNT(rows); i++) {
        rows[i].add(target, rows[i].key, ret_facts);
    }
}
