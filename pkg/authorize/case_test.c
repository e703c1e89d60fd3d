#include "pkg/authorize/case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/codec/wire.h"
#include "pkg/operation/operation_fixture.h"

#define BUFFER_LEN 65536U
#define PAIRS_MAX  128U /* of an encryption context */

/* A checked request, and the case of one of its resources. */
struct scene {
    struct ks_checked checked;
    struct ks_facts keys[KS_OPERATION_KEYS_MAX];
    struct ks_buffer message;
    struct ks_case made;
};

static struct scene *scene_of(const char *operation, size_t resource, struct scene *scene)
{
    const struct ks_operation *row = fixture_operation(operation);
    struct ks_refusal refusal = {.code = KS_OK};
    ks_result checked = ks_operation_check(
        row, &fixture_home, OWN, ks_buffer_bytes(&scene->message), &scene->checked, &refusal);
    assert_int_equal(checked.code, KS_OK);
    const struct ks_question question = {
        .operation = row,
        .checked = &scene->checked,
        .home = &fixture_home,
        .account = KS_LITERAL(OWN),
        .principal = KS_LITERAL("arn:aws:iam::" OWN ":user/alice"),
        .keys = scene->keys,
    };
    size_t key_index = 0;
    for (size_t i = 0; i < resource; i++) {
        key_index += row->resources[i].type == KS_RESOURCE_KEY ? 1 : 0;
    }
    ks_case_of(&question, &row->resources[resource], key_index, &scene->made);
    return scene;
}

static void put(struct scene *scene, unsigned field, ks_bytes value)
{
    scene->message.len_max = BUFFER_LEN;
    assert_int_equal(ks_wire_put_bytes(field, value, &scene->message).code, KS_OK);
}

static void put_number(struct scene *scene, unsigned field, uint64_t value)
{
    scene->message.len_max = BUFFER_LEN;
    assert_int_equal(ks_wire_put_varint(field, value, &scene->message).code, KS_OK);
}

/* A map entry or a tag. */
static void put_pair(struct scene *scene, unsigned field, const char *key, const char *value)
{
    KS_BUFFER_AUTO pair = {.len_max = BUFFER_LEN};
    assert_int_equal(ks_wire_put_bytes(1, ks_bytes_of(key), &pair).code, KS_OK);
    assert_int_equal(ks_wire_put_bytes(2, ks_bytes_of(value), &pair).code, KS_OK);
    put(scene, field, ks_buffer_bytes(&pair));
}

/* How many facts have that key, name and value. */
static size_t count(const struct scene *scene, const char *key, const char *name, const char *value)
{
    size_t found = 0;
    for (size_t i = 0; i < scene->made.request.of_request.count; i++) {
        const struct ks_policy_fact *fact = &scene->made.request.of_request.items[i];
        found += ks_bytes_equal(fact->key, ks_bytes_of(key)) &&
                         ks_bytes_equal(fact->name, ks_bytes_of(name)) &&
                         ks_bytes_equal(fact->value, ks_bytes_of(value))
                     ? 1
                     : 0;
    }
    return found;
}

static void assert_says(const struct scene *scene, const char *key, const char *value)
{
    assert_int_equal(count(scene, key, "", value), 1);
}

/* What CreateKey is given, with what stands for the members that are absent. */
static void says_what_a_key_is_to_be(void **state)
{
    (void)state;
    struct scene scene = {.message = {.len_max = BUFFER_LEN}};
    scene_of("CreateKey", 0, &scene);
    assert_says(&scene, "kms:KeySpec", "SYMMETRIC_DEFAULT");
    assert_says(&scene, "kms:KeyUsage", "ENCRYPT_DECRYPT");
    assert_says(&scene, "kms:KeyOrigin", "AWS_KMS");
    assert_says(&scene, "kms:BypassPolicyLockoutSafetyCheck", "false");
    assert_says(&scene, KS_FACT_CALLER_ACCOUNT, OWN);
    assert_int_equal(scene.made.request.of_request.count, 5);

    put_number(&scene, 4, 1);
    put_number(&scene, 6, 1);
    put_pair(&scene, 7, "team", "red");
    put_pair(&scene, 7, "empty", "");
    scene_of("CreateKey", 0, &scene);
    assert_says(&scene, "kms:KeySpec", "SYMMETRIC_DEFAULT");
    assert_says(&scene, "kms:BypassPolicyLockoutSafetyCheck", "true");
    assert_int_equal(count(&scene, "aws:RequestTag/", "team", "red"), 1);
    assert_int_equal(count(&scene, "aws:RequestTag/", "empty", ""), 1);
    assert_says(&scene, "aws:TagKeys", "team");
    assert_says(&scene, "aws:TagKeys", "empty");
    ks_buffer_done(&scene.message);
}

static void says_numbers_and_lists(void **state)
{
    (void)state;
    struct scene window = {.message = {.len_max = BUFFER_LEN}};
    put(&window, 1, KS_LITERAL(KEY_ID));
    scene_of("ScheduleKeyDeletion", 0, &window);
    assert_says(&window, "kms:ScheduleKeyDeletionPendingWindowInDays", "30");
    put_number(&window, 2, 7);
    scene_of("ScheduleKeyDeletion", 0, &window);
    assert_says(&window, "kms:ScheduleKeyDeletionPendingWindowInDays", "7");
    ks_buffer_done(&window.message);

    struct scene untag = {.message = {.len_max = BUFFER_LEN}};
    put(&untag, 1, KS_LITERAL(KEY_ID));
    put(&untag, 2, KS_LITERAL("a"));
    put(&untag, 2, KS_LITERAL("b"));
    scene_of("UntagResource", 0, &untag);
    assert_says(&untag, "aws:TagKeys", "a");
    assert_says(&untag, "aws:TagKeys", "b");
    ks_buffer_done(&untag.message);
}

