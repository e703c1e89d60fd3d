/* What an EKT is bound to, byte for byte: the hsm of tomorrow must open the EKT of yesterday. */
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

static struct ks_mac *unwrap(struct hsm_node *node, struct ks_crypto *crypto, const HsmReply *made)
{
    const struct ks_wrap_place place = {KS_LITERAL(REGION), KS_LITERAL(ZONE), GENERATION};
    KS_MAC_AUTO *node_mac = NULL;
    KS_SECRET_AUTO domain_key = {.len = 0};
    struct ks_mac *domain = NULL;
    assert_int_equal(ks_mac_new(&node->node_key, &node_mac).code, KS_OK);
    assert_int_equal(ks_domain_key_unwrap(crypto, node_mac, &place,
                                          (ks_bytes){made->wrapped.data, made->wrapped.len},
                                          &domain_key)
                         .code,
                     KS_OK);
    assert_int_equal(ks_mac_new(&domain_key, &domain).code, KS_OK);
    return domain;
}

static void an_ekt_of_a_symmetric_key_is_bound_to_these_bytes(void **state)
{
    (void)state;
    struct hsm_root root;
    struct hsm_node node;
    hsm_root_init(&root, FIXTURE_NOW_S);
    hsm_node_init(&node, &root, REGION, ZONE);
    struct ks_crypto *crypto = ks_crypto_new();
    struct ks_mac *domain = unwrap(&node, crypto, hsm_make_domain_key(&node, GENERATION));
    const struct hsm_key key = hsm_new_key(&node, GENERATION);

    uint8_t binding[ID_AT + KS_MATERIAL_ID_LEN + sizeof(symmetric_default)];
    memcpy(binding, before_id, ID_AT);
    assert_true(
        ks_hex_read(ks_bytes_of(key.binding.material_id), binding + ID_AT, KS_MATERIAL_ID_LEN));
    memcpy(binding + ID_AT + KS_MATERIAL_ID_LEN, symmetric_default, sizeof(symmetric_default));
    KS_SECRET_AUTO hbk = {.len = 0};
    ks_result r = ks_ekt_open(crypto, domain, (ks_bytes){binding, sizeof(binding)},
                              (ks_bytes){key.ekt.data, key.ekt.len}, &hbk);

    assert_int_equal(r.code, KS_OK);
    assert_int_equal(hbk.len, 32);
    assert_int_equal(key.ekt.len, KS_EKT_EXTRA_LEN + 32);
    ks_mac_free(domain);
    ks_crypto_free(crypto);
    hsm_node_done(&node);
    hsm_root_done(&root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ekt_of_a_symmetric_key_is_bound_to_these_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
