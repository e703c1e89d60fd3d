#include "pkg/json/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

/* RFC 4648 §10. */
static const struct {
    const char *bytes;
    const char *text;
} vectors[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xFB\xFF\xBF", "+/+/"},
};

static void writes_and_reads_the_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(vectors); i++) {
        KS_BUFFER_AUTO buffer = {.len_max = 64};
        uint8_t back[16];
        size_t len;
        assert_int_equal(ks_base64_append(&buffer, ks_bytes_of(vectors[i].bytes)).code, KS_OK);
        assert_true(ks_bytes_equal(ks_buffer_bytes(&buffer), ks_bytes_of(vectors[i].text)));
        assert_int_equal(ks_base64_read(ks_bytes_of(vectors[i].text), back, &len).code, KS_OK);
        assert_true(ks_bytes_equal((ks_bytes){back, len}, ks_bytes_of(vectors[i].bytes)));
    }
}

static void every_byte_at_every_place_comes_back(void **state)
{
    (void)state;
    for (size_t len = 1; len <= 4; len++) {
        for (unsigned value = 0; value < 256 * len; value++) {
            uint8_t bytes[4] = {0x55, 0xAA, 0x55, 0xAA};
            uint8_t text[8];
            uint8_t back[8];
            size_t back_len;
            bytes[value % len] = (uint8_t)(value / len);
            ks_base64_write((ks_bytes){bytes, len}, text);
            ks_bytes written = {text, KS_BASE64_LEN(len)};
            assert_int_equal(ks_base64_read(written, back, &back_len).code, KS_OK);
            assert_int_equal(back_len, len);
            assert_memory_equal(back, bytes, len);
        }
    }
}

/* One text for one run of bytes: what differs in a character is refused or means other bytes. */
static void no_other_text_means_the_same(void **state)
{
    (void)state;
    static const char *const texts[] = {"Zg==", "Zm8=", "Zm9v", "Zm9vYg=="};
    for (size_t i = 0; i < KS_COUNT(texts); i++) {
        uint8_t good[8];
        size_t good_len;
        size_t len = strlen(texts[i]);
        assert_int_equal(ks_base64_read(ks_bytes_of(texts[i]), good, &good_len).code, KS_OK);
        for (size_t at = 0; at < len * 256; at++) {
            uint8_t text[8];
            uint8_t back[8];
            size_t back_len;
            memcpy(text, texts[i], len);
            text[at / 256] = (uint8_t)(at % 256);
            bool is_same = ks_bytes_equal((ks_bytes){text, len}, ks_bytes_of(texts[i]));
            ks_result r = ks_base64_read((ks_bytes){text, len}, back, &back_len);
            bool means_same = !ks_failed(r) && ks_bytes_equal((ks_bytes){back, back_len},
                                                              (ks_bytes){good, good_len});
            assert_int_equal(means_same, is_same);
        }
    }
}

static void refuses_other_lengths_and_letters(void **state)
{
    (void)state;
    static const char *const texts[] = {"Z",        "Zg",   "Zg=",     "====", "Z===",
                                        "Zg==Zg==", "=g==", "Zm9=",    "Zh==", "Zm9v\n",
                                        "Zm-_",     "Zm 9", "Zm9v===="};
    for (size_t i = 0; i < KS_COUNT(texts); i++) {
        uint8_t back[16];
        size_t len;
        assert_int_equal(ks_base64_read(ks_bytes_of(texts[i]), back, &len).code, KS_VALIDATION);
    }
}

static void reads_in_place(void **state)
{
    (void)state;
    uint8_t text[] = "Zm9vYmFy";
    size_t len;
    assert_int_equal(ks_base64_read((ks_bytes){text, 8}, text, &len).code, KS_OK);
    assert_int_equal(len, 6);
    assert_memory_equal(text, "foobar", 6);
}

static void appends_no_more_than_fits(void **state)
{
    (void)state;
    KS_BUFFER_AUTO fits = {.len_max = 8};
    KS_BUFFER_AUTO lacks = {.len_max = 7};
    assert_int_equal(ks_base64_append(&fits, KS_LITERAL("foobar")).code, KS_OK);
    assert_int_equal(ks_base64_append(&lacks, KS_LITERAL("foobar")).code, KS_LIMIT_EXCEEDED);
    assert_int_equal(lacks.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_and_reads_the_vectors),
        cmocka_unit_test(every_byte_at_every_place_comes_back),
        cmocka_unit_test(no_other_text_means_the_same),
        cmocka_unit_test(refuses_other_lengths_and_letters),
        cmocka_unit_test(reads_in_place),
        cmocka_unit_test(appends_no_more_than_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
