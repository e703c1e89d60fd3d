/* What an EKT is bound to, byte for byte: the hsm of tomorrow must open the EKT of yesterday. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/authentic/authentic.h"
#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/mac.h"
#include "pkg/ekt/ekt.h"
#include "pkg/ekt/wrap.h"
#include "pkg/form/names.h"
#include "services/hsm/fixture/hsm_fixture.h"

#define REGION     "ap-seoul-1"
#define ZONE       "ap-seoul-1a"
#define GENERATION 1U
#define ID_AT      (1U + sizeof(REGION) - 1 + KS_ACCOUNT_LEN + KS_KEY_ID_LEN)

/* proto/formats/ekt-v1.md: what stands before the material id, and what stands behind it. */
static const char before_id[] = "\x0a" REGION FIXTURE_ACCOUNT FIXTURE_KEY_ID;
static const uint8_t symmetric_default[] = {
    0, 1, /* spec: SYMMETRIC_DEFAULT */
    1,    /* usage: ENCRYPT_DECRYPT */
    1,    /* origin: AWS_KMS */
    0,    /* symmetric */
};

static struct hsm_root root;
static struct hsm_node node;
static struct ks_crypto *crypto;
static struct ks_mac *domain; /* keyed with the node's domain key */
static struct hsm_key key;
static KeyRecord *body; /* of the key's record */
static uint8_t binding[ID_AT + KS_MATERIAL_ID_LEN + sizeof(symmetric_default)];

static struct ks_mac *unwrap(const HsmReply *made)
{
    const struct ks_wrap_place place = {KS_LITERAL(REGION), KS_LITERAL(ZONE), GENERATION};
    KS_MAC_AUTO *node_mac = NULL;
    KS_SECRET_AUTO domain_key = {.len = 0};
    struct ks_mac *mac = NULL;
    assert_int_equal(ks_mac_new(&node.node_key, &node_mac).code, KS_OK);
    assert_int_equal(ks_domain_key_unwrap(crypto, node_mac, &place,
                                          (ks_bytes){made->wrapped.data, made->wrapped.len},
                                          &domain_key)
                         .code,
                     KS_OK);
    assert_int_equal(ks_mac_new(&domain_key, &mac).code, KS_OK);
    return mac;
}

static int set_up(void **state)
{
    (void)state;
    hsm_root_init(&root, FIXTURE_NOW_S);
    hsm_node_init(&node, &root, REGION, ZONE);
    crypto = ks_crypto_new();
    domain = unwrap(hsm_make_domain_key(&node, GENERATION));
    key = hsm_new_key(&node, GENERATION);
    body = hsm_body_of(&node, &key);
    memcpy(binding, before_id, ID_AT);
    assert_true(ks_hex_read(ks_bytes_of(body->materials[0]->material_id), binding + ID_AT,
                            KS_MATERIAL_ID_LEN));
    memcpy(binding + ID_AT + KS_MATERIAL_ID_LEN, symmetric_default, sizeof(symmetric_default));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_mac_free(domain);
    ks_crypto_free(crypto);
    hsm_node_done(&node);
    hsm_root_done(&root);
    return 0;
}

static void an_ekt_of_a_symmetric_key_is_bound_to_these_bytes(void **state)
{
    (void)state;
    KS_SECRET_AUTO hbk = {.len = 0};
    const ProtobufCBinaryData ekt = body->materials[0]->ekt;

    ks_result r = ks_ekt_open(crypto, domain, (ks_bytes){binding, sizeof(binding)},
                              (ks_bytes){ekt.data, ekt.len}, &hbk);

    assert_int_equal(r.code, KS_OK);
    assert_int_equal(hbk.len, 32);
    assert_int_equal(ekt.len, KS_EKT_EXTRA_LEN + 32);
}

