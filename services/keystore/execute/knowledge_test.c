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
    struct ks_target target = {.key = &record, .arn = {"arn:aws:kms:r:1:key/k"}};
    struct ks_facts facts;

    ks_knowledge_of(&target, &facts);

    assert_fact(&facts, KS_FACT_KEY_ARN, "arn:aws:kms:r:1:key/k");
    assert_fact(&facts, KS_FACT_KEY_POLICY, ""); /* the default policy is no fact */
    assert_fact(&facts, "kms:KeySpec", "SYMMETRIC_DEFAULT");
    assert_int_equal(facts.count, 2);
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
        cmocka_unit_test(says_nothing_of_what_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
