#include "services/cli/arguments/arguments.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "services/cli/arguments/help.h"

static const struct ks_option make_options[] = {
    {"name", "NAME", "its name", "name", KS_OPTION_REQUIRED},
    {"tag", "KEY=VALUE", "a label", "tags", KS_OPTION_REPEATED},
    {"force", NULL, "at any cost", NULL, 0},
};
static const struct ks_option show_options[] = {
    {"thing", "THING", "which one", "id", KS_OPTION_BARE | KS_OPTION_REPEATED},
};
static const struct ks_option global_options[] = {
    {"output", "table|json", "form", NULL, 0},
};
static const struct ks_command rows[] = {
    {"thing", "make", "Make a thing.", NULL, make_options, KS_COUNT(make_options), NULL, NULL},
    {"thing", "show", "Show things.", "All about them.", show_options, KS_COUNT(show_options), NULL,
     NULL},
    {"copy", NULL, "Copy.", NULL, NULL, 0, NULL, NULL},
};
static const struct ks_command_table table = {.program = "prog",
                                              .about = "prog: a program",
                                              .epilogue = "The end.",
                                              .commands = rows,
                                              .command_count = KS_COUNT(rows),
                                              .globals = global_options,
                                              .global_count = KS_COUNT(global_options)};

static struct ks_arguments got;
static char text[KS_USAGE_LEN];

static ks_code parse(const char *const *words, int count)
{
    char *argv[16] = {(char *)(uintptr_t) "prog"};
    assert_true(count < 15);
    for (int i = 0; i < count; i++) {
        argv[i + 1] = (char *)(uintptr_t)words[i];
    }
    got = (struct ks_arguments){0};
    text[0] = '\0';
    return ks_arguments_parse(&table, count + 1, argv, &got, text).code;
}

