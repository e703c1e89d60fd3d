#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/kms/v1/rotation.pb-c.h"
#include "services/keystore/fixture/key_fixture.h"

static struct cell_answer ask(const char *key)
{
    KMS(GetKeyRotationStatusRequest) message = KMS_NEW(GET_KEY_ROTATION_STATUS_REQUEST);
    message.key_id = ks_lend_text(key);
    const struct cell_request request = {.operation = OP(GET_KEY_ROTATION_STATUS),
                                         .message = &message.base,
                                         .response_type =
                                             KMS_TYPE(get_key_rotation_status_response)};
    return cell_call(&cell, &request);
}

static void a_key_is_not_rotated_in_any_of_its_states(void **state)
{
    (void)state;
    for (int deleted = 0; deleted <= 1; deleted++) {
        CELL_ANSWER_AUTO answer = ask(key_id);
        assert_string_equal(ks_code_name(answer.code), "OK");
        const KMS(GetKeyRotationStatusResponse) *status =
            (const KMS(GetKeyRotationStatusResponse) *)answer.response;
        assert_false(status->key_rotation_enabled);
        assert_non_null(strstr(status->key_id, key_id));
        CELL_ANSWER_AUTO scheduled = cell_on_key(&cell, OP(SCHEDULE_KEY_DELETION), key_id);
        (void)scheduled;
    }
}

static void an_alias_names_no_key_here(void **state)
{
    (void)state;
    cell_create_alias(&cell, "alias/a", key_id);
    CELL_ANSWER_AUTO answer = ask("alias/a");
    assert_string_equal(ks_code_name(answer.code), "NOT_FOUND");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_key_is_not_rotated_in_any_of_its_states),
        TEST(an_alias_names_no_key_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
