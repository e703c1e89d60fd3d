#include "pkg/json/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static const struct ks_json_limits limits = {.len_max = 4096};

static struct ks_json_doc *parse(const char *text)
{
    struct ks_json_doc *doc = NULL;
    assert_int_equal(ks_json_parse(ks_bytes_of(text), limits, &doc).code, KS_OK);
    return doc;
}

static void reads_members_and_elements(void **state)
{
    (void)state;
    KS_JSON_AUTO *doc = parse("{\"a\":[{\"b\":\"c\"},true,null],\"n\":null}");
    const struct ks_json *root = ks_json_root(doc);
    const struct ks_json *array = ks_json_get(root, "a");
    ks_bytes text;
    bool flag = false;

    assert_true(ks_json_is_object(root));
    assert_true(ks_json_is_array(array));
    assert_int_equal(ks_json_count(array), 3);
    assert_int_equal(ks_json_text(ks_json_get(ks_json_at(array, 0), "b"), &text).code, KS_OK);
    assert_true(ks_bytes_equal(text, KS_LITERAL("c")));
    assert_int_equal(ks_json_bool(ks_json_at(array, 1), &flag).code, KS_OK);
    assert_true(flag);
    assert_null(ks_json_at(array, 2));
    assert_null(ks_json_at(array, 3));
    assert_null(ks_json_get(root, "n"));
    assert_null(ks_json_get(array, "b"));
    assert_null(ks_json_get(NULL, "b"));
    assert_int_equal(ks_json_count(root), 0);
}

static void absent_is_false_zero_and_empty(void **state)
{
    (void)state;
    bool flag = true;
    int64_t number = 7;
    uint64_t natural = 7;
    ks_bytes text = KS_LITERAL("x");
    assert_int_equal(ks_json_bool(NULL, &flag).code, KS_OK);
    assert_int_equal(ks_json_int64(NULL, &number).code, KS_OK);
    assert_int_equal(ks_json_uint64(NULL, &natural).code, KS_OK);
    assert_int_equal(ks_json_text(NULL, &text).code, KS_OK);
    assert_false(flag);
    assert_int_equal(number, 0);
    assert_int_equal(natural, 0);
    assert_int_equal(text.len, 0);
}

/* Both sides of each limit, as number and as string. */
static void reads_integers_in_both_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        ks_code as_int64;
        ks_code as_uint64;
        int64_t value; /* of either, if it is read */
    } cases[] = {
        {"0", KS_OK, KS_OK, 0},
        {"\"0\"", KS_OK, KS_OK, 0},
        {"42", KS_OK, KS_OK, 42},
        {"\"42\"", KS_OK, KS_OK, 42},
        {"-1", KS_OK, KS_VALIDATION, -1},
        {"\"-1\"", KS_OK, KS_VALIDATION, -1},
        {"\"9223372036854775807\"", KS_OK, KS_OK, INT64_MAX},
        {"\"-9223372036854775808\"", KS_OK, KS_VALIDATION, INT64_MIN},
        {"\"9223372036854775808\"", KS_VALIDATION, KS_OK, INT64_MIN},
        {"\"18446744073709551615\"", KS_VALIDATION, KS_OK, -1},
        {"\"18446744073709551616\"", KS_VALIDATION, KS_VALIDATION, 0},
        {"\"-9223372036854775809\"", KS_VALIDATION, KS_VALIDATION, 0},
        {"1.0", KS_VALIDATION, KS_VALIDATION, 0},
        {"\"\"", KS_VALIDATION, KS_VALIDATION, 0},
        {"\"-\"", KS_VALIDATION, KS_VALIDATION, 0},
        {"\" 1\"", KS_VALIDATION, KS_VALIDATION, 0},
        {"\"+1\"", KS_VALIDATION, KS_VALIDATION, 0},
        {"\"1x\"", KS_VALIDATION, KS_VALIDATION, 0},
        {"true", KS_VALIDATION, KS_VALIDATION, 0},
        {"[]", KS_VALIDATION, KS_VALIDATION, 0},
    };
    for (size_t i = 0; i < KS_COUNT(cases); i++) {
        KS_JSON_AUTO *doc = parse(cases[i].text);
        int64_t number = 7;
        uint64_t natural = 7;
        ks_result r = ks_json_int64(ks_json_root(doc), &number);
        assert_int_equal(r.code, cases[i].as_int64);
        assert_int_equal(number, ks_failed(r) ? 7 : cases[i].value);
        r = ks_json_uint64(ks_json_root(doc), &natural);
        assert_int_equal(r.code, cases[i].as_uint64);
        assert_int_equal(natural, ks_failed(r) ? 7 : (uint64_t)cases[i].value);
    }
}

