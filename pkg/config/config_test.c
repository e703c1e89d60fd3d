#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/config/config.h"

struct settings {
    char *socket;
    char *name;
    int64_t count;
    int64_t window_ms;
    int64_t cache_bytes;
    bool fips;
    struct ks_config_list peers;
    int serving;
};

static const char *const serving_words[] = {"windows", "log", NULL};

static const struct ks_config_option options[] = {
    KS_CONFIG_TEXT(struct settings, socket, NULL, 1, 7, "Path of the socket."),
    KS_CONFIG_TEXT(struct settings, name, "", 0, 100, "A name."),
    KS_CONFIG_NUMBER(struct settings, count, "3", 2, 9, "How many."),
    KS_CONFIG_DURATION(struct settings, window_ms, "2s", 200, 60000, "A window."),
    KS_CONFIG_SIZE(struct settings, cache_bytes, "1MiB", 4096, 2147483648, "A cache."),
    KS_CONFIG_BOOL(struct settings, fips, "false", "Only approved algorithms."),
    KS_CONFIG_LIST(struct settings, peers, "a:1 b:2", 1, 3, "host:port of each other one."),
    KS_CONFIG_CHOICE(struct settings, serving, "windows", serving_words, "How to serve."),
};

static const struct ks_config_table table = {
    .program = "keystead-x",
    .about = "An example.",
    .options = options,
    .option_count = KS_COUNT(options),
};

static struct settings got;
static char error[KS_CONFIG_ERROR_LEN];

static ks_code parse(const char *yaml)
{
    ks_config_done(&table, &got);
    got = (struct settings){.count = 0};
    error[0] = '\0';
    return ks_config_parse(&table, "f", ks_bytes_of(yaml), &got, error).code;
}

static void gives_defaults_to_what_is_not_named(void **state)
{
    (void)state;

    assert_int_equal(parse("socket: /s\n"), KS_OK);

    assert_string_equal(got.socket, "/s");
    assert_string_equal(got.name, "");
    assert_int_equal(got.count, 3);
    assert_int_equal(got.window_ms, 2000);
    assert_int_equal(got.cache_bytes, 1048576);
    assert_false(got.fips);
    assert_int_equal(got.peers.count, 2);
    assert_string_equal(got.peers.items[1], "b:2");
    assert_int_equal(got.serving, 0);
}

static const char whole[] = "# all\nsocket: /s\nname: 'x y'\ncount: 9\nwindow: 250ms\ncache: 2GiB\n"
                            "fips: true\npeers: [c:3]\nserving: log\n";

static void reads_every_kind(void **state)
{
    (void)state;

    assert_int_equal(parse(whole), KS_OK);

    assert_string_equal(got.name, "x y");
    assert_int_equal(got.count, 9);
    assert_int_equal(got.window_ms, 250);
    assert_int_equal(got.cache_bytes, 2147483648);
    assert_true(got.fips);
    assert_int_equal(got.peers.count, 1);
    assert_string_equal(got.peers.items[0], "c:3");
    assert_int_equal(got.serving, 1);
}

struct refusal {
    const char *yaml;
    const char *message;
};

static const struct refusal refusals[] = {
    {"", "f:1: 'socket' is missing and has no default"},
    {"socket: /s\nsokcet: /t\n", "f:2: unknown option 'sokcet'; --help lists all"},
    {"socket: /s\nwindow_ms: 2s\n", "f:2: unknown option 'window_ms'; --help lists all"},
    {"socket: /s\nsocket: /t\n", "f:2: 'socket' stands twice"},
    {"socket: ''\n", "f:1: 'socket' is out of its bounds (text of bytes, 1 to 7)"},
    {"socket: 12345678\n", "f:1: 'socket' is out of its bounds (text of bytes, 1 to 7)"},
    {"socket: /s\ncount: 1\n", "f:2: 'count' is out of its bounds (number, 2 to 9)"},
    {"socket: /s\ncount: 10\n", "f:2: 'count' is out of its bounds (number, 2 to 9)"},
    {"socket: /s\ncount: -3\n", "f:2: 'count' must be a whole number (number, 2 to 9)"},
    {"socket: /s\ncount: 3x\n", "f:2: 'count' must be a whole number (number, 2 to 9)"},
    {"socket: /s\ncount:\n", "f:2: 'count' must be a whole number (number, 2 to 9)"},
    {"socket: /s\nwindow: 199ms\n", "f:2: 'window' is out of its bounds (time, 200ms to 1m)"},
    {"socket: /s\nwindow: 2m\n", "f:2: 'window' is out of its bounds (time, 200ms to 1m)"},
    {"socket: /s\nwindow: 99999999999999d\n",
     "f:2: 'window' must be a time such as 250ms, 2s, 5m, 24h, 30d (time, 200ms to 1m)"},
    {"socket: /s\ncache: 1MB\n",
     "f:2: 'cache' must be a size such as 4096, 64KiB, 8MiB, 2GiB (size, 4KiB to 2GiB)"},
    {"socket: /s\nfips: yes\n", "f:2: 'fips' must be true or false (true or false)"},
    {"socket: /s\npeers: []\n", "f:2: 'peers' is out of its bounds (list of entries, 1 to 3)"},
    {"socket: /s\npeers: [a, b, c, d]\n",
     "f:2: 'peers' is out of its bounds (list of entries, 1 to 3)"},
    {"socket: /s\npeers: a\n", "f:2: 'peers' must be a list: [one, two]"},
    {"socket: [/s]\n", "f:1: 'socket' must be one value, not a list"},
    {"socket: /s\nserving: fast\n",
     "f:2: 'serving' is none of the words allowed here (one of: windows, log)"},
    {"socket: {a: b}\n", "f:1: only `name: value` and `name: [values]` may stand here"},
    {"peers: [[a]]\n", "f:1: only `name: value` and `name: [values]` may stand here"},
    {"socket: &x /s\n", "f:1: anchors and tags are not read; write the value out"},
    {"socket: !!str /s\n", "f:1: anchors and tags are not read; write the value out"},
    {"socket: /s\n---\ncount: 3\n", "f:2: only `name: value` and `name: [values]` may stand here"},
    {"- a\n", "f:1: only `name: value` and `name: [values]` may stand here"},
    {"socket: \"a\\0b\"\n", "f:1: the value is longer than 1024 bytes or holds a NUL"},
    {"socket: /s\n\t: [\n", "f:2: this is not YAML"},
};

