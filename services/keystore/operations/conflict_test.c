/* Many callers at once: compares that don't hold, decisions that have become old, retries in flight. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "services/keystore/fixture/key_fixture.h"

#define CALLERS 8U
#define ROUNDS  10U

static char made[CALLERS][37];
static ks_code codes[CALLERS];
static unsigned round_number;

/* Every caller at once; the argument is its number. */
static void at_once(void *(*call)(void *argument))
{
    pthread_t threads[CALLERS];
    for (size_t i = 0; i < CALLERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, call, (void *)(uintptr_t)i), 0);
    }
    for (size_t i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
    }
}

static size_t count(ks_code code)
{
    size_t n = 0;
    for (size_t i = 0; i < CALLERS; i++) {
        n += codes[i] == code;
    }
    return n;
}

static void *create_alias(void *argument)
{
    size_t number = (size_t)(uintptr_t)argument;
    char alias[32];
    char request_id[32];
    snprintf(alias, sizeof(alias), "alias/r%u", round_number);
    snprintf(request_id, sizeof(request_id), "a-%u-%zu", round_number, number);
    KMS(CreateAliasRequest) message = KMS_NEW(CREATE_ALIAS_REQUEST);
    message.alias_name = alias;
    message.target_key_id = key_id;
    const struct cell_request request = {
        .operation = OP(CREATE_ALIAS), .request_id = request_id, .message = &message.base};
    CELL_ANSWER_AUTO answer = cell_call(&cell, &request);
    codes[number] = answer.code;
    return NULL;
}

static void one_of_many_makes_the_alias_and_the_others_are_told(void **state)
{
    (void)state;
    for (round_number = 0; round_number < ROUNDS; round_number++) {
        at_once(create_alias);
        assert_int_equal(count(KS_OK), 1);
        assert_int_equal(count(KS_ALREADY_EXISTS), CALLERS - 1);
    }
}

static void *create_key(void *argument)
{
    size_t number = (size_t)(uintptr_t)argument;
    char request_id[32];
    snprintf(request_id, sizeof(request_id), "k-%u", round_number);
    KMS(CreateKeyRequest) message = KMS_NEW(CREATE_KEY_REQUEST);
    const struct cell_request request = {.operation = OP(CREATE_KEY),
                                         .request_id = request_id,
                                         .message = &message.base,
                                         .response_type = KMS_TYPE(create_key_response)};
    CELL_ANSWER_AUTO answer = cell_call(&cell, &request);
    codes[number] = answer.code;
    if (answer.code == KS_OK) {
        snprintf(made[number], sizeof(made[number]), "%s",
                 ((KMS(CreateKeyResponse) *)answer.response)->key_metadata->key_id);
    }
    return NULL;
}

/* Promise 3, with the retry on its way while the first one is. */
static void one_request_id_makes_one_key_however_many_ask_at_once(void **state)
{
    (void)state;
    for (round_number = 0; round_number < ROUNDS; round_number++) {
        at_once(create_key);
        assert_int_equal(count(KS_OK), CALLERS);
        for (size_t i = 1; i < CALLERS; i++) {
            assert_string_equal(made[i], made[0]);
        }
    }
}

static void *toggle(void *argument)
{
    size_t number = (size_t)(uintptr_t)argument;
    KMS(EnableKeyRequest) enable = KMS_NEW(ENABLE_KEY_REQUEST);
    KMS(DisableKeyRequest) disable = KMS_NEW(DISABLE_KEY_REQUEST);
    enable.key_id = key_id;
    disable.key_id = key_id;
    char request_id[32];
    snprintf(request_id, sizeof(request_id), "t-%u-%zu", round_number, number);
    const struct cell_request request = {
        .operation = number % 2 ? OP(ENABLE_KEY) : OP(DISABLE_KEY),
        .request_id = request_id,
        .message = number % 2 ? &enable.base : &disable.base,
    };
    CELL_ANSWER_AUTO answer = cell_call(&cell, &request);
    codes[number] = answer.code;
    return NULL;
}

