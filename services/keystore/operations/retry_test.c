/* Promise 3: a request is carried out once, however often it comes, and each try gets its answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "services/keystore/fixture/key_fixture.h"

static struct cell_answer create(const KMS(CreateKeyRequest) * message, const char *request_id)
{
    const struct cell_request request = {.operation = OP(CREATE_KEY),
                                         .request_id = request_id,
                                         .message = &message->base,
                                         .response_type = KMS_TYPE(create_key_response)};
    return cell_call(&cell, &request);
}

static void a_retried_create_key_makes_one_key(void **state)
{
    (void)state;
    KMS(CreateKeyRequest) message = KMS_NEW(CREATE_KEY_REQUEST);
    message.description = ks_lend_text("once");
    CELL_ANSWER_AUTO first = create(&message, "my-request");
    CELL_ANSWER_AUTO second = create(&message, "my-request");
    message.request_id = ks_lend_text("my-request");
    CELL_ANSWER_AUTO third = create(&message, "my-request");
    message.description = ks_lend_text("twice");
    CELL_ANSWER_AUTO other = create(&message, "my-request");

    expect(&first, "OK");
    expect(&second, "OK");
    expect(&third, "OK");
    assert_string_equal(((KMS(CreateKeyResponse) *)first.response)->key_metadata->key_id,
                        ((KMS(CreateKeyResponse) *)second.response)->key_metadata->key_id);
    assert_string_equal(((KMS(CreateKeyResponse) *)first.response)->key_metadata->key_id,
                        ((KMS(CreateKeyResponse) *)third.response)->key_metadata->key_id);
    expect(&other, "CONFLICT");
}

/* Left out or written out, in whichever order: it is one request. Another value is another one. */
static void a_default_that_a_retry_writes_out_makes_no_other_request(void **state)
{
    (void)state;
    for (int first_writes = 0; first_writes <= 1; first_writes++) {
        const char *request_id = first_writes ? "written" : "left-out";
        char made[KS_KEY_ID_LEN + 1];
        cell_create_key(&cell, made);
        KMS(ScheduleKeyDeletionRequest) plain = KMS_NEW(SCHEDULE_KEY_DELETION_REQUEST);
        plain.key_id = made;
        KMS(ScheduleKeyDeletionRequest) written = plain;
        written.pending_window_in_days_presence_case = KMS_ENUM(
            SCHEDULE_KEY_DELETION_REQUEST__PENDING_WINDOW_IN_DAYS_PRESENCE_PENDING_WINDOW_IN_DAYS);
        written.pending_window_in_days = 30;
        struct cell_request request = {.operation = OP(SCHEDULE_KEY_DELETION),
                                       .request_id = request_id,
                                       .message = first_writes ? &written.base : &plain.base};
        CELL_ANSWER_AUTO first = cell_call(&cell, &request);
        request.message = first_writes ? &plain.base : &written.base;
        CELL_ANSWER_AUTO second = cell_call(&cell, &request);
        written.pending_window_in_days = 29;
        request.message = &written.base;
        CELL_ANSWER_AUTO other = cell_call(&cell, &request);

        expect(&first, "OK");
        expect(&second, "OK");
        expect(&other, "CONFLICT");
    }
}

/* What the first call has changed would refuse the second one. */
static void a_retry_gets_the_stored_answer_though_the_state_has_moved_on(void **state)
{
    (void)state;
    KMS(ScheduleKeyDeletionRequest) message = KMS_NEW(SCHEDULE_KEY_DELETION_REQUEST);
    message.key_id = key_id;
    const struct cell_request request = {.operation = OP(SCHEDULE_KEY_DELETION),
                                         .request_id = "delete-it",
                                         .message = &message.base,
                                         .response_type = KMS_TYPE(schedule_key_deletion_response)};
    CELL_ANSWER_AUTO first = cell_call(&cell, &request);
    cell.ahead_ms = 5000;
    CELL_ANSWER_AUTO second = cell_call(&cell, &request);
    const struct cell_request other = {.operation = OP(SCHEDULE_KEY_DELETION),
                                       .request_id = "delete-it-again",
                                       .message = &message.base};
    CELL_ANSWER_AUTO third = cell_call(&cell, &other);

    expect(&first, "OK");
    expect(&second, "OK");
    expect(&third, "INVALID_STATE");
    assert_int_equal(((KMS(ScheduleKeyDeletionResponse) *)first.response)->deletion_date->nanos,
                     ((KMS(ScheduleKeyDeletionResponse) *)second.response)->deletion_date->nanos);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_retried_create_key_makes_one_key),
        TEST(a_default_that_a_retry_writes_out_makes_no_other_request),
        TEST(a_retry_gets_the_stored_answer_though_the_state_has_moved_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