/* No operation has such a member yet: each value of the list is one of the condition key. */
static void says_each_value_of_a_list_of_enum_values(void **state)
{
    (void)state;
    static const struct ks_member list = {
        .field = 3,
        .type = KS_MEMBER_ENUMS,
        .values = "Encrypt, Decrypt, Sign",
        .value_max = 3,
        .condition = {"kms:GrantOperations", NULL, KS_MEMBER_NONE},
    };
    static const struct ks_resource account = {KS_RESOURCE_ACCOUNT, "kms:X",         KS_MEMBER_NONE,
                                               KS_MEMBER_NONE,      KS_KEY_RULE_ANY, 0};
    static const struct ks_operation operation = {.members = &list, .member_count = 1};
    struct scene scene = {
        .checked = {.present = 1, .values = {KS_LITERAL("\x1a\x01\x03\x18\x01")}},
    };
    const struct ks_question question = {
        .operation = &operation, .checked = &scene.checked, .home = &fixture_home};

    ks_case_of(&question, &account, 0, &scene.made);

    assert_says(&scene, "kms:GrantOperations", "Sign");
    assert_says(&scene, "kms:GrantOperations", "Encrypt");
    assert_int_equal(count(&scene, "kms:GrantOperations", "", "Decrypt"), 0);
}

/* Each key of ReEncrypt has a context of its own; whether both are one key is known of both. */
static void says_of_each_key_what_concerns_it(void **state)
{
    (void)state;
    struct scene scene = {.message = {.len_max = BUFFER_LEN}};
    KS_BUFFER_AUTO blob = {.len_max = BUFFER_LEN};
    fixture_blob("ap-seoul-1", OWN, &blob);
    put(&scene, 1, ks_buffer_bytes(&blob));
    put_pair(&scene, 2, "from", "1");
    put(&scene, 4, KS_LITERAL("alias/to"));
    put_pair(&scene, 5, "to", "2");

    scene_of("ReEncrypt", 0, &scene);
    assert_int_equal(count(&scene, "kms:EncryptionContext:", "from", "1"), 1);
    assert_int_equal(count(&scene, "kms:EncryptionContext:", "to", "2"), 0);
    assert_says(&scene, "kms:EncryptionContextKeys", "from");
    assert_says(&scene, "kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT");
    assert_says(&scene, "kms:ReEncryptOnSameKey", "false");
    assert_int_equal(count(&scene, KS_FACT_REQUEST_ALIAS, "", "alias/to"), 0);

    const struct ks_policy_fact arn = {.key = KS_LITERAL(KS_FACT_KEY_ARN),
                                       .value = KS_LITERAL(OWN_KEY)};
    assert_int_equal(ks_facts_add(&scene.keys[0], &arn).code, KS_OK);
    assert_int_equal(ks_facts_add(&scene.keys[1], &arn).code, KS_OK);
    scene_of("ReEncrypt", 1, &scene);
    assert_int_equal(count(&scene, "kms:EncryptionContext:", "to", "2"), 1);
    assert_int_equal(count(&scene, "kms:EncryptionContext:", "from", "1"), 0);
    assert_says(&scene, "kms:ReEncryptOnSameKey", "true");
    assert_says(&scene, KS_FACT_REQUEST_ALIAS, "alias/to");
    assert_true(ks_bytes_equal(scene.made.request.resource_arn, KS_LITERAL(OWN_KEY)));
    assert_int_equal(scene.made.request.of_resource.count, 1);
    ks_buffer_done(&scene.message);
}

/* An alias is decided on by its own ARN. */
static void names_an_alias_by_its_arn(void **state)
{
    (void)state;
    struct scene scene = {.message = {.len_max = BUFFER_LEN}};
    put(&scene, 1, KS_LITERAL("alias/app/main"));
    put(&scene, 2, KS_LITERAL(KEY_ID));

    scene_of("CreateAlias", 0, &scene);

    assert_int_equal(scene.made.request.resource, KS_POLICY_ALIAS);
    assert_true(ks_bytes_equal(scene.made.request.resource_account, KS_LITERAL(OWN)));
    assert_true(ks_bytes_equal(scene.made.request.resource_arn,
                               KS_LITERAL(ARN_OF(OWN, "ap-seoul-1", "alias/app/main"))));
    scene_of("CreateAlias", 1, &scene);
    assert_int_equal(scene.made.request.resource, KS_POLICY_KEY);
    ks_buffer_done(&scene.message);
}

/* The largest context there may be: a fact for each pair, and one for each of its keys. */
static void has_room_for_the_largest_request(void **state)
{
    (void)state;
    struct scene scene = {.message = {.len_max = BUFFER_LEN}};
    put(&scene, 1, KS_LITERAL("alias/a"));
    put(&scene, 2, KS_LITERAL("plaintext"));
    for (unsigned i = 0; i < PAIRS_MAX; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "k%u", i);
        put_pair(&scene, 3, key, "v");
    }
    scene_of("Encrypt", 0, &scene);
    for (unsigned i = 0; i < PAIRS_MAX; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "k%u", i);
        assert_int_equal(count(&scene, "kms:EncryptionContext:", key, "v"), 1);
        assert_says(&scene, "kms:EncryptionContextKeys", key);
    }
    ks_buffer_done(&scene.message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_a_key_is_to_be),
        cmocka_unit_test(says_numbers_and_lists),
        cmocka_unit_test(says_each_value_of_a_list_of_enum_values),
        cmocka_unit_test(says_of_each_key_what_concerns_it),
        cmocka_unit_test(names_an_alias_by_its_arn),
        cmocka_unit_test(has_room_for_the_largest_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
