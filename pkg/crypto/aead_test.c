#include "pkg/crypto/aead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/vectors/crypto/crypto_vectors.h"
#include "tests/vectors/crypto/hex.h"

#define TEXT       KS_LITERAL("a text of twenty-six bytes")
#define SEALED_LEN (26U + KS_AEAD_TAG_LEN)

static struct ks_crypto *crypto;
static ks_secret key;
static const uint8_t iv[KS_AEAD_IV_LEN] = {9, 8, 7};

static int set_up(void **state)
{
    (void)state;
    crypto = ks_crypto_new();
    key = hex_secret(gcm_vectors[2].key);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_crypto_free(crypto);
    return 0;
}

static struct ks_aead_box box_with(ks_bytes aad)
{
    return (struct ks_aead_box){&key, iv, aad};
}

static void seals_and_opens_as_other_implementations_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(gcm_vectors); i++) {
        const struct gcm_vector *vector = &gcm_vectors[i];
        ks_secret vector_key = hex_secret(vector->key);
        struct hex vector_iv = hex_of(vector->iv);
        struct hex text = hex_of(vector->text);
        struct hex aad = hex_of(vector->aad);
        struct hex wanted = hex_of(vector->sealed);
        struct ks_aead_box box = {&vector_key, vector_iv.bytes, hex_view(&aad)};
        uint8_t got[HEX_BYTES_MAX];

        assert_int_equal(ks_aead_seal(crypto, &box, hex_view(&text), got).code, KS_OK);
        assert_memory_equal(got, wanted.bytes, wanted.len);

        assert_int_equal(ks_aead_open(crypto, &box, hex_view(&wanted), got).code, KS_OK);
        assert_memory_equal(got, text.bytes, text.len);
    }
}

static void works_in_place(void **state)
{
    (void)state;
    struct ks_aead_box box = box_with(KS_LITERAL("aad"));
    uint8_t apart[SEALED_LEN];
    uint8_t place[SEALED_LEN];
    memcpy(place, TEXT.ptr, TEXT.len);
    assert_int_equal(ks_aead_seal(crypto, &box, TEXT, apart).code, KS_OK);

    assert_int_equal(ks_aead_seal(crypto, &box, (ks_bytes){place, TEXT.len}, place).code, KS_OK);
    assert_memory_equal(place, apart, SEALED_LEN);

    assert_int_equal(ks_aead_open(crypto, &box, (ks_bytes){place, SEALED_LEN}, place).code, KS_OK);
    assert_memory_equal(place, TEXT.ptr, TEXT.len);
}

static void no_iv_given_is_the_iv_of_zeros(void **state)
{
    (void)state;
    const uint8_t zeros[KS_AEAD_IV_LEN] = {0};
    struct ks_aead_box given = {&key, zeros, {0}};
    struct ks_aead_box left_out = {&key, NULL, {0}};
    uint8_t sealed[SEALED_LEN];
    uint8_t opened[SEALED_LEN];
    assert_int_equal(ks_aead_seal(crypto, &left_out, TEXT, sealed).code, KS_OK);

    assert_int_equal(ks_aead_open(crypto, &given, (ks_bytes){sealed, SEALED_LEN}, opened).code,
                     KS_OK);
}

/* That a refused message leaves nothing of its text behind is what makes opening in place safe. */
static void assert_refused(const struct ks_aead_box *box, ks_bytes sealed)
{
    uint8_t opened[SEALED_LEN];
    memset(opened, 0xaa, sizeof(opened));

    assert_int_equal(ks_aead_open(crypto, box, sealed, opened).code, KS_INVALID_CIPHERTEXT);

    size_t len = sealed.len < KS_AEAD_TAG_LEN ? 0 : sealed.len - KS_AEAD_TAG_LEN;
    for (size_t i = 0; i < sizeof(opened); i++) {
        assert_int_equal(opened[i], i < len ? 0 : 0xaa);
    }
}

static void refuses_every_flipped_bit(void **state)
{
    (void)state;
    struct ks_aead_box box = box_with(KS_LITERAL("aad"));
    uint8_t sealed[SEALED_LEN];
    assert_int_equal(ks_aead_seal(crypto, &box, TEXT, sealed).code, KS_OK);

    for (size_t i = 0; i < 8 * SEALED_LEN; i++) {
        sealed[i / 8] ^= (uint8_t)(1U << (i % 8));
        assert_refused(&box, (ks_bytes){sealed, SEALED_LEN});
        sealed[i / 8] ^= (uint8_t)(1U << (i % 8));
    }
}

