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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_other_implementations),
        cmocka_unit_test(parts_read_as_one_run),
        cmocka_unit_test(no_parts_are_the_empty_run),
    };
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0}))) {
        return 1;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
