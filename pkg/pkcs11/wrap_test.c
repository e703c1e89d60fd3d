#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/crypto/crypto.h"
#include "pkg/pkcs11/softhsm_fixture.h"

#define AAD    KS_LITERAL("keystead/node-key/v1")
#define SECRET KS_LITERAL("0123456789abcdef0123456789abcdef")

static struct softhsm softhsm;
static struct ks_token *token;
static ks_token_key root;

static int set_up(void **state)
{
    (void)state;
    const char *hint = NULL;
    softhsm_init(&softhsm);
    const struct ks_token_options options = softhsm_options(&softhsm);
    bool ready = !ks_failed(ks_token_open(&options, &token, &hint)) &&
                 !ks_failed(ks_token_make_root(token, "root", &root, &hint));
    return ready ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    ks_token_close(token);
    softhsm_done(&softhsm);
    return 0;
}

static void every_length_survives_being_wrapped(void **state)
{
    (void)state;
    static const uint8_t bytes[KS_TOKEN_WRAP_MAX + 1] = {1, 2, 3};
    const struct {
        size_t len;
        ks_code wanted;
    } rows[] = {
        {0, KS_VALIDATION},
        {1, KS_OK},
        {32, KS_OK},
        {185, KS_OK}, /* a P-384 private key */
        {KS_TOKEN_WRAP_MAX, KS_OK},
        {KS_TOKEN_WRAP_MAX + 1, KS_VALIDATION},
    };
    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        KS_BUFFER_AUTO wrapped = {.len_max = KS_TOKEN_WRAP_MAX + KS_TOKEN_WRAP_EXTRA};
        KS_BUFFER_AUTO opened = {.len_max = KS_TOKEN_WRAP_MAX};
        ks_bytes secret = {bytes, rows[i].len};
        assert_int_equal(ks_token_wrap(token, root, AAD, secret, &wrapped).code, rows[i].wanted);
        if (rows[i].wanted != KS_OK) {
            continue;
        }
        assert_int_equal(wrapped.len, rows[i].len + KS_TOKEN_WRAP_EXTRA);

        assert_int_equal(ks_token_unwrap(token, root, AAD, ks_buffer_bytes(&wrapped), &opened).code,
                         KS_OK);

        assert_true(ks_bytes_equal(ks_buffer_bytes(&opened), secret));
    }
}

static ks_code unwrap(ks_bytes aad, ks_bytes wrapped)
{
    KS_BUFFER_AUTO opened = {.len_max = KS_TOKEN_WRAP_MAX};
    ks_result answer = ks_token_unwrap(token, root, aad, wrapped, &opened);
    assert_int_equal(opened.len > 0, answer.code == KS_OK);
    return answer.code;
}

static void refuses_every_flipped_bit_and_every_cut(void **state)
{
    (void)state;
    KS_BUFFER_AUTO wrapped = {.len_max = 256};
    assert_int_equal(ks_token_wrap(token, root, AAD, SECRET, &wrapped).code, KS_OK);

    for (size_t i = 0; i < 8 * wrapped.len; i++) {
        wrapped.ptr[i / 8] ^= (uint8_t)(1U << (i % 8));
        assert_int_equal(unwrap(AAD, ks_buffer_bytes(&wrapped)), KS_INVALID_CIPHERTEXT);
        wrapped.ptr[i / 8] ^= (uint8_t)(1U << (i % 8));
    }
    for (size_t len = 0; len < wrapped.len; len++) {
        assert_int_equal(unwrap(AAD, (ks_bytes){wrapped.ptr, len}), KS_INVALID_CIPHERTEXT);
    }
    assert_int_equal(unwrap(AAD, ks_buffer_bytes(&wrapped)), KS_OK);
}

static void refuses_what_is_too_long(void **state)
{
    (void)state;
    static const uint8_t bytes[KS_TOKEN_WRAP_MAX + KS_TOKEN_WRAP_EXTRA + 1];

    assert_int_equal(unwrap(AAD, (ks_bytes){bytes, sizeof(bytes)}), KS_INVALID_CIPHERTEXT);
    assert_int_equal(unwrap(AAD, (ks_bytes){bytes, sizeof(bytes) - 1}), KS_INVALID_CIPHERTEXT);
}

static void refuses_another_aad_or_key(void **state)
{
    (void)state;
    const char *hint = NULL;
    ks_token_key other = {0};
    KS_BUFFER_AUTO wrapped = {.len_max = 256};
    KS_BUFFER_AUTO opened = {.len_max = 256};
    assert_int_equal(ks_token_wrap(token, root, AAD, SECRET, &wrapped).code, KS_OK);
    assert_int_equal(ks_token_make_root(token, "other", &other, &hint).code, KS_OK);

    assert_int_equal(unwrap(KS_LITERAL("keystead/node-key/v2"), ks_buffer_bytes(&wrapped)),
                     KS_INVALID_CIPHERTEXT);
    assert_int_equal(unwrap((ks_bytes){0}, ks_buffer_bytes(&wrapped)), KS_INVALID_CIPHERTEXT);
    assert_int_equal(ks_token_unwrap(token, other, AAD, ks_buffer_bytes(&wrapped), &opened).code,
                     KS_INVALID_CIPHERTEXT);
}

static void each_wrapping_has_its_own_iv(void **state)
{
    (void)state;
    KS_BUFFER_AUTO one = {.len_max = 256};
    KS_BUFFER_AUTO other = {.len_max = 256};

    assert_int_equal(ks_token_wrap(token, root, AAD, SECRET, &one).code, KS_OK);
    assert_int_equal(ks_token_wrap(token, root, AAD, SECRET, &other).code, KS_OK);

    assert_memory_not_equal(one.ptr, other.ptr, 12);
}

static void a_full_buffer_is_refused(void **state)
{
    (void)state;
    KS_BUFFER_AUTO small = {.len_max = 32 + KS_TOKEN_WRAP_EXTRA - 1};
    KS_BUFFER_AUTO wrapped = {.len_max = 256};
    KS_BUFFER_AUTO smaller = {.len_max = 31};
    assert_int_equal(ks_token_wrap(token, root, AAD, SECRET, &wrapped).code, KS_OK);

    assert_int_equal(ks_token_wrap(token, root, AAD, SECRET, &small).code, KS_LIMIT_EXCEEDED);
    assert_int_equal(ks_token_unwrap(token, root, AAD, ks_buffer_bytes(&wrapped), &smaller).code,
                     KS_LIMIT_EXCEEDED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_survives_being_wrapped),
        cmocka_unit_test(refuses_every_flipped_bit_and_every_cut),
        cmocka_unit_test(refuses_what_is_too_long),
        cmocka_unit_test(refuses_another_aad_or_key),
        cmocka_unit_test(each_wrapping_has_its_own_iv),
        cmocka_unit_test(a_full_buffer_is_refused),
    };
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){.wipe_allocator = true}))) {
        return 1;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
