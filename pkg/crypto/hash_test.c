#include "pkg/crypto/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/vectors/crypto/crypto_vectors.h"
#include "tests/vectors/crypto/hex.h"

static struct ks_crypto *crypto;

static int set_up(void **state)
{
    (void)state;
    crypto = ks_crypto_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_crypto_free(crypto);
    return 0;
}

static void digests_are_those_of_other_implementations(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(hash_vectors); i++) {
        struct hex text = hex_of(hash_vectors[i].text);
        struct hex wanted_256 = hex_of(hash_vectors[i].sha256);
        struct hex wanted_384 = hex_of(hash_vectors[i].sha384);
        const ks_bytes part = hex_view(&text);
        uint8_t got[KS_SHA384_LEN];

        assert_int_equal(ks_hash_sha256(crypto, &part, 1, got).code, KS_OK);
        assert_memory_equal(got, wanted_256.bytes, KS_SHA256_LEN);
        assert_int_equal(ks_hash_sha256_once(part, got).code, KS_OK);
        assert_memory_equal(got, wanted_256.bytes, KS_SHA256_LEN);
        assert_int_equal(ks_hash_sha384(crypto, &part, 1, got).code, KS_OK);
        assert_memory_equal(got, wanted_384.bytes, KS_SHA384_LEN);
    }
}

static void parts_read_as_one_run(void **state)
{
    (void)state;
    struct hex text = hex_of(hash_vectors[4].text);
    struct hex wanted = hex_of(hash_vectors[4].sha256);
    for (size_t at = 0; at <= text.len; at++) {
        const ks_bytes parts[] = {{text.bytes, at}, {0}, {text.bytes + at, text.len - at}};
        uint8_t got[KS_SHA256_LEN];

        assert_int_equal(ks_hash_sha256(crypto, parts, KS_COUNT(parts), got).code, KS_OK);

        assert_memory_equal(got, wanted.bytes, KS_SHA256_LEN);
    }
}

static void no_parts_are_the_empty_run(void **state)
{
    (void)state;
    struct hex wanted = hex_of(hash_vectors[0].sha256);
    uint8_t got[KS_SHA256_LEN];

    assert_int_equal(ks_hash_sha256(crypto, NULL, 0, got).code, KS_OK);

    assert_memory_equal(got, wanted.bytes, KS_SHA256_LEN);
}

/* FIPS 202; the answer is that of Python: hashlib.shake_128(b"abc").digest(200). */
static void shake128_is_that_of_another_implementation(void **state)
{
    (void)state;
    struct hex wanted = hex_of("5881092dd818bf5cf8a3ddb793fbcba74097d5c526a6d35f97b83351940f2cc8"
                               "44c50af32acd3f2cdd066568706f509bc1bdde58295dae3f891a9a0fca578378"
                               "9a41f8611214ce612394df286a62d1a2252aa94db9c538956c717dc2bed4f232"
                               "a0294c857c730aa16067ac1062f1201fb0d377cfb9cde4c63599b27f3462bba4"
                               "a0ed296c801f9ff7f57302bb3076ee145f97a32ae68e76ab66c48d51675bd49a"
                               "cc29082f5647584e6aa01b3f5af057805f973ff8ecb8b226ac32ada6f01c1fcd"
                               "4818cb006aa5b4cd");
    uint8_t got[200];

    assert_int_equal(ks_hash_shake128(crypto, KS_LITERAL("abc"), got, sizeof(got)).code, KS_OK);

    assert_int_equal(wanted.len, sizeof(got));
    assert_memory_equal(got, wanted.bytes, sizeof(got));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_other_implementations),
        cmocka_unit_test(parts_read_as_one_run),
        cmocka_unit_test(no_parts_are_the_empty_run),
        cmocka_unit_test(shake128_is_that_of_another_implementation),
    };
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0}))) {
        return 1;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