static void refuses_every_other_length(void **state)
{
    (void)state;
    struct ks_aead_box box = box_with(KS_LITERAL("aad"));
    uint8_t sealed[SEALED_LEN + 1] = {0};
    assert_int_equal(ks_aead_seal(crypto, &box, TEXT, sealed).code, KS_OK);

    for (size_t len = 0; len < SEALED_LEN; len++) {
        assert_refused(&box, (ks_bytes){sealed, len});
    }
    uint8_t opened[SEALED_LEN + 1];
    assert_int_equal(ks_aead_open(crypto, &box, (ks_bytes){sealed, SEALED_LEN + 1}, opened).code,
                     KS_INVALID_CIPHERTEXT);
}

static void refuses_another_key_iv_or_aad(void **state)
{
    (void)state;
    struct ks_aead_box box = box_with(KS_LITERAL("aad"));
    uint8_t sealed[SEALED_LEN];
    assert_int_equal(ks_aead_seal(crypto, &box, TEXT, sealed).code, KS_OK);
    ks_bytes whole = {sealed, SEALED_LEN};
    ks_secret other_key = key;
    other_key.bytes[31] ^= 1;
    uint8_t other_iv[KS_AEAD_IV_LEN] = {9, 8, 6};

    assert_refused(&(struct ks_aead_box){&other_key, iv, box.aad}, whole);
    assert_refused(&(struct ks_aead_box){&key, other_iv, box.aad}, whole);
    assert_refused(&(struct ks_aead_box){&key, iv, KS_LITERAL("aae")}, whole);
    assert_refused(&(struct ks_aead_box){&key, iv, {0}}, whole);
}

static void refuses_keys_of_other_lengths(void **state)
{
    (void)state;
    uint8_t place[SEALED_LEN] = {0};
    for (size_t len = 0; len <= KS_SECRET_MAX; len++) {
        ks_secret other = {.len = len};
        struct ks_aead_box box = {&other, iv, {0}};
        ks_code wanted = len == KS_AEAD_KEY_LEN ? KS_OK : KS_VALIDATION;

        assert_int_equal(ks_aead_seal(crypto, &box, TEXT, place).code, wanted);
        assert_int_equal(ks_aead_open(crypto, &box, (ks_bytes){place, SEALED_LEN}, place).code,
                         wanted);
    }
}

/* The length stands for itself: nothing is read before it is checked. */
static void refuses_what_is_too_long(void **state)
{
    (void)state;
    uint8_t byte = 0;
    struct ks_aead_box box = box_with((ks_bytes){0});
    ks_bytes text = {&byte, KS_AEAD_LEN_MAX + 1};
    assert_int_equal(ks_aead_seal(crypto, &box, text, &byte).code, KS_VALIDATION);

    box.aad = (ks_bytes){&byte, KS_AEAD_LEN_MAX + 1};
    assert_int_equal(ks_aead_seal(crypto, &box, TEXT, &byte).code, KS_VALIDATION);
}

static void each_segment_has_its_own_iv(void **state)
{
    (void)state;
    const uint8_t prefix[KS_AEAD_PREFIX_LEN] = {1, 2, 3, 4, 5, 6, 7};
    const uint8_t first[] = {1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0, 0};
    const uint8_t last[] = {0, 0, 0, 0, 0, 0, 0, 0xfe, 0xdc, 0xba, 0x98, 1};
    uint8_t got[KS_AEAD_IV_LEN];

    ks_aead_segment_iv(prefix, 0, false, got);
    assert_memory_equal(got, first, sizeof(first));

    ks_aead_segment_iv(NULL, 0xfedcba98, true, got);
    assert_memory_equal(got, last, sizeof(last));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seals_and_opens_as_other_implementations_do),
        cmocka_unit_test(works_in_place),
        cmocka_unit_test(no_iv_given_is_the_iv_of_zeros),
        cmocka_unit_test(refuses_every_flipped_bit),
        cmocka_unit_test(refuses_every_other_length),
        cmocka_unit_test(refuses_another_key_iv_or_aad),
        cmocka_unit_test(refuses_keys_of_other_lengths),
        cmocka_unit_test(refuses_what_is_too_long),
        cmocka_unit_test(each_segment_has_its_own_iv),
    };
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0}))) {
        return 1;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
