#include "pkg/codec/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct sample {
    const char *bytes;
    size_t len;
    bool text;
};

/* The edges of RFC 3629 §4, and what lies one beyond them. */
static const struct sample samples[] = {
    {"", 0, true},
    {"\x7f", 1, true},
    {"\x80", 1, false},
    {"\xc1\xbf", 2, false},
    {"\xc2\x80", 2, true},
    {"\xdf\xbf", 2, true},
    {"\xe0\x9f\xbf", 3, false},
    {"\xe0\xa0\x80", 3, true},
    {"\xed\x9f\xbf", 3, true},
    {"\xed\xa0\x80", 3, false},
    {"\xee\x80\x80", 3, true},
    {"\xef\xbf\xbf", 3, true},
    {"\xf0\x8f\xbf\xbf", 4, false},
    {"\xf0\x90\x80\x80", 4, true},
    {"\xf4\x8f\xbf\xbf", 4, true},
    {"\xf4\x90\x80\x80", 4, false},
    {"\xf5\x80\x80\x80", 4, false},
    {"\xff", 1, false},
    {"\xe2\x82", 2, false},
    {"\xf0\x90\x80", 3, false},
    {"\xe2\x82\x41", 3, false},
    {"\xf0\x90\x80\x41", 4, false},
    {"ab\xc3\xa9", 4, true},
    {"a\0b", 3, false},
    {"12345678\0", 9, false},
    {"1234567\0", 8, false},
    {"12345678\xc3\xa9zzzzzzzz", 18, true},
    {"1234567\xc3\xa9zzzzzzzz", 17, true},
};

static void keeps_the_edges_of_rfc_3629(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(samples); i++) {
        ks_bytes bytes = {(const uint8_t *)samples[i].bytes, samples[i].len};

        bool text = ks_utf8_is_text(bytes);

        if (text != samples[i].text) {
            fail_msg("sample %zu", i);
        }
    }
}

/* Of two bytes only these are text: two of ASCII, or one character of U+0080 to U+07FF. */
static void knows_every_pair_of_bytes(void **state)
{
    (void)state;
    for (unsigned pair = 0; pair < 0x10000; pair++) {
        uint8_t bytes[2] = {(uint8_t)(pair >> 8), (uint8_t)pair};
        bool ascii = bytes[0] > 0 && bytes[0] < 0x80 && bytes[1] > 0 && bytes[1] < 0x80;
        bool one = bytes[0] >= 0xc2 && bytes[0] <= 0xdf && (bytes[1] & 0xc0) == 0x80;

        assert_int_equal(ks_utf8_is_text((ks_bytes){bytes, 2}), ascii || one);
    }
}

static void counts_characters_not_bytes(void **state)
{
    (void)state;

    assert_int_equal(ks_utf8_count(KS_LITERAL("")), 0);
    assert_int_equal(ks_utf8_count(KS_LITERAL("abc")), 3);
    assert_int_equal(ks_utf8_count(KS_LITERAL("\xc3\xa9\xe2\x82\xac\xf0\x90\x80\x80")), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_edges_of_rfc_3629),
        cmocka_unit_test(knows_every_pair_of_bytes),
        cmocka_unit_test(counts_characters_not_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
