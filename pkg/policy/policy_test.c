#include "pkg/policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ARN(account) "arn:aws:kms:ap-seoul-1:" account ":key/0b4f9c9e-6f5d-4b8b-9b0e-000000000001"

static struct ks_policy_request own_key(void)
{
    return (struct ks_policy_request){
        .action = KS_LITERAL("kms:Decrypt"),
        .principal_arn = KS_LITERAL("arn:aws:iam::111122223333:user/alice"),
        .principal_account = KS_LITERAL("111122223333"),
        .resource_account = KS_LITERAL("111122223333"),
        .resource_arn = KS_LITERAL(ARN("111122223333")),
    };
}

static void assert_answer(const struct ks_policy_request *request, enum ks_policy_effect effect,
                          enum ks_policy_reason reason)
{
    struct ks_policy_answer answer = ks_policy_decide(request);

    assert_int_equal(answer.effect, effect);
    assert_int_equal(answer.reason, reason);
}

static void lets_an_account_use_its_own_key(void **state)
{
    (void)state;
    struct ks_policy_request request = own_key();

    assert_answer(&request, KS_POLICY_ALLOW, KS_POLICY_DEFAULT_KEY_POLICY);
}

static void lets_nobody_use_the_key_of_another_account(void **state)
{
    (void)state;
    struct ks_policy_request request = own_key();
    request.resource_account = KS_LITERAL("111122223334");
    request.resource_arn = KS_LITERAL(ARN("111122223334"));

    assert_answer(&request, KS_POLICY_DENY, KS_POLICY_OTHER_ACCOUNT);
}

/* Whether the key is there makes no difference: absent and forbidden look alike. */
static void denies_another_account_whether_the_key_is_there_or_not(void **state)
{
    (void)state;
    struct ks_policy_request request = own_key();
    request.resource_account = KS_LITERAL("999999999999");
    request.resource_arn = (ks_bytes){0};

    assert_answer(&request, KS_POLICY_DENY, KS_POLICY_OTHER_ACCOUNT);
}

static void lets_an_account_learn_that_it_has_no_such_key(void **state)
{
    (void)state;
    struct ks_policy_request request = own_key();
    request.resource_arn = (ks_bytes){0};

    assert_answer(&request, KS_POLICY_ALLOW, KS_POLICY_OWN_ACCOUNT);
}

static void lets_a_known_principal_do_what_concerns_no_key(void **state)
{
    (void)state;
    struct ks_policy_request request = own_key();
    request.action = KS_LITERAL("kms:CreateKey");
    request.resource = KS_POLICY_ACCOUNT;
    request.resource_account = (ks_bytes){0};
    request.resource_arn = (ks_bytes){0};

    assert_answer(&request, KS_POLICY_ALLOW, KS_POLICY_OWN_ACCOUNT);
}

/* What names no account is nobody's: only the account itself needs none. */
static void denies_a_key_or_alias_of_no_account(void **state)
{
    (void)state;
    struct ks_policy_request request = own_key();
    request.resource_account = (ks_bytes){0};

    assert_answer(&request, KS_POLICY_DENY, KS_POLICY_OTHER_ACCOUNT);
    request.resource = KS_POLICY_ALIAS;
    assert_answer(&request, KS_POLICY_DENY, KS_POLICY_OTHER_ACCOUNT);
}

static void lets_an_account_use_its_own_alias_alone(void **state)
{
    (void)state;
    struct ks_policy_request request = own_key();
    request.resource = KS_POLICY_ALIAS;
    request.resource_arn = KS_LITERAL("arn:aws:kms:ap-seoul-1:111122223333:alias/a");

    assert_answer(&request, KS_POLICY_ALLOW, KS_POLICY_OWN_ACCOUNT);
    request.resource_account = KS_LITERAL("999999999999");
    assert_answer(&request, KS_POLICY_DENY, KS_POLICY_OTHER_ACCOUNT);
}

/* A rule that is not understood is never passed over. */
static void denies_what_it_cannot_read(void **state)
{
    (void)state;
    struct ks_policy_document document = {KS_LITERAL("{}")};
    struct ks_policy_request key_policy = own_key();
    key_policy.key_policy = document.json;
    struct ks_policy_request identity_policy = own_key();
    identity_policy.identity_policies = &document;
    identity_policy.identity_policy_count = 1;
    struct ks_policy_request guardrail = own_key();
    guardrail.guardrails = &document;
    guardrail.guardrail_count = 1;

    assert_answer(&key_policy, KS_POLICY_DENY, KS_POLICY_NOT_UNDERSTOOD);
    assert_answer(&identity_policy, KS_POLICY_DENY, KS_POLICY_NOT_UNDERSTOOD);
    assert_answer(&guardrail, KS_POLICY_DENY, KS_POLICY_NOT_UNDERSTOOD);
}

/* A grant can only allow; until grants are understood it allows nothing. */
static void takes_no_grant_for_a_permission(void **state)
{
    (void)state;
    struct ks_policy_grant grant = {KS_LITERAL("arn:aws:iam::111122223333:user/alice"),
                                    KS_LITERAL("Decrypt")};
    struct ks_policy_request request = own_key();
    request.resource_account = KS_LITERAL("999999999999");
    request.grants = &grant;
    request.grant_count = 1;

    assert_answer(&request, KS_POLICY_DENY, KS_POLICY_OTHER_ACCOUNT);
}

/* An account is compared as a whole. */
static void does_not_take_a_part_of_an_account_for_it(void **state)
{
    (void)state;
    struct ks_policy_request request = own_key();
    request.resource_account = KS_LITERAL("11112222333");

    assert_answer(&request, KS_POLICY_DENY, KS_POLICY_OTHER_ACCOUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lets_an_account_use_its_own_key),
        cmocka_unit_test(lets_nobody_use_the_key_of_another_account),
        cmocka_unit_test(denies_another_account_whether_the_key_is_there_or_not),
        cmocka_unit_test(lets_an_account_learn_that_it_has_no_such_key),
        cmocka_unit_test(lets_a_known_principal_do_what_concerns_no_key),
        cmocka_unit_test(denies_a_key_or_alias_of_no_account),
        cmocka_unit_test(lets_an_account_use_its_own_alias_alone),
        cmocka_unit_test(denies_what_it_cannot_read),
        cmocka_unit_test(takes_no_grant_for_a_permission),
        cmocka_unit_test(does_not_take_a_part_of_an_account_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
