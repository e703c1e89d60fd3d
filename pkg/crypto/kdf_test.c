#include "pkg/crypto/kdf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pkg/crypto/crypto.h"
#include "tests/vectors/crypto/crypto_vectors.h"
#include "tests/vectors/crypto/hex.h"
#include "tests/witness/witness.h"

static void counter_mode_derives_what_others_derive(void **state)
{
    (void)state;
    KS_CRYPTO_AUTO *crypto = ks_crypto_new();
    for (size_t i = 0; i < KS_COUNT(kdf_vectors); i++) {
        ks_secret key = hex_secret(kdf_vectors[i].key);
        struct hex label = hex_of(kdf_vectors[i].label);
        struct hex context = hex_of(kdf_vectors[i].context);
        struct hex wanted = hex_of(kdf_vectors[i].derived);
        struct ks_mac *mac = NULL;
        ks_secret got = {0};
        assert_int_equal(ks_crypto_mac(crypto, &key, &mac).code, KS_OK);

        ks_result derived =
            ks_kdf_counter(mac, hex_view(&label), hex_view(&context), wanted.len, &got);

        assert_int_equal(derived.code, KS_OK);
        assert_int_equal(got.len, wanted.len);
        assert_memory_equal(got.bytes, wanted.bytes, wanted.len);
    }
}

/* What was derived beyond the length asked for would be a longer key than the caller wipes. */
static void nothing_stands_behind_the_derived_key(void **state)
{
    (void)state;
    ks_secret key = hex_secret(kdf_vectors[0].key);
    KS_MAC_AUTO *mac = NULL;
    assert_int_equal(ks_mac_new(&key, &mac).code, KS_OK);
    for (size_t len = 1; len <= KS_SECRET_MAX; len++) {
        ks_secret got = {0};

        assert_int_equal(ks_kdf_counter(mac, KS_LITERAL("label"), (ks_bytes){0}, len, &got).code,
                         KS_OK);

        for (size_t i = len; i < KS_SECRET_MAX; i++) {
            assert_int_equal(got.bytes[i], 0);
        }
    }
}

/* Two uses never share an input, wherever one's label ends and its context begins. */
static void label_and_context_do_not_run_into_each_other(void **state)
{
    (void)state;
    ks_secret key = hex_secret(kdf_vectors[0].key);
    KS_MAC_AUTO *mac = NULL;
    ks_secret one = {0};
    ks_secret other = {0};
    assert_int_equal(ks_mac_new(&key, &mac).code, KS_OK);

    assert_int_equal(ks_kdf_counter(mac, KS_LITERAL("ab"), KS_LITERAL("c"), 32, &one).code, KS_OK);
    assert_int_equal(ks_kdf_counter(mac, KS_LITERAL("a"), KS_LITERAL("bc"), 32, &other).code,
                     KS_OK);

    assert_false(ks_secret_equal(ks_secret_bytes(&one), ks_secret_bytes(&other)));
}

static void derive_with_a_nul_in_the_label(void)
{
    ks_secret key = hex_secret(kdf_vectors[0].key);
    struct ks_mac *mac = NULL;
    if (!ks_failed(ks_mac_new(&key, &mac))) {
        (void)!ks_kdf_counter(mac, KS_LITERAL("a\0b"), (ks_bytes){0}, 32, &key).code;
    }
}

static void a_label_with_a_nul_aborts(void **state)
{
    (void)state;
    assert_true(ks_witness_aborts(derive_with_a_nul_in_the_label));
}

static void hkdf_derives_what_others_derive(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(hkdf_vectors); i++) {
        ks_secret secret = hex_secret(hkdf_vectors[i].secret);
        struct hex salt = hex_of(hkdf_vectors[i].salt);
        struct hex info = hex_of(hkdf_vectors[i].info);
        struct hex wanted = hex_of(hkdf_vectors[i].derived);
        ks_secret got = {0};

        ks_result derived =
            ks_kdf_hkdf(&secret, hex_view(&salt), hex_view(&info), wanted.len, &got);

        assert_int_equal(derived.code, KS_OK);
        assert_int_equal(got.len, wanted.len);
        assert_memory_equal(got.bytes, wanted.bytes, wanted.len);
    }
}

static void hkdf_refuses_an_empty_secret(void **state)
{
    (void)state;
    ks_secret empty = {0};
    ks_secret got = {0};

    assert_int_equal(ks_kdf_hkdf(&empty, (ks_bytes){0}, (ks_bytes){0}, 32, &got).code,
                     KS_VALIDATION);

    assert_int_equal(got.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counter_mode_derives_what_others_derive),
        cmocka_unit_test(nothing_stands_behind_the_derived_key),
        cmocka_unit_test(label_and_context_do_not_run_into_each_other),
        cmocka_unit_test(a_label_with_a_nul_aborts),
        cmocka_unit_test(hkdf_derives_what_others_derive),
        cmocka_unit_test(hkdf_refuses_an_empty_secret),
    };
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0}))) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
