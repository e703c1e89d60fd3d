#include "pkg/crypto/mac.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pkg/crypto/crypto.h"
#include "tests/vectors/crypto/crypto_vectors.h"
#include "tests/vectors/crypto/hex.h"

static void codes_are_those_of_rfc_4231_and_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(mac_vectors); i++) {
        ks_secret key = hex_secret(mac_vectors[i].key);
        struct hex text = hex_of(mac_vectors[i].text);
        struct hex wanted = hex_of(mac_vectors[i].code);
        const ks_bytes part = hex_view(&text);
        uint8_t got[KS_MAC_LEN];
        KS_MAC_AUTO *mac = NULL;

        assert_int_equal(ks_mac_new(&key, &mac).code, KS_OK);
        assert_int_equal(ks_mac_sign(mac, &part, 1, got).code, KS_OK);

        assert_memory_equal(got, wanted.bytes, KS_MAC_LEN);
    }
}

/* The context is keyed once and used for every message: nothing of one may reach the next. */
static void one_context_signs_many_messages(void **state)
{
    (void)state;
    ks_secret key = hex_secret(mac_vectors[0].key);
    struct hex text = hex_of(mac_vectors[0].text);
    struct hex wanted = hex_of(mac_vectors[0].code);
    const ks_bytes parts[] = {{text.bytes, 3}, {text.bytes + 3, text.len - 3}};
    const ks_bytes other = KS_LITERAL("another message");
    uint8_t got[KS_MAC_LEN];
    KS_MAC_AUTO *mac = NULL;
    assert_int_equal(ks_mac_new(&key, &mac).code, KS_OK);

    for (int i = 0; i < 3; i++) {
        assert_int_equal(ks_mac_sign(mac, &other, 1, got).code, KS_OK);
        assert_int_equal(ks_mac_sign(mac, parts, KS_COUNT(parts), got).code, KS_OK);
        assert_memory_equal(got, wanted.bytes, KS_MAC_LEN);
    }
}

static void another_key_replaces_the_first(void **state)
{
    (void)state;
    ks_secret first = hex_secret(mac_vectors[0].key);
    ks_secret second = hex_secret(mac_vectors[1].key);
    struct hex text = hex_of(mac_vectors[1].text);
    struct hex wanted = hex_of(mac_vectors[1].code);
    const ks_bytes part = hex_view(&text);
    uint8_t got[KS_MAC_LEN];
    KS_MAC_AUTO *mac = NULL;
    assert_int_equal(ks_mac_new(&first, &mac).code, KS_OK);

    assert_int_equal(ks_mac_set_key(mac, &second).code, KS_OK);
    assert_int_equal(ks_mac_sign(mac, &part, 1, got).code, KS_OK);

    assert_memory_equal(got, wanted.bytes, KS_MAC_LEN);
}

static void an_empty_key_is_refused_and_leaves_none(void **state)
{
    (void)state;
    ks_secret key = hex_secret(mac_vectors[0].key);
    ks_secret empty = {0};
    uint8_t got[KS_MAC_LEN];
    KS_MAC_AUTO *mac = NULL;
    assert_int_equal(ks_mac_new(&empty, &mac).code, KS_VALIDATION);
    assert_null(mac);
    assert_int_equal(ks_mac_new(&key, &mac).code, KS_OK);

    assert_int_equal(ks_mac_set_key(mac, &empty).code, KS_VALIDATION);

    assert_int_equal(ks_mac_sign(mac, NULL, 0, got).code, KS_INVALID_STATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_those_of_rfc_4231_and_others),
        cmocka_unit_test(one_context_signs_many_messages),
        cmocka_unit_test(another_key_replaces_the_first),
        cmocka_unit_test(an_empty_key_is_refused_and_leaves_none),
    };
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0}))) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
