#include "pkg/authorize/authorize.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pkg/codec/wire.h"
#include "pkg/operation/operation_fixture.h"

#define BUFFER_LEN 8192U

static bool allows(const char *operation, const struct ks_buffer *message,
                   const struct ks_facts *keys)
{
    struct ks_refusal refusal = {.code = KS_OK};
    struct ks_checked checked;
    const struct ks_operation *row = fixture_operation(operation);
    assert_int_equal(
        ks_operation_check(row, &fixture_home, OWN, ks_buffer_bytes(message), &checked, &refusal)
            .code,
        KS_OK);
    const struct ks_question question = {
        .operation = row,
        .checked = &checked,
        .home = &fixture_home,
        .account = KS_LITERAL(OWN),
        .principal = KS_LITERAL("arn:aws:iam::" OWN ":user/alice"),
        .keys = keys,
    };
    return ks_authorize(&question);
}

static void put(struct ks_buffer *buffer, unsigned field, ks_bytes value)
{
    assert_int_equal(ks_wire_put_bytes(field, value, buffer).code, KS_OK);
}

static void allows_what_is_the_accounts_own(void **state)
{
    (void)state;
    struct ks_facts facts = {.count = 0};
    KS_BUFFER_AUTO none = {.len_max = BUFFER_LEN};
    KS_BUFFER_AUTO own = {.len_max = BUFFER_LEN};
    put(&own, 1, KS_LITERAL(KEY_ID));

    assert_true(allows("ListKeys", &none, NULL));
    assert_true(allows("CreateKey", &none, NULL));
    assert_true(allows("DescribeKey", &own, &facts));
}

static void denies_a_key_of_another_account(void **state)
{
    (void)state;
    struct ks_facts facts = {.count = 0};
    KS_BUFFER_AUTO other = {.len_max = BUFFER_LEN};
    put(&other, 1, KS_LITERAL(OTHER_KEY));

    assert_false(allows("DescribeKey", &other, &facts));
}

/* Each key is decided on by itself: one that is another's denies the whole. */
static void denies_when_one_of_two_keys_is_anothers(void **state)
{
    (void)state;
    static const struct {
        const char *source;
        const char *destination;
        bool allowed;
    } rows[] = {{OWN, KEY_ID, true}, {OTHER, KEY_ID, false}, {OWN, OTHER_KEY, false}};
    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        struct ks_facts facts[2] = {{.count = 0}, {.count = 0}};
        KS_BUFFER_AUTO blob = {.len_max = BUFFER_LEN};
        KS_BUFFER_AUTO message = {.len_max = BUFFER_LEN};
        fixture_blob("ap-seoul-1", rows[i].source, &blob);
        put(&message, 1, ks_buffer_bytes(&blob));
        put(&message, 4, ks_bytes_of(rows[i].destination));

        assert_int_equal(allows("ReEncrypt", &message, facts), rows[i].allowed);
    }
}

/* A document that is not understood denies: passing over it could allow what it denies. */
static void denies_by_a_policy_that_it_cannot_read(void **state)
{
    (void)state;
    struct ks_facts facts = {.count = 0};
    KS_BUFFER_AUTO message = {.len_max = BUFFER_LEN};
    put(&message, 1, KS_LITERAL(KEY_ID));
    const struct ks_policy_fact policy = {.key = KS_LITERAL(KS_FACT_KEY_POLICY),
                                          .value = KS_LITERAL("{}")};
    assert_int_equal(ks_facts_add(&facts, &policy).code, KS_OK);

    assert_false(allows("DescribeKey", &message, &facts));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allows_what_is_the_accounts_own),
        cmocka_unit_test(denies_a_key_of_another_account),
        cmocka_unit_test(denies_when_one_of_two_keys_is_anothers),
        cmocka_unit_test(denies_by_a_policy_that_it_cannot_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
