/* Stored messages and mutations: what is read back, what is refused, who owns what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/arena.h"
#include "pkg/record/change.h"
#include "pkg/record/record.h"

/* A newer program has written it; to guess what it means could lose what it says. */
static void refuses_a_form_that_it_does_not_know(void **state)
{
    (void)state;
    static const uint8_t newer[] = {0x08, 0x02};
    static const uint8_t none[] = {0x10, 0x01};
    KS_ARENA_AUTO arena = {.len_max = 16384};
    ProtobufCMessage *got = NULL;

    assert_int_equal(
        ks_record_read(STORED_TYPE(current_domain_key), (ks_bytes){newer, 2}, &arena, &got).code,
        KS_CORRUPT);
    assert_int_equal(
        ks_record_read(STORED_TYPE(current_domain_key), (ks_bytes){none, 2}, &arena, &got).code,
        KS_CORRUPT);
    assert_null(got);
}

static void a_change_owns_what_it_was_given(void **state)
{
    (void)state;
    STORED(CurrentDomainKey) current = STORED_NEW(CURRENT_DOMAIN_KEY);
    current.format = KS_RECORD_FORMAT;
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    char key[] = "domain/current";

    ks_change_compare(&change, ks_bytes_of(key), 5);
    ks_change_put(&change, ks_bytes_of(key), &current.base);
    ks_change_delete(&change, KS_LITERAL("gone"));
    ks_change_request(&change, KS_LITERAL("request/x"), &current.base);
    memset(key, 'x', sizeof(key) - 1);

    const struct ks_store_mutation *mutation = &change.mutation;
    assert_int_equal(change.result.code, KS_OK);
    assert_true(ks_bytes_equal(mutation->compares[0].key, KS_LITERAL("domain/current")));
    assert_int_equal(mutation->compares[0].revision, 5);
    assert_true(ks_bytes_equal(mutation->ops[0].key, KS_LITERAL("domain/current")));
    assert_non_null(mutation->ops[0].value.ptr);
    assert_null(mutation->ops[1].value.ptr);
    assert_true(ks_bytes_equal(mutation->request_key, KS_LITERAL("request/x")));
}

static void a_record_too_long_to_be_stored_is_a_limit(void **state)
{
    (void)state;
    STORED(RosterRecord) roster = STORED_NEW(ROSTER_RECORD);
    roster.format = KS_RECORD_FORMAT;
    static uint8_t bytes[KS_STORE_VALUE_LEN_MAX + 1];
    roster.roster = ks_lend_bytes((ks_bytes){bytes, sizeof(bytes)});
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};

    ks_change_put(&change, KS_LITERAL("roster"), &roster.base);

    assert_int_equal(change.result.code, KS_LIMIT_EXCEEDED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_a_form_that_it_does_not_know),
        cmocka_unit_test(a_change_owns_what_it_was_given),
        cmocka_unit_test(a_record_too_long_to_be_stored_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