#define PARSE(...)                                                                                 \
    parse((const char *const[]){__VA_ARGS__},                                                      \
          (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

static void assert_says(const char *part)
{
    if (!strstr(text, part)) {
        fail_msg("'%s' is not in: %s", part, text);
    }
}

static void reads_both_forms_of_a_value(void **state)
{
    (void)state;
    assert_int_equal(PARSE("thing", "make", "--name", "a", "--output=json"), KS_OK);
    assert_ptr_equal(got.command, &rows[0]);
    assert_string_equal(ks_argument(&got, "name"), "a");
    assert_string_equal(ks_argument(&got, "output"), "json");
    assert_false(ks_argument_given(&got, "force"));

    assert_int_equal(PARSE("thing", "make", "--name=", "--force"), KS_OK);
    assert_string_equal(ks_argument(&got, "name"), "");
    assert_true(ks_argument_given(&got, "force"));
}

static void repeated_options_keep_their_order(void **state)
{
    (void)state;
    assert_int_equal(PARSE("thing", "make", "--tag", "b=1", "--name", "n", "--tag=a=2"), KS_OK);

    assert_string_equal(ks_argument_at(&got, "tag", 0), "b=1");
    assert_string_equal(ks_argument_at(&got, "tag", 1), "a=2");
    assert_null(ks_argument_at(&got, "tag", 2));
}

/* Behind "--" everything is a word, even what looks like an option or a wish for help. */
static void words_fill_the_bare_option(void **state)
{
    (void)state;
    assert_int_equal(PARSE("thing", "show", "x", "-", "--", "--output", "--help"), KS_OK);

    assert_false(got.help);
    assert_string_equal(ks_argument_at(&got, "thing", 0), "x");
    assert_string_equal(ks_argument_at(&got, "thing", 1), "-");
    assert_string_equal(ks_argument_at(&got, "thing", 2), "--output");
    assert_string_equal(ks_argument_at(&got, "thing", 3), "--help");
}

static void a_noun_may_stand_alone(void **state)
{
    (void)state;
    assert_int_equal(PARSE("copy"), KS_OK);
    assert_ptr_equal(got.command, &rows[2]);
    assert_int_equal(PARSE("copy", "more"), KS_VALIDATION);
    assert_says("unexpected word 'more'");
}

static void refuses_what_is_wrong_and_says_what_was_meant(void **state)
{
    (void)state;
    assert_int_equal(PARSE("thign"), KS_VALIDATION);
    assert_says("did you mean 'thing'?");
    assert_int_equal(PARSE("elephant"), KS_VALIDATION);
    assert_says("--help");
    assert_int_equal(PARSE("thing"), KS_VALIDATION);
    assert_int_equal(PARSE("thing", "mkae"), KS_VALIDATION);
    assert_says("did you mean 'thing make'?");
    assert_int_equal(PARSE("thing", "make", "--nmae", "x"), KS_VALIDATION);
    assert_says("did you mean --name?");
    assert_int_equal(PARSE("thing", "make", "--elephant"), KS_VALIDATION);
    assert_says("see prog thing make --help");
    assert_int_equal(PARSE("copy", "-x"), KS_VALIDATION);
    assert_says("two dashes");
}

static void refuses_values_too_many_and_too_few(void **state)
{
    (void)state;
    assert_int_equal(PARSE("thing", "make"), KS_VALIDATION);
    assert_says("--name NAME is missing");
    assert_int_equal(PARSE("thing", "make", "--name"), KS_VALIDATION);
    assert_says("wants a value");
    assert_int_equal(PARSE("thing", "make", "--name", "a", "--name", "b"), KS_VALIDATION);
    assert_says("stands twice");
    assert_int_equal(PARSE("thing", "make", "--name", "a", "--force=yes"), KS_VALIDATION);
    assert_says("takes no value");
}

static void help_is_heard_whatever_else_is_wrong(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--help"), KS_OK);
    assert_true(got.help && !got.noun && !got.command);
    assert_int_equal(PARSE("thing", "-h"), KS_OK);
    assert_true(got.help && got.noun && !got.command);
    assert_int_equal(PARSE("thing", "make", "--elephant", "--help"), KS_OK);
    assert_true(got.help && got.command);
}

static void no_more_options_than_there_is_room_for(void **state)
{
    (void)state;
    static char *argv[KS_ARGUMENTS_MAX + 4] = {
        (char *)(uintptr_t) "prog", (char *)(uintptr_t) "thing", (char *)(uintptr_t) "show"};
    for (size_t i = 3; i < KS_COUNT(argv); i++) {
        argv[i] = (char *)(uintptr_t) "x";
    }
    int most = (int)KS_COUNT(argv) - 1;

    assert_int_equal(ks_arguments_parse(&table, most, argv, &got, text).code, KS_OK);
    assert_int_equal(ks_arguments_parse(&table, most + 1, argv, &got, text).code, KS_VALIDATION);
}

/* ---- Help and completion ---- */

static void assert_in(const struct ks_buffer *out, const char *part)
{
    KS_AUTO_FREE char *all = ks_bytes_dup(ks_buffer_bytes(out));
    if (!strstr(all, part)) {
        fail_msg("'%s' is not in: %s", part, all);
    }
}

static void help_shows_commands_options_and_details(void **state)
{
    (void)state;
    KS_BUFFER_AUTO all = {.len_max = 65536};
    KS_BUFFER_AUTO noun = {.len_max = 65536};
    KS_BUFFER_AUTO one = {.len_max = 65536};
    assert_int_equal(ks_help(&table, NULL, NULL, &all).code, KS_OK);
    assert_int_equal(ks_help(&table, "thing", NULL, &noun).code, KS_OK);
    assert_int_equal(ks_help(&table, "thing", &rows[0], &one).code, KS_OK);

    assert_in(&all, "  thing make                    Make a thing.\n");
    assert_in(&all, "The end.");
    assert_in(&noun, "thing show");
    assert_in(&one, "usage: prog thing make --name NAME [--tag KEY=VALUE]... [--force]\n");
    assert_in(&one, "--output table|json");
}

static void help_that_does_not_fit_fails(void **state)
{
    (void)state;
    KS_BUFFER_AUTO out = {.len_max = 100};
    assert_int_equal(ks_help(&table, NULL, NULL, &out).code, KS_LIMIT_EXCEEDED);
}

static void completion_knows_words_and_options(void **state)
{
    (void)state;
    KS_BUFFER_AUTO out = {.len_max = 65536};
    assert_int_equal(ks_completion(&table, &out).code, KS_OK);

    assert_in(&out, "words=\"thing copy \"");
    assert_in(&out, "thing) words=\"make show \"");
    assert_in(&out, "\"thing make\") words=\"--name --tag --force \"");
    assert_in(&out, "--output");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_both_forms_of_a_value),
        cmocka_unit_test(repeated_options_keep_their_order),
        cmocka_unit_test(words_fill_the_bare_option),
        cmocka_unit_test(a_noun_may_stand_alone),
        cmocka_unit_test(refuses_what_is_wrong_and_says_what_was_meant),
        cmocka_unit_test(refuses_values_too_many_and_too_few),
        cmocka_unit_test(help_is_heard_whatever_else_is_wrong),
        cmocka_unit_test(no_more_options_than_there_is_room_for),
        cmocka_unit_test(help_shows_commands_options_and_details),
        cmocka_unit_test(help_that_does_not_fit_fails),
        cmocka_unit_test(completion_knows_words_and_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
