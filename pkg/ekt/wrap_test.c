#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/mac.h"
#include "pkg/ekt/wrap.h"
#include "tests/vectors/vectors.h"
#include "tests/vectors/wrap_json.h"

static struct ks_crypto *crypto;
static struct ks_mac *node;
static const ks_secret domain_key = {.len = KS_DOMAIN_KEY_LEN, .bytes = {5}};
static const uint8_t salt[KS_WRAP_SALT_LEN] = {9};
static const struct ks_wrap_place here = {
    .region = {(const uint8_t *)"ap-seoul-1", 10},
    .zone = {(const uint8_t *)"ap-seoul-1a", 11},
    .generation = 7,
};

static ks_code unwrap(const struct ks_wrap_place *place, ks_bytes wrapped)
{
    KS_SECRET_AUTO got = {.len = 0};
    ks_result r = ks_domain_key_unwrap(crypto, node, place, wrapped, &got);
    assert_int_equal(got.len, ks_failed(r) ? 0 : KS_DOMAIN_KEY_LEN);
    return r.code;
}

static void wraps_and_unwraps_the_golden_vector(void **state)
{
    (void)state;
    KS_JSON_AUTO *doc = ks_vectors_open(ks_wrap_json, ks_wrap_json_len);
    const struct ks_json *vector = ks_vectors_at(doc, 0);
    KS_VECTOR_AUTO node_bytes = ks_vector_hex(vector, "node_key");
    KS_VECTOR_AUTO domain_bytes = ks_vector_hex(vector, "domain_key");
    KS_VECTOR_AUTO salt_bytes = ks_vector_hex(vector, "salt");
    KS_VECTOR_AUTO wanted = ks_vector_hex(vector, "wrapped");
    ks_secret key = {.len = 32};
    ks_secret secret = {.len = 32};
    memcpy(key.bytes, node_bytes.ptr, 32);
    memcpy(secret.bytes, domain_bytes.ptr, 32);
    KS_MAC_AUTO *mac = NULL;
    assert_int_equal(ks_mac_new(&key, &mac).code, KS_OK);
    uint8_t wrapped[KS_WRAP_LEN];
    KS_SECRET_AUTO got = {.len = 0};

    assert_int_equal(ks_domain_key_wrap(crypto, mac, &here, salt_bytes.ptr, &secret, wrapped).code,
                     KS_OK);

    assert_int_equal(wanted.len, KS_WRAP_LEN);
    assert_memory_equal(wrapped, wanted.ptr, KS_WRAP_LEN);
    assert_int_equal(ks_domain_key_unwrap(crypto, mac, &here, ks_vector_view(&wanted), &got).code,
                     KS_OK);
    assert_memory_equal(got.bytes, domain_bytes.ptr, 32);
}

static void refuses_every_damage(void **state)
{
    (void)state;
    uint8_t wrapped[KS_WRAP_LEN + 1] = {0};
    assert_int_equal(ks_domain_key_wrap(crypto, node, &here, salt, &domain_key, wrapped).code,
                     KS_OK);
    assert_int_equal(unwrap(&here, (ks_bytes){wrapped, KS_WRAP_LEN}), KS_OK);

    for (size_t bit = 0; bit < 8 * KS_WRAP_LEN; bit++) {
        wrapped[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_int_equal(unwrap(&here, (ks_bytes){wrapped, KS_WRAP_LEN}), KS_INVALID_CIPHERTEXT);
        wrapped[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    for (size_t len = 0; len < KS_WRAP_LEN; len++) {
        assert_int_equal(unwrap(&here, (ks_bytes){wrapped, len}), KS_INVALID_CIPHERTEXT);
    }
    assert_int_equal(unwrap(&here, (ks_bytes){wrapped, KS_WRAP_LEN + 1}), KS_INVALID_CIPHERTEXT);
}

static void refuses_another_place_or_generation(void **state)
{
    (void)state;
    uint8_t wrapped[KS_WRAP_LEN];
    assert_int_equal(ks_domain_key_wrap(crypto, node, &here, salt, &domain_key, wrapped).code,
                     KS_OK);
    struct ks_wrap_place zone = here;
    struct ks_wrap_place generation = here;
    struct ks_wrap_place malformed = here;
    zone.zone = KS_LITERAL("ap-seoul-1b");
    generation.generation = 8;
    malformed.zone = KS_LITERAL("ap-seoul-2a");

    assert_int_equal(unwrap(&zone, (ks_bytes){wrapped, KS_WRAP_LEN}), KS_INVALID_CIPHERTEXT);
    assert_int_equal(unwrap(&generation, (ks_bytes){wrapped, KS_WRAP_LEN}), KS_INVALID_CIPHERTEXT);
    assert_int_equal(unwrap(&malformed, (ks_bytes){wrapped, KS_WRAP_LEN}), KS_VALIDATION);
}

static void refuses_a_key_of_another_length(void **state)
{
    (void)state;
    uint8_t wrapped[KS_WRAP_LEN];
    const ks_secret shorter = {.len = KS_DOMAIN_KEY_LEN - 1};
    const ks_secret longer = {.len = KS_DOMAIN_KEY_LEN + 1};

    assert_int_equal(ks_domain_key_wrap(crypto, node, &here, salt, &shorter, wrapped).code,
                     KS_VALIDATION);
    assert_int_equal(ks_domain_key_wrap(crypto, node, &here, salt, &longer, wrapped).code,
                     KS_VALIDATION);
}

static int set_up(void **state)
{
    (void)state;
    const ks_secret key = {.len = 32, .bytes = {1}};
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0})) ||
        ks_failed(ks_mac_new(&key, &node))) {
        return -1;
    }
    crypto = ks_crypto_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_mac_free(node);
    ks_crypto_free(crypto);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wraps_and_unwraps_the_golden_vector),
        cmocka_unit_test(refuses_every_damage),
        cmocka_unit_test(refuses_another_place_or_generation),
        cmocka_unit_test(refuses_a_key_of_another_length),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
