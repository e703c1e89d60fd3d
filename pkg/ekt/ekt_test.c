#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/mac.h"
#include "pkg/ekt/ekt.h"
#include "pkg/ekt/generation.h"
#include "pkg/ekt/material.h"
#include "tests/vectors/ekt_json.h"
#include "tests/vectors/vectors.h"

static struct ks_crypto *crypto;
static struct ks_mac *domain;
static const ks_secret hbk = {.len = 32, .bytes = {5}};
static const uint8_t salt[KS_EKT_SALT_LEN] = {9};
static const uint8_t material_id[KS_MATERIAL_ID_LEN] = {7};
static const uint8_t public_hash[KS_PUBLIC_HASH_LEN] = {3};

struct bytes {
    uint8_t bytes[KS_EKT_LEN_MAX + KS_BINDING_LEN_MAX];
    size_t len;
};

static ks_bytes view(const struct bytes *bytes)
{
    return (ks_bytes){bytes->bytes, bytes->len};
}

static struct ks_binding some_binding(void)
{
    return (struct ks_binding){
        .name = {KS_LITERAL("ap-seoul-1"), KS_LITERAL("111122223333"),
                 KS_LITERAL("1234abcd-12ab-34cd-56ef-1234567890ab")},
        .material_id = material_id,
        .spec = 1,
        .usage = 1,
        .origin = 1,
    };
}

static struct bytes encode(const struct ks_binding *binding)
{
    struct bytes out;
    assert_int_equal(ks_binding_encode(binding, out.bytes, &out.len).code, KS_OK);
    return out;
}

static struct bytes seal(const struct bytes *binding)
{
    const struct ks_ekt_seal how = {.generation = 3, .salt = salt, .binding = view(binding)};
    struct bytes out;
    assert_int_equal(ks_ekt_seal(crypto, domain, &how, &hbk, out.bytes, &out.len).code, KS_OK);
    return out;
}

/* An exact heap copy, so that a sanitizer sees each read past the end. */
static ks_code open_copy(const struct bytes *binding, ks_bytes ekt)
{
    uint8_t *copy = ks_alloc(1, ekt.len);
    memcpy(copy, ekt.ptr, ekt.len);
    KS_SECRET_AUTO got = {.len = 0};
    ks_result r = ks_ekt_open(crypto, domain, view(binding), (ks_bytes){copy, ekt.len}, &got);
    assert_int_equal(got.len, ks_failed(r) ? 0 : hbk.len);
    ks_free(copy);
    return r.code;
}

static void check_vector(const struct ks_json *vector)
{
    KS_VECTOR_AUTO domain_bytes = ks_vector_hex(vector, "domain_key");
    KS_VECTOR_AUTO hbk_bytes = ks_vector_hex(vector, "hbk");
    KS_VECTOR_AUTO salt_bytes = ks_vector_hex(vector, "salt");
    KS_VECTOR_AUTO material = ks_vector_hex(vector, "material_id");
    KS_VECTOR_AUTO public = ks_vector_hex(vector, "public_sha256");
    KS_VECTOR_AUTO wanted_binding = ks_vector_hex(vector, "binding");
    KS_VECTOR_AUTO wanted = ks_vector_hex(vector, "ekt");
    ks_secret key = {.len = 32};
    ks_secret material_key = {.len = 32};
    memcpy(key.bytes, domain_bytes.ptr, 32);
    memcpy(material_key.bytes, hbk_bytes.ptr, 32);
    KS_MAC_AUTO *mac = NULL;
    KS_MAC_AUTO *hbk_mac = NULL;
    assert_int_equal(ks_mac_new(&key, &mac).code, KS_OK);
    assert_int_equal(ks_mac_new(&material_key, &hbk_mac).code, KS_OK);
    struct ks_binding binding = some_binding();
    uint8_t id[KS_MATERIAL_ID_LEN];
    binding.material_id = id;
    binding.public_hash = public.len ? public.ptr : NULL;

    assert_int_equal(ks_material_id(hbk_mac, binding.name.account, binding.name.key_id, id).code,
                     KS_OK);
    assert_memory_equal(id, material.ptr, KS_MATERIAL_ID_LEN);
    struct bytes encoded = encode(&binding);
    assert_int_equal(encoded.len, wanted_binding.len);
    assert_memory_equal(encoded.bytes, wanted_binding.ptr, wanted_binding.len);

    const struct ks_ekt_seal how = {.generation = ks_vector_number(vector, "generation"),
                                    .salt = salt_bytes.ptr,
                                    .binding = view(&encoded)};
    struct bytes got;
    KS_SECRET_AUTO opened = {.len = 0};
    assert_int_equal(ks_ekt_seal(crypto, mac, &how, &material_key, got.bytes, &got.len).code,
                     KS_OK);
    assert_int_equal(got.len, wanted.len);
    assert_memory_equal(got.bytes, wanted.ptr, wanted.len);
    assert_int_equal(
        ks_ekt_open(crypto, mac, view(&encoded), ks_vector_view(&wanted), &opened).code, KS_OK);
    assert_memory_equal(opened.bytes, hbk_bytes.ptr, 32);
}

