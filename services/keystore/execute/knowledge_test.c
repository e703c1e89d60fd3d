#include "services/keystore/execute/knowledge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_fact(const struct ks_facts *facts, const char *name, const char *value)
{
    ks_bytes found = ks_facts_find(facts, name);
    assert_int_equal(found.len, strlen(value));
    assert_memory_equal(found.ptr, value, found.len);
}

static void says_what_the_record_of_a_key_says(void **state)
{
    (void)state;
    STORED(KeyRecord) record = STORED_NEW(KEY_RECORD);
    record.spec = 1; /* SYMMETRIC_DEFAULT */
    record.usage = STORED_ENUM(KEY_USAGE__KEY_USAGE_ENCRYPT_DECRYPT);
    record.origin = STORED_ENUM(KEY_ORIGIN__KEY_ORIGIN_AWS_KMS);
    STORED(Tag) tags[] = {STORED_NEW(TAG), STORED_NEW(TAG)};
    tags[0].key = (char *)"team";
    tags[0].value = (char *)"red";
    tags[1].key = (char *)"empty";
    STORED(Tag) * tag_list[] = {&tags[0], &tags[1]};
    record.tags = tag_list;
    record.n_tags = 2;
    struct ks_target target = {.key = &record, .arn = {"arn:aws:kms:r:1:key/k"}};
    struct ks_facts facts;

    ks_knowledge_of(&target, &facts);

    assert_fact(&facts, KS_FACT_KEY_ARN, "arn:aws:kms:r:1:key/k");
    assert_fact(&facts, KS_FACT_KEY_POLICY, ""); /* the default policy is no fact */
    assert_fact(&facts, "kms:KeySpec", "SYMMETRIC_DEFAULT");
    assert_fact(&facts, "kms:KeyUsage", "ENCRYPT_DECRYPT");
    assert_fact(&facts, "kms:KeyOrigin", "AWS_KMS");
    assert_fact(&facts, "kms:MultiRegion", "false");
    assert_fact(&facts, "aws:ResourceTag/", "red");
    assert_int_equal(facts.count, 7);
    assert_true(ks_bytes_equal(facts.items[5].name, KS_LITERAL("team")));
    assert_true(ks_bytes_equal(facts.items[6].name, KS_LITERAL("empty")));
    assert_int_equal(facts.items[6].value.len,
                     0); /* a tag without a value is a fact all the same */
}

/* A policy that a newer program has stored must not be taken for the default one. */
static void a_policy_that_is_not_read_is_a_fact(void **state)
{
    (void)state;
    uint8_t sha256[32] = {1};
    STORED(KeyRecord) record = STORED_NEW(KEY_RECORD);
    record.policy_sha256 = ks_lend_bytes((ks_bytes){sha256, sizeof(sha256)});
    struct ks_target target = {.key = &record, .arn = {"arn:aws:kms:r:1:key/k"}};
    struct ks_facts facts;

    ks_knowledge_of(&target, &facts);

    assert_int_equal(ks_facts_find(&facts, KS_FACT_KEY_POLICY).len, sizeof(sha256));
}

/* A name that names nothing has no facts: nothing is known about what is absent. */
static void says_nothing_of_what_is_not_there(void **state)
{
    (void)state;
    struct ks_target target = {.key = NULL, .arn = {"arn:aws:kms:r:1:key/k"}};
    struct ks_facts facts;

    ks_knowledge_of(&target, &facts);

    assert_int_equal(facts.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_the_record_of_a_key_says),
        cmocka_unit_test(a_policy_that_is_not_read_is_a_fact),
        cmocka_unit_test(says_nothing_of_what_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