static void changes_of_one_key_all_succeed_one_after_the_other(void **state)
{
    (void)state;
    for (round_number = 0; round_number < ROUNDS; round_number++) {
        at_once(toggle);
        assert_int_equal(count(KS_OK), CALLERS);
    }
}

static void *describe_or_disable(void *argument)
{
    size_t number = (size_t)(uintptr_t)argument;
    char request_id[32];
    snprintf(request_id, sizeof(request_id), "d-%u-%zu", round_number, number);
    KMS(UpdateKeyDescriptionRequest) describe = KMS_NEW(UPDATE_KEY_DESCRIPTION_REQUEST);
    KMS(DisableKeyRequest) disable = KMS_NEW(DISABLE_KEY_REQUEST);
    describe.key_id = made[0];
    describe.description_presence_case =
        KMS_ENUM(UPDATE_KEY_DESCRIPTION_REQUEST__DESCRIPTION_PRESENCE_DESCRIPTION);
    describe.description = ks_lend_text("kept");
    disable.key_id = made[0];
    const struct cell_request request = {
        .operation = number % 2 ? OP(UPDATE_KEY_DESCRIPTION) : OP(DISABLE_KEY),
        .request_id = request_id,
        .message = number % 2 ? &describe.base : &disable.base,
    };
    CELL_ANSWER_AUTO answer = cell_call(&cell, &request);
    codes[number] = answer.code;
    return NULL;
}

/* Both write the whole record: without the compare, one would take the other's change back. */
static void no_change_is_lost_to_another_one_of_the_same_key(void **state)
{
    (void)state;
    for (round_number = 0; round_number < 3 * ROUNDS; round_number++) {
        cell_create_key(&cell, made[0]);
        at_once(describe_or_disable);
        assert_int_equal(count(KS_OK), CALLERS);
        CELL_ANSWER_AUTO answer = cell_on_key(&cell, OP(DESCRIBE_KEY), made[0]);
        const KMS(KeyMetadata) *key =
            ((const KMS(DescribeKeyResponse) *)answer.response)->key_metadata;
        assert_string_equal(key->description, "kept");
        assert_int_equal(key->key_state, KMS_ENUM(KEY_STATE__KEY_STATE_DISABLED));
    }
}

static atomic_bool disabled;
static atomic_uint wrong;

static void *use(void *argument)
{
    (void)argument;
    for (int i = 0; i < 50; i++) {
        bool before = atomic_load(&disabled);
        CELL_ANSWER_AUTO answer = cell_encrypt(&cell, key_id, "x", NULL);
        if (before && answer.code == KS_OK) {
            atomic_fetch_add(&wrong, 1);
        }
    }
    return NULL;
}

static void *disable(void *argument)
{
    (void)argument;
    CELL_ANSWER_AUTO answer = cell_on_key(&cell, OP(DISABLE_KEY), key_id);
    assert_int_equal(answer.code, KS_OK);
    atomic_store(&disabled, true);
    return NULL;
}

static void *use_or_disable(void *argument)
{
    return (uintptr_t)argument == 0 ? disable(argument) : use(argument);
}

/* Promise 2, in small. */
static void nothing_that_starts_after_disable_key_returned_uses_the_key(void **state)
{
    (void)state;
    atomic_store(&disabled, false);
    atomic_store(&wrong, 0);
    at_once(use_or_disable);
    assert_int_equal(atomic_load(&wrong), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_of_many_makes_the_alias_and_the_others_are_told),
        TEST(one_request_id_makes_one_key_however_many_ask_at_once),
        TEST(changes_of_one_key_all_succeed_one_after_the_other),
        TEST(no_change_is_lost_to_another_one_of_the_same_key),
        TEST(nothing_that_starts_after_disable_key_returned_uses_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
