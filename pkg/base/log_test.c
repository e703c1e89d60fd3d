#include "pkg/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "tests/witness/witness.h"

#define PIPE_LEN_MAX  65536U /* Linux's default: a line fits without a reader */
#define LINE_LEN_MAX  2048U
#define VALUE_LEN_MAX 200U

static int pipe_ends[2];
static int real_stderr;
static char line[PIPE_LEN_MAX];

static int capture_stderr(void **state)
{
    (void)state;
    ks_log_init("testd", KS_LOG_INFO);
    real_stderr = dup(STDERR_FILENO);
    return pipe(pipe_ends) == 0 && dup2(pipe_ends[1], STDERR_FILENO) >= 0 ? 0 : -1;
}

static int release_stderr(void **state)
{
    (void)state;
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    return 0;
}

/* What was logged since the last call; a mark behind it, as reading an empty pipe would block. */
static const char *logged(void)
{
    assert_int_equal(write(STDERR_FILENO, "\0", 1), 1);
    ssize_t len = read(pipe_ends[0], line, sizeof(line));
    assert_true(len > 0);
    assert_int_equal(line[len - 1], '\0');
    return line;
}

static void an_event_is_one_line_of_time_level_process_and_fields(void **state)
{
    (void)state;

    ks_log(INFO, "key created", KS_TEXT("account", "111122223333"), KS_NUMBER("revision", -7));

    const char *got = logged();
    const char *form = "dddd-dd-ddTdd:dd:dd.dddZ";
    for (size_t i = 0; form[i]; i++) {
        assert_true(form[i] == 'd' ? got[i] >= '0' && got[i] <= '9' : got[i] == form[i]);
    }
    assert_string_equal(strchr(got, ' '),
                        " info testd \"key created\" account=\"111122223333\" revision=-7\n");
}

static void what_is_below_the_least_level_is_not_written(void **state)
{
    (void)state;

    ks_log_write(KS_LOG_DEBUG, "quiet", NULL, 0);
    assert_string_equal(logged(), "");
    ks_log_write(KS_LOG_ERROR, "loud", NULL, 0);
    assert_non_null(strstr(logged(), " error testd \"loud\"\n"));
}

/* A value that a client chose must not end the line and begin another. */
static void a_value_cannot_leave_its_quotes(void **state)
{
    (void)state;
    char every_byte[256];
    for (unsigned i = 0; i < 255; i++) {
        every_byte[i] = (char)(i + 1);
    }
    every_byte[255] = '\0';

    for (size_t start = 0; start < 255; start += VALUE_LEN_MAX) {
        ks_log(WARN, "event", KS_TEXT("reason", every_byte + start));
        const char *value = strstr(logged(), "reason=\"") + 8;
        assert_int_equal(strcspn(value, "\"\\\n\t\x7f"), strlen(value) - 2);
        assert_string_equal(value + strlen(value) - 2, "\"\n");
    }
}

static void a_value_is_cut_at_200_bytes(void **state)
{
    (void)state;
    char text[VALUE_LEN_MAX + 2];
    memset(text, 'x', sizeof(text));

    for (size_t len = VALUE_LEN_MAX - 1; len <= VALUE_LEN_MAX + 1; len++) {
        text[len] = '\0';
        ks_log(WARN, "event", KS_TEXT("reason", text));
        const char *value = strstr(logged(), "reason=\"") + 8;
        assert_int_equal(strcspn(value, "\""), len < VALUE_LEN_MAX ? len : VALUE_LEN_MAX);
        text[len] = 'x';
    }
}

static void a_line_has_a_bound_and_still_ends(void **state)
{
    (void)state;
    char text[VALUE_LEN_MAX + 1];
    memset(text, 'x', VALUE_LEN_MAX);
    text[VALUE_LEN_MAX] = '\0';
    struct ks_log_field fields[20];
    for (size_t i = 0; i < KS_COUNT(fields); i++) {
        fields[i] = KS_TEXT("reason", text);
    }

    ks_log_write(KS_LOG_INFO, "event", fields, KS_COUNT(fields));

    const char *got = logged();
    assert_int_equal(strlen(got), LINE_LEN_MAX);
    assert_int_equal(got[LINE_LEN_MAX - 1], '\n');
    assert_int_equal(strcspn(got, "\n"), LINE_LEN_MAX - 1);
}

static void a_missing_text_reads_as_empty(void **state)
{
    (void)state;
    const char *none = NULL;

    ks_log(INFO, "event", KS_TEXT("peer", none));

    assert_non_null(strstr(logged(), " peer=\"\"\n"));
}

static void log_a_secret_name(void)
{
    ks_log(INFO, "event", KS_TEXT("plaintext", "x"));
}

static void log_part_of_an_allowed_name(void)
{
    ks_log(INFO, "event", KS_TEXT("acc", "x"));
}

/* What is not on the list is secret: a new field is a decision, not a habit. */
static void a_field_that_is_not_allowed_aborts(void **state)
{
    (void)state;

    assert_true(ks_witness_aborts(log_a_secret_name));
    assert_true(ks_witness_aborts(log_part_of_an_allowed_name));
}

#define CAPTURED(test) cmocka_unit_test_setup_teardown(test, capture_stderr, release_stderr)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CAPTURED(an_event_is_one_line_of_time_level_process_and_fields),
        CAPTURED(what_is_below_the_least_level_is_not_written),
        CAPTURED(a_value_cannot_leave_its_quotes),
        CAPTURED(a_value_is_cut_at_200_bytes),
        CAPTURED(a_line_has_a_bound_and_still_ends),
        CAPTURED(a_missing_text_reads_as_empty),
        CAPTURED(a_field_that_is_not_allowed_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