static void says_where_and_what_is_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(refusals); i++) {
        assert_int_equal(parse(refusals[i].yaml), KS_VALIDATION);
        assert_string_equal(error, refusals[i].message);
        assert_null(got.socket);
        assert_null(got.peers.items);
    }
}

/* A damaged file is read or refused; nothing is lost or written past its end. */
static void survives_every_damage(void **state)
{
    (void)state;
    char text[sizeof(whole)];
    for (size_t bit = 0; bit < 8 * (sizeof(whole) - 1); bit++) {
        memcpy(text, whole, sizeof(whole));
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << (bit % 8)));
        ks_config_done(&table, &got);
        ks_result r = ks_config_parse(&table, "f", (ks_bytes){(uint8_t *)text, sizeof(whole) - 1},
                                      &got, error);
        assert_true(r.code == KS_OK || r.code == KS_VALIDATION);
    }
    for (size_t len = 0; len < sizeof(whole) - 1; len++) {
        ks_config_done(&table, &got);
        ks_result r =
            ks_config_parse(&table, "f", (ks_bytes){(const uint8_t *)whole, len}, &got, error);
        assert_true(r.code == KS_OK || r.code == KS_VALIDATION);
    }
}

static void refuses_a_file_that_is_too_long(void **state)
{
    (void)state;
    KS_AUTO_FREE char *text = ks_alloc(1, KS_CONFIG_FILE_MAX + 2);
    memset(text, '\n', KS_CONFIG_FILE_MAX + 1);
    memcpy(text, "socket: /s", 10);
    text[KS_CONFIG_FILE_MAX] = '\0';
    assert_int_equal(parse(text), KS_OK);
    text[KS_CONFIG_FILE_MAX] = '\n';
    text[KS_CONFIG_FILE_MAX + 1] = '\0';

    assert_int_equal(parse(text), KS_VALIDATION);

    assert_string_equal(error, "f:1: longer than 65536 bytes");
}

static void refuses_more_options_than_there_can_be(void **state)
{
    (void)state;
    char text[2048];
    size_t len = 0;
    for (int i = 0; i < 65; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "o%d: 1\n", i);
    }

    assert_int_equal(parse(text), KS_VALIDATION);

    assert_string_equal(error, "f:65: too many options");
}

static void answers_not_found_for_an_absent_file(void **state)
{
    (void)state;

    ks_result r = ks_config_load(&table, "/nowhere/x.yaml", &got, error);

    assert_int_equal(r.code, KS_NOT_FOUND);
    assert_string_equal(error, "/nowhere/x.yaml: cannot be opened");
}

/* What --example prints, its required options filled in, reads as the defaults. */
static void prints_an_example_that_reads_back(void **state)
{
    (void)state;
    KS_AUTO_FREE char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    ks_config_example(&table, out);
    fclose(out);
    assert_non_null(strstr(text, "\n# A window.\n# (time, 200ms to 1m; default as shown)\n"
                                 "#window: 2s\n"));
    char *blank = strstr(text, "socket: \"\"");
    assert_non_null(blank);
    memcpy(blank, "socket: ab", 10);
    assert_int_equal(parse(text), KS_OK);
    for (char *mark = strstr(text, "\n#"); mark; mark = strstr(mark + 1, "\n#")) {
        if (mark[2] != ' ') {
            mark[1] = ' ';
            memmove(mark + 1, mark + 2, strlen(mark + 2) + 1);
        }
    }

    assert_int_equal(parse(text), KS_OK);

    assert_int_equal(got.window_ms, 2000);
    assert_int_equal(got.peers.count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_defaults_to_what_is_not_named),
        cmocka_unit_test(reads_every_kind),
        cmocka_unit_test(says_where_and_what_is_wrong),
        cmocka_unit_test(survives_every_damage),
        cmocka_unit_test(refuses_a_file_that_is_too_long),
        cmocka_unit_test(refuses_more_options_than_there_can_be),
        cmocka_unit_test(answers_not_found_for_an_absent_file),
        cmocka_unit_test(prints_an_example_that_reads_back),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ks_config_done(&table, &got);
    return failed;
}