static void seals_and_opens_the_golden_vectors(void **state)
{
    (void)state;
    KS_JSON_AUTO *doc = ks_vectors_open(ks_ekt_json, ks_ekt_json_len);

    for (size_t i = 0; i < ks_vectors_count(doc); i++) {
        check_vector(ks_vectors_at(doc, i));
    }
}

static void says_its_generation_without_a_key(void **state)
{
    (void)state;
    const struct ks_binding binding = some_binding();
    struct bytes encoded = encode(&binding);
    struct bytes ekt = seal(&encoded);
    uint32_t generation = 0;

    assert_int_equal(ks_ekt_generation(view(&ekt), &generation).code, KS_OK);

    assert_int_equal(generation, 3);
}

static void refuses_a_version_or_generation_that_cannot_be(void **state)
{
    (void)state;
    const struct ks_binding binding = some_binding();
    struct bytes encoded = encode(&binding);
    struct bytes version = seal(&encoded);
    struct bytes generation = version;
    uint32_t got = 0;
    version.bytes[0] = 2;
    generation.bytes[4] = 0;

    assert_int_equal(ks_ekt_generation(view(&version), &got).code, KS_INVALID_CIPHERTEXT);
    assert_int_equal(ks_ekt_generation(view(&generation), &got).code, KS_INVALID_CIPHERTEXT);
}

static void refuses_every_damage(void **state)
{
    (void)state;
    const struct ks_binding binding = some_binding();
    struct bytes encoded = encode(&binding);
    struct bytes ekt = seal(&encoded);
    assert_int_equal(open_copy(&encoded, view(&ekt)), KS_OK);

    for (size_t bit = 0; bit < 8 * ekt.len; bit++) {
        struct bytes bad = ekt;
        bad.bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_int_equal(open_copy(&encoded, view(&bad)), KS_INVALID_CIPHERTEXT);
    }
    for (size_t len = 0; len < ekt.len; len++) {
        assert_int_equal(open_copy(&encoded, (ks_bytes){ekt.bytes, len}), KS_INVALID_CIPHERTEXT);
    }
    ekt.bytes[ekt.len] = 0;
    assert_int_equal(open_copy(&encoded, (ks_bytes){ekt.bytes, ekt.len + 1}),
                     KS_INVALID_CIPHERTEXT);
}

/* Promise 5: what a key is bound to can be changed in no part without the EKT failing to open. */
static void refuses_every_other_binding(void **state)
{
    (void)state;
    const struct ks_binding binding = some_binding();
    struct bytes encoded = encode(&binding);
    struct bytes ekt = seal(&encoded);
    struct ks_binding others[8];
    for (size_t i = 0; i < KS_COUNT(others); i++) {
        others[i] = binding;
    }
    static const uint8_t other_id[KS_MATERIAL_ID_LEN] = {8};
    others[0].name.region = KS_LITERAL("ap-seoul-2");
    others[1].name.account = KS_LITERAL("111122223334");
    others[2].name.key_id = KS_LITERAL("1234abcd-12ab-34cd-56ef-1234567890ac");
    others[3].material_id = other_id;
    others[4].spec = 2;
    others[5].usage = 2;
    others[6].origin = 2;
    others[7].public_hash = public_hash;

    for (size_t i = 0; i < KS_COUNT(others); i++) {
        struct bytes other = encode(&others[i]);
        assert_int_equal(open_copy(&other, view(&ekt)), KS_INVALID_CIPHERTEXT);
    }
}

