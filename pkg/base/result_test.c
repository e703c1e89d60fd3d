#include "pkg/base/result.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"

#define LINE_LEN_MAX 512U

static void success_is_zero_and_only_it_is_no_failure(void **state)
{
    (void)state;

    assert_int_equal(KS_OK, 0);
    assert_false(ks_failed(KS_RES(OK)));
    for (unsigned i = 1; i < KS_CODE_COUNT; i++) {
        assert_true(ks_failed((ks_result){(ks_code)i}));
    }
}

static ks_result passes_up(ks_result inner, bool *ret_went_on)
{
    KS_TRY(inner);
    *ret_went_on = true;
    return KS_RES(OK);
}

static void try_passes_every_failure_up_unchanged(void **state)
{
    (void)state;

    for (unsigned i = 0; i < KS_CODE_COUNT; i++) {
        bool went_on = false;
        ks_result r = passes_up((ks_result){(ks_code)i}, &went_on);
        assert_int_equal(r.code, i);
        assert_int_equal(went_on, i == KS_OK);
    }
}

/* A client switches on the wire name: two rows of one name could not be told apart. */
static void wire_names_are_exceptions_and_unique(void **state)
{
    (void)state;

    for (unsigned i = 1; i < KS_CODE_COUNT; i++) {
        const char *name = ks_wire_name((ks_code)i);
        assert_non_null(strstr(name, "Exception"));
        for (unsigned other = 0; other < i; other++) {
            assert_string_not_equal(name, ks_wire_name((ks_code)other));
        }
    }
}

/* The numbers of grpc_status_code run to 16; a failure with status 0 would read as success. */
static void grpc_and_http_statuses_are_failures(void **state)
{
    (void)state;

    for (unsigned i = 1; i < KS_CODE_COUNT; i++) {
        assert_in_range((uintmax_t)ks_grpc_status((ks_code)i), 1, 16);
        assert_in_range((uintmax_t)ks_http_status((ks_code)i), 400, 504);
    }
    assert_int_equal(ks_grpc_status(KS_OK), 0);
    assert_int_equal(ks_http_status(KS_OK), 200);
}

/* Promise 3: an unknown outcome is UNAVAILABLE and can be retried; a refusal stays one. */
static void says_which_failures_a_retry_can_help(void **state)
{
    (void)state;

    assert_true(ks_retryable(KS_UNAVAILABLE));
    assert_true(ks_retryable(KS_THROTTLED));
    assert_true(ks_retryable(KS_INTERNAL));
    assert_false(ks_retryable(KS_OK));
    assert_false(ks_retryable(KS_ACCESS_DENIED));
    assert_false(ks_retryable(KS_CONFLICT));
    assert_false(ks_retryable(KS_CORRUPT));
}

static void a_number_that_no_row_has_reads_as_internal(void **state)
{
    (void)state;

    assert_int_equal(ks_code_from_number(KS_CODE_COUNT - 1), KS_CODE_COUNT - 1);
    assert_int_equal(ks_code_from_number(KS_CODE_COUNT), KS_INTERNAL);
    assert_int_equal(ks_code_from_number(UINT32_MAX), KS_INTERNAL);
    assert_string_equal(ks_code_name((ks_code)KS_CODE_COUNT), "INTERNAL");
    assert_string_equal(ks_wire_name((ks_code)-1), "KMSInternalException");
}

/* The numbers are stored in audit records: this fails when a row is put in between. */
static void numbers_never_move(void **state)
{
    (void)state;

    assert_int_equal(KS_ACCESS_DENIED, 4);
    assert_int_equal(KS_INVALID_CIPHERTEXT, 7);
    assert_int_equal(KS_LIMIT_EXCEEDED, 14);
    assert_int_equal(KS_UNAVAILABLE, 19);
    assert_int_equal(KS_INTERNAL, 22);
    assert_int_equal(KS_CORRUPT, 24);
}

static void close_file(FILE **file)
{
    if (*file) {
        fclose(*file);
    }
}

static void expected_row(ks_code code, char *ret_line, size_t line_len)
{
    snprintf(ret_line, line_len, "| %u | `%s` | %d | `%s` | %d | %s | %s |\n", (unsigned)code,
             ks_code_name(code), ks_grpc_status(code), ks_wire_name(code), ks_http_status(code),
             ks_retryable(code) ? "yes" : "no", ks_text(code));
}

static void the_page_lists_the_same_rows(void **state)
{
    (void)state;
    KS_CLEANUP(close_file) FILE *page = fopen("docs/errors.md", "r");
    assert_non_null(page);

    char line[LINE_LEN_MAX];
    unsigned code = 1;
    while (fgets(line, sizeof(line), page)) {
        if (strncmp(line, "| ", 2) != 0 || line[2] < '0' || line[2] > '9') {
            continue;
        }
        char expected[LINE_LEN_MAX];
        expected_row((ks_code)code, expected, sizeof(expected));
        assert_string_equal(line, expected);
        code++;
    }

    assert_int_equal(code, KS_CODE_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(success_is_zero_and_only_it_is_no_failure),
        cmocka_unit_test(try_passes_every_failure_up_unchanged),
        cmocka_unit_test(wire_names_are_exceptions_and_unique),
        cmocka_unit_test(grpc_and_http_statuses_are_failures),
        cmocka_unit_test(says_which_failures_a_retry_can_help),
        cmocka_unit_test(a_number_that_no_row_has_reads_as_internal),
        cmocka_unit_test(numbers_never_move),
        cmocka_unit_test(the_page_lists_the_same_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
