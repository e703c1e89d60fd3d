#include "services/cli/output/failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/rpc/status.h"
#include "services/cli/commands/commands.h"

static void assert_line(const struct ks_failure *failure, ks_code code, const char *expected)
{
    KS_BUFFER_AUTO out = {.len_max = KS_FAILURE_LINE_MAX};
    assert_int_equal(ks_failure_line(failure, code, &out).code, KS_OK);
    KS_AUTO_FREE char *line = ks_bytes_dup(ks_buffer_bytes(&out));
    assert_string_equal(line, expected);
}

/* A code that ends with 0 would read as success. */
static void no_failure_exits_with_0(void **state)
{
    (void)state;
    for (int code = KS_OK + 1; code < KS_CODE_COUNT; code++) {
        if (ks_exit_of((ks_code)code) == KS_EXIT_OK || !ks_hint_of((ks_code)code)) {
            fail_msg("%s has no row in failure.c", ks_code_name((ks_code)code));
        }
    }
    assert_int_equal(ks_exit_of(KS_OK), KS_EXIT_OK);
}

/* What a script can do about it: retry is for 6 alone. */
static void what_can_be_tried_again_exits_with_6(void **state)
{
    (void)state;
    for (int code = 0; code < KS_CODE_COUNT; code++) {
        bool is_6 = ks_exit_of((ks_code)code) == KS_EXIT_UNAVAILABLE;
        bool may_retry =
            ks_retryable((ks_code)code) && code != KS_INTERNAL && code != KS_STALE_VIEW;
        assert_int_equal(is_6, may_retry);
    }
}

/* The table of --help is the table of the code. */
static void help_says_every_exit_code(void **state)
{
    (void)state;
    for (int code = 0; code < KS_EXIT_COUNT; code++) {
        char row[128];
        snprintf(row, sizeof(row), "  %d  %s", code, ks_exit_text((enum ks_exit)code));
        if (!strstr(ks_commands.epilogue, row)) {
            fail_msg("'%s' is not in the help", row);
        }
    }
}

static void a_failure_of_this_machine_has_no_name(void **state)
{
    (void)state;
    struct ks_failure failure = {0};
    ks_result r = ks_fail(&failure, KS_NOT_FOUND, "cannot read %s", "x");

    assert_int_equal(r.code, KS_NOT_FOUND);
    assert_line(&failure, r.code, "keystead: cannot read x\n");
}

static void a_failure_of_the_service_has_its_name_and_a_hint(void **state)
{
    (void)state;
    struct ks_failure failure = {0};
    struct ks_rpc_error error = {
        .code = KS_DISABLED, .text = "the key is disabled.", .reason = "DisabledException"};

    assert_int_equal(ks_fail_call(&failure, &error).code, KS_DISABLED);
    assert_line(&failure, KS_DISABLED,
                "keystead: DisabledException: the key is disabled; 'keystead key enable' makes it "
                "usable\n");
}

static void the_region_of_a_ciphertext_is_shown(void **state)
{
    (void)state;
    struct ks_failure failure = {0};
    struct ks_rpc_error error = {.code = KS_INVALID_MARKER,
                                 .text = "no",
                                 .reason = "x",
                                 .metadata = {{"region", "us-oregon-1"}},
                                 .metadata_count = 1};
    (void)ks_fail_call(&failure, &error);

    assert_line(&failure, KS_INVALID_MARKER,
                "keystead: InvalidMarkerException: no; it belongs to region us-oregon-1\n");
}

/* One line, and nothing that a terminal obeys. */
static void a_servers_text_stays_one_line(void **state)
{
    (void)state;
    struct ks_failure failure = {0};
    struct ks_rpc_error error = {
        .code = KS_INVALID_MARKER, .text = "a\nb\x1b[2J\x7f", .reason = "x"};
    (void)ks_fail_call(&failure, &error);

    assert_line(&failure, KS_INVALID_MARKER, "keystead: InvalidMarkerException: a?b?[2J?\n");
}

static void a_failure_without_a_text_has_the_codes(void **state)
{
    (void)state;
    struct ks_failure failure = {0};
    assert_line(&failure, KS_LIMIT_EXCEEDED, "keystead: a quota is exhausted\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_failure_exits_with_0),
        cmocka_unit_test(what_can_be_tried_again_exits_with_6),
        cmocka_unit_test(help_says_every_exit_code),
        cmocka_unit_test(a_failure_of_this_machine_has_no_name),
        cmocka_unit_test(a_failure_of_the_service_has_its_name_and_a_hint),
        cmocka_unit_test(the_region_of_a_ciphertext_is_shown),
        cmocka_unit_test(a_servers_text_stays_one_line),
        cmocka_unit_test(a_failure_without_a_text_has_the_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