static void refuses_another_domain_key(void **state)
{
    (void)state;
    const struct ks_binding binding = some_binding();
    struct bytes encoded = encode(&binding);
    struct bytes ekt = seal(&encoded);
    const ks_secret key = {.len = 32, .bytes = {2}};
    KS_MAC_AUTO *other = NULL;
    assert_int_equal(ks_mac_new(&key, &other).code, KS_OK);
    KS_SECRET_AUTO got = {.len = 0};

    assert_int_equal(ks_ekt_open(crypto, other, view(&encoded), view(&ekt), &got).code,
                     KS_INVALID_CIPHERTEXT);
}

static void refuses_what_it_could_not_open_again(void **state)
{
    (void)state;
    const struct ks_binding binding = some_binding();
    struct bytes encoded = encode(&binding);
    struct bytes out;
    const ks_secret empty = {.len = 0};
    struct ks_ekt_seal how = {.generation = 0, .salt = salt, .binding = view(&encoded)};

    assert_int_equal(ks_ekt_seal(crypto, domain, &how, &hbk, out.bytes, &out.len).code,
                     KS_VALIDATION);
    how.generation = KS_GENERATION_MAX + 1;
    assert_int_equal(ks_ekt_seal(crypto, domain, &how, &hbk, out.bytes, &out.len).code,
                     KS_VALIDATION);
    how.generation = KS_GENERATION_MAX;
    assert_int_equal(ks_ekt_seal(crypto, domain, &how, &empty, out.bytes, &out.len).code,
                     KS_VALIDATION);
    assert_int_equal(ks_ekt_seal(crypto, domain, &how, &hbk, out.bytes, &out.len).code, KS_OK);
}

static void refuses_a_binding_that_says_nothing(void **state)
{
    (void)state;
    uint8_t out[KS_BINDING_LEN_MAX];
    size_t len = 0;
    struct ks_binding bad[5];
    for (size_t i = 0; i < KS_COUNT(bad); i++) {
        bad[i] = some_binding();
    }
    bad[0].spec = 0;
    bad[1].usage = 0;
    bad[2].origin = 0;
    bad[3].name.account = KS_LITERAL("1");
    bad[4].name.region = KS_LITERAL("");

    for (size_t i = 0; i < KS_COUNT(bad); i++) {
        assert_int_equal(ks_binding_encode(&bad[i], out, &len).code, KS_VALIDATION);
    }
}

/* Ids must not tell that two keys or accounts share material. */
static void material_ids_differ_between_keys_and_accounts(void **state)
{
    (void)state;
    uint8_t ids[3][KS_MATERIAL_ID_LEN];
    ks_bytes key_id = KS_LITERAL("1234abcd-12ab-34cd-56ef-1234567890ab");

    assert_int_equal(ks_material_id(domain, KS_LITERAL("111122223333"), key_id, ids[0]).code,
                     KS_OK);
    assert_int_equal(ks_material_id(domain, KS_LITERAL("111122223334"), key_id, ids[1]).code,
                     KS_OK);
    assert_int_equal(ks_material_id(domain, KS_LITERAL("111122223333"),
                                    KS_LITERAL("1234abcd-12ab-34cd-56ef-1234567890ac"), ids[2])
                         .code,
                     KS_OK);

    assert_memory_not_equal(ids[0], ids[1], KS_MATERIAL_ID_LEN);
    assert_memory_not_equal(ids[0], ids[2], KS_MATERIAL_ID_LEN);
    assert_int_equal(ks_material_id(domain, KS_LITERAL("1"), key_id, ids[0]).code, KS_VALIDATION);
}

static int set_up(void **state)
{
    (void)state;
    const ks_secret key = {.len = 32, .bytes = {1}};
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0})) ||
        ks_failed(ks_mac_new(&key, &domain))) {
        return -1;
    }
    crypto = ks_crypto_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_mac_free(domain);
    ks_crypto_free(crypto);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seals_and_opens_the_golden_vectors),
        cmocka_unit_test(says_its_generation_without_a_key),
        cmocka_unit_test(refuses_a_version_or_generation_that_cannot_be),
        cmocka_unit_test(refuses_every_damage),
        cmocka_unit_test(refuses_every_other_binding),
        cmocka_unit_test(refuses_another_domain_key),
        cmocka_unit_test(refuses_what_it_could_not_open_again),
        cmocka_unit_test(refuses_a_binding_that_says_nothing),
        cmocka_unit_test(material_ids_differ_between_keys_and_accounts),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