/* A record of the key with another EKT, and a MAC as an hsm makes it. */
static struct hsm_key with_ekt(ProtobufCBinaryData ekt)
{
    KS_SECRET_AUTO derived = {.len = 0};
    KS_MAC_AUTO *records = NULL;
    uint8_t mac[KS_AUTHENTIC_MAC_LEN];
    KS_BUFFER_AUTO value = {.len_max = 4096};
    body->materials[0]->ekt = ekt;
    ProtobufCBinaryData packed = hsm_packed(&node, &body->base);
    struct ks_authentic envelope = {{packed.data, packed.len}, 2, GENERATION, mac};
    assert_int_equal(ks_authentic_key(domain, KS_LITERAL(REGION), &derived).code, KS_OK);
    assert_int_equal(ks_mac_new(&derived, &records).code, KS_OK);
    assert_int_equal(
        ks_authentic_mac(records, KS_LITERAL(REGION), KS_LITERAL(FIXTURE_NAME), &envelope, mac)
            .code,
        KS_OK);
    assert_int_equal(ks_authentic_write(&envelope, &value).code, KS_OK);
    struct hsm_key other = key;
    other.record = (ProtobufCBinaryData){
        value.len, (uint8_t *)ks_arena_dup(&node.arena, ks_buffer_bytes(&value))};
    return other;
}

/* Only an hsm can seal such an EKT. This one still refuses a key that its spec can't have. */
static void material_that_does_not_suit_the_spec_is_not_used(void **state)
{
    (void)state;
    for (size_t len = 31; len <= 33; len++) {
        const ks_secret hbk = {.len = len, .bytes = {1}};
        const uint8_t salt[KS_EKT_SALT_LEN] = {(uint8_t)len};
        const struct ks_ekt_seal how = {GENERATION, salt, {binding, sizeof(binding)}};
        uint8_t bytes[KS_EKT_LEN_MAX];
        ProtobufCBinaryData ekt = {0, bytes};
        assert_int_equal(ks_ekt_seal(crypto, domain, &how, &hbk, bytes, &ekt.len).code, KS_OK);
        const struct hsm_key other = with_ekt(ekt);

        const HsmReply *reply = hsm_encrypt(&node, &other, KS_LITERAL("x"));

        assert_int_equal(reply->code, len == 32 ? KS_OK : KS_CORRUPT);
    }
}

/* Promise 5: also where the record is authentic, an EKT works for what it was bound to alone. */
static void refuses_every_damage_to_an_ekt(void **state)
{
    (void)state;
    const ProtobufCBinaryData good = body->materials[0]->ekt;
    uint8_t bytes[KS_EKT_LEN_MAX];
    for (size_t bit = 0; bit < 8 * good.len; bit++) {
        memcpy(bytes, good.data, good.len);
        bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        const struct hsm_key bad = with_ekt((ProtobufCBinaryData){good.len, bytes});
        unsigned code = hsm_encrypt(&node, &bad, KS_LITERAL("x"))->code;
        bool is_generation = bit / 8 >= 1 && bit / 8 <= 4;
        assert_true(code == KS_CORRUPT || (is_generation && code == KS_UNAVAILABLE));
    }
    for (size_t len = 0; len < good.len; len++) {
        const struct hsm_key bad = with_ekt((ProtobufCBinaryData){len, good.data});
        assert_int_equal(hsm_encrypt(&node, &bad, KS_LITERAL("x"))->code, KS_CORRUPT);
    }
    const struct hsm_key other = hsm_new_key(&node, GENERATION);
    const struct hsm_key swapped = with_ekt(hsm_body_of(&node, &other)->materials[0]->ekt);
    assert_int_equal(hsm_encrypt(&node, &swapped, KS_LITERAL("x"))->code, KS_CORRUPT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_ekt_of_a_symmetric_key_is_bound_to_these_bytes),
        TEST(material_that_does_not_suit_the_spec_is_not_used),
        TEST(refuses_every_damage_to_an_ekt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