static void refuses_another_type(void **state)
{
    (void)state;
    KS_JSON_AUTO *doc = parse("[1,\"x\"]");
    bool flag = true;
    ks_bytes text = KS_LITERAL("kept");
    const struct ks_json *root = ks_json_root(doc);
    assert_int_equal(ks_json_bool(ks_json_at(root, 0), &flag).code, KS_VALIDATION);
    assert_int_equal(ks_json_text(ks_json_at(root, 0), &text).code, KS_VALIDATION);
    assert_true(flag);
    assert_int_equal(text.len, 4);
}

static void refuses_what_is_not_json(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",    " ",           "{",        "{}x",         "[1,]",     "{\"a\":1,\"a\":2}",
        "'a'", "{\"a\":1,}",  "\"\xFF\"", "\"\\ud800\"", "\"a\nb\"", "01",
        "nul", "\"\\u0000\"",
    };
    for (size_t i = 0; i < KS_COUNT(texts); i++) {
        struct ks_json_doc *doc = NULL;
        ks_result r = ks_json_parse(ks_bytes_of(texts[i]), limits, &doc);
        assert_int_equal(r.code, KS_VALIDATION);
        assert_null(doc);
    }
}

static ks_code parse_nested(unsigned depth, unsigned depth_max)
{
    char text[128];
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    KS_JSON_AUTO *doc = NULL;
    return ks_json_parse((ks_bytes){(uint8_t *)text, 2 * (size_t)depth},
                         (struct ks_json_limits){.len_max = 128, .depth_max = depth_max}, &doc)
        .code;
}

static void bounds_depth_and_length(void **state)
{
    (void)state;
    assert_int_equal(parse_nested(3, 3), KS_OK);
    assert_int_equal(parse_nested(4, 3), KS_LIMIT_EXCEEDED);
    assert_int_equal(parse_nested(KS_JSON_DEPTH_MAX, 0), KS_OK);
    assert_int_equal(parse_nested(KS_JSON_DEPTH_MAX + 1, 0), KS_LIMIT_EXCEEDED);

    struct ks_json_doc *doc = NULL;
    struct ks_json_limits four = {.len_max = 4};
    assert_int_equal(ks_json_parse(KS_LITERAL("12345"), four, &doc).code, KS_LIMIT_EXCEEDED);
    assert_int_equal(ks_json_parse(KS_LITERAL("1234"), four, &doc).code, KS_OK);
    ks_json_free(doc);
}

/* Brackets in strings do not count, nor does an escaped quote end one. */
static void brackets_in_strings_are_not_depth(void **state)
{
    (void)state;
    struct ks_json_limits one = {.len_max = 64, .depth_max = 1};
    KS_JSON_AUTO *doc = NULL;
    assert_int_equal(ks_json_parse(KS_LITERAL("[\"[[{\\\"[\\\\\"]"), one, &doc).code, KS_OK);
}

/* No cut and no flipped bit does more than fail or give another value. */
static void survives_every_damage(void **state)
{
    (void)state;
    static const char good[] = "{\"a\":[1,\"2\",{\"b\":true}],\"c\":\"\\u00e9\\n\",\"d\":-5}";
    for (size_t len = 0; len < sizeof(good) - 1; len++) {
        struct ks_json_doc *doc = NULL;
        ks_bytes cut = {(const uint8_t *)good, len};
        assert_int_equal(ks_json_parse(cut, limits, &doc).code, KS_VALIDATION);
    }
    for (size_t bit = 0; bit < 8 * (sizeof(good) - 1); bit++) {
        uint8_t bad[sizeof(good)];
        memcpy(bad, good, sizeof(good));
        bad[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        KS_JSON_AUTO *doc = NULL;
        ks_result r = ks_json_parse((ks_bytes){bad, sizeof(good) - 1}, limits, &doc);
        assert_true(r.code == KS_OK || r.code == KS_VALIDATION);
    }
}

static void write_sample(struct ks_json_writer *w)
{
    ks_json_object(w, NULL);
    ks_json_put_string(w, "KeyId", "a\"b\\\n\x01\xC3\xA9");
    ks_json_array(w, "Tags");
    ks_json_put_int64(w, NULL, INT64_MIN);
    ks_json_put_bool(w, NULL, true);
    ks_json_object(w, NULL);
    ks_json_close(w);
    ks_json_close(w);
    ks_json_put_base64(w, "Blob", KS_LITERAL("\xFF\x00"));
    ks_json_put_seconds(w, "Date", 1700000000042);
    ks_json_put_null(w, "None");
    ks_json_close(w);
}

static void writes_on_one_line(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = 1024};
    struct ks_json_writer w = {.buffer = &buffer};
    write_sample(&w);
    assert_int_equal(ks_json_end(&w).code, KS_OK);
    ks_bytes expected = KS_LITERAL(
        "{\"KeyId\":\"a\\\"b\\\\\\n\\u0001\xC3\xA9\",\"Tags\":[-9223372036854775808,true,{}],"
        "\"Blob\":\"/wA=\",\"Date\":1700000000.042,\"None\":null}");
    assert_true(ks_bytes_equal(ks_buffer_bytes(&buffer), expected));
}

static void writes_with_indent(void **state)
{
    (void)state;
    KS_BUFFER_AUTO buffer = {.len_max = 1024};
    struct ks_json_writer w = {.buffer = &buffer, .indent = 2};
    ks_json_object(&w, NULL);
    ks_json_array(&w, "a");
    ks_json_put_int64(&w, NULL, 1);
    ks_json_put_int64(&w, NULL, 2);
    ks_json_close(&w);
    ks_json_object(&w, "b");
    ks_json_close(&w);
    ks_json_close(&w);
    assert_int_equal(ks_json_end(&w).code, KS_OK);
    ks_bytes expected = KS_LITERAL("{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}");
    assert_true(ks_bytes_equal(ks_buffer_bytes(&buffer), expected));
}

static void the_reader_reads_what_the_writer_writes(void **state)
{
    (void)state;
    for (unsigned c = 1; c < 0x80; c++) {
        KS_BUFFER_AUTO buffer = {.len_max = 64};
        struct ks_json_writer w = {.buffer = &buffer};
        uint8_t letter = (uint8_t)c;
        ks_bytes back;
        ks_json_put_text(&w, NULL, (ks_bytes){&letter, 1});
        assert_int_equal(ks_json_end(&w).code, KS_OK);
        KS_JSON_AUTO *doc = NULL;
        assert_int_equal(ks_json_parse(ks_buffer_bytes(&buffer), limits, &doc).code, KS_OK);
        assert_int_equal(ks_json_text(ks_json_root(doc), &back).code, KS_OK);
        assert_true(ks_bytes_equal(back, (ks_bytes){&letter, 1}));
    }
}

/* RFC 3629: no over-long forms, no surrogates, nothing above U+10FFFF. */
static void refuses_to_write_what_is_not_utf8(void **state)
{
    (void)state;
    static const char *const bad[] = {"\x80",
                                      "\xC0\x80",
                                      "\xC1\xBF",
                                      "\xE0\x9F\xBF",
                                      "\xED\xA0\x80",
                                      "\xF0\x8F\xBF\xBF",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xE2\x82",
                                      "\xC3(",
                                      "\xFF"};
    static const char *const good[] = {"\xC2\x80",     "\xE0\xA0\x80",     "\xED\x9F\xBF",
                                       "\xEE\x80\x80", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"};
    for (size_t i = 0; i < KS_COUNT(bad); i++) {
        KS_BUFFER_AUTO buffer = {.len_max = 64};
        struct ks_json_writer w = {.buffer = &buffer};
        ks_json_put_string(&w, NULL, bad[i]);
        assert_int_equal(ks_json_end(&w).code, KS_VALIDATION);
    }
    for (size_t i = 0; i < KS_COUNT(good); i++) {
        KS_BUFFER_AUTO buffer = {.len_max = 64};
        struct ks_json_writer w = {.buffer = &buffer};
        ks_json_put_string(&w, NULL, good[i]);
        assert_int_equal(ks_json_end(&w).code, KS_OK);
    }
}

static void a_writer_without_room_says_so_at_the_end(void **state)
{
    (void)state;
    for (size_t room = 1; room < 20; room++) {
        KS_BUFFER_AUTO buffer = {.len_max = room};
        struct ks_json_writer w = {.buffer = &buffer};
        ks_json_object(&w, NULL);
        ks_json_put_string(&w, "name", "value");
        ks_json_close(&w);
        assert_int_equal(ks_json_end(&w).code, room < 16 ? KS_LIMIT_EXCEEDED : KS_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_members_and_elements),
        cmocka_unit_test(absent_is_false_zero_and_empty),
        cmocka_unit_test(reads_integers_in_both_forms),
        cmocka_unit_test(refuses_another_type),
        cmocka_unit_test(refuses_what_is_not_json),
        cmocka_unit_test(bounds_depth_and_length),
        cmocka_unit_test(brackets_in_strings_are_not_depth),
        cmocka_unit_test(survives_every_damage),
        cmocka_unit_test(writes_on_one_line),
        cmocka_unit_test(writes_with_indent),
        cmocka_unit_test(the_reader_reads_what_the_writer_writes),
        cmocka_unit_test(refuses_to_write_what_is_not_utf8),
        cmocka_unit_test(a_writer_without_room_says_so_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
