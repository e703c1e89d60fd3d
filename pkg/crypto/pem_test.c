#include "pkg/crypto/pem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define BEGIN "-----BEGIN CERTIFICATE-----\n"
#define END   "-----END CERTIFICATE-----\n"

static void assert_decodes(ks_bytes text, ks_code wanted, ks_bytes wanted_der)
{
    KS_BUFFER_AUTO der = {.len_max = 1024};

    assert_int_equal(ks_pem_decode(KS_PEM_CERTIFICATE, text, &der).code, wanted);

    assert_true(ks_bytes_equal(ks_buffer_bytes(&der), wanted_der));
}

static void every_length_survives_being_written(void **state)
{
    (void)state;
    uint8_t bytes[200];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 37);
    }
    for (size_t len = 1; len <= sizeof(bytes); len++) {
        KS_BUFFER_AUTO pem = {.len_max = 1024};

        assert_int_equal(ks_pem_encode(KS_PEM_CERTIFICATE, (ks_bytes){bytes, len}, &pem).code,
                         KS_OK);

        assert_decodes(ks_buffer_bytes(&pem), KS_OK, (ks_bytes){bytes, len});
    }
}

static void lines_have_64_characters(void **state)
{
    (void)state;
    const uint8_t zeros[49] = {0};
    KS_BUFFER_AUTO pem = {.len_max = 1024};

    assert_int_equal(ks_pem_encode(KS_PEM_CSR, (ks_bytes){zeros, sizeof(zeros)}, &pem).code, KS_OK);

    assert_true(ks_bytes_equal(
        ks_buffer_bytes(&pem),
        KS_LITERAL("-----BEGIN CERTIFICATE REQUEST-----\n"
                   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
                   "AA==\n-----END CERTIFICATE REQUEST-----\n")));
}

static void text_around_the_block_and_line_ends_do_not_matter(void **state)
{
    (void)state;
    assert_decodes(KS_LITERAL("Subject: x\n" BEGIN "YWJj\n" END "trailer"), KS_OK,
                   KS_LITERAL("abc"));
    assert_decodes(KS_LITERAL("-----BEGIN CERTIFICATE-----\r\nYW\r\nJj\r\n"
                              "-----END CERTIFICATE-----"),
                   KS_OK, KS_LITERAL("abc"));
    assert_decodes(KS_LITERAL("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" BEGIN
                              "YWI=\n" END),
                   KS_OK, KS_LITERAL("ab"));
}

static void refuses_what_is_not_one_block_of_base64(void **state)
{
    (void)state;
    const char *const others[] = {
        "",
        "YWJj",
        BEGIN "YWJj\n",
        "YWJj\n" END,
        END "YWJj\n" BEGIN,
        BEGIN END,
        BEGIN "\n" END,
        BEGIN "YWJj\n" END BEGIN "YWJj\n" END,
        BEGIN "YWJj\n" BEGIN "YWJj\n" END,
        BEGIN "YWJ\n" END,
        BEGIN "YWJjY\n" END,
        BEGIN "Y===\n" END,
        BEGIN "====\n" END,
        BEGIN "YW=j\n" END,
        BEGIN "YQ==YWJj\n" END,
        BEGIN "YW*j\n" END,
        BEGIN "YW-_\n" END,
        BEGIN "Proc-Type: 4,ENCRYPTED\n\nYWJj\n" END,
        "-----BEGIN CERTIFICATE REQUEST-----\nYWJj\n-----END CERTIFICATE REQUEST-----\n",
    };
    for (size_t i = 0; i < KS_COUNT(others); i++) {
        assert_decodes(ks_bytes_of(others[i]), KS_VALIDATION, (ks_bytes){0});
    }
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    const ks_bytes whole = KS_LITERAL(BEGIN "YWJjZGVm\n-----END CERTIFICATE-----");
    for (size_t len = 0; len < whole.len; len++) {
        assert_decodes((ks_bytes){whole.ptr, len}, KS_VALIDATION, (ks_bytes){0});
    }
}

static void text_has_a_limit(void **state)
{
    (void)state;
    static uint8_t text[KS_PEM_LEN_MAX + 1];
    const ks_bytes block = KS_LITERAL(BEGIN "YWJj\n" END);
    memset(text, ' ', sizeof(text));
    memcpy(text, block.ptr, block.len);

    assert_decodes((ks_bytes){text, KS_PEM_LEN_MAX}, KS_OK, KS_LITERAL("abc"));
    assert_decodes((ks_bytes){text, KS_PEM_LEN_MAX + 1}, KS_VALIDATION, (ks_bytes){0});
}

static void a_full_buffer_is_refused(void **state)
{
    (void)state;
    KS_BUFFER_AUTO small = {.len_max = 2};

    assert_int_equal(ks_pem_decode(KS_PEM_CERTIFICATE, KS_LITERAL(BEGIN "YWJj\n" END), &small).code,
                     KS_LIMIT_EXCEEDED);
    assert_int_equal(ks_pem_encode(KS_PEM_CERTIFICATE, KS_LITERAL("abc"), &small).code,
                     KS_LIMIT_EXCEEDED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_survives_being_written),
        cmocka_unit_test(lines_have_64_characters),
        cmocka_unit_test(text_around_the_block_and_line_ends_do_not_matter),
        cmocka_unit_test(refuses_what_is_not_one_block_of_base64),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(text_has_a_limit),
        cmocka_unit_test(a_full_buffer_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
