#include "pkg/crypto/ec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/crypto/crypto.h"
#include "tests/vectors/crypto/x509_vectors.h"

#define MESSAGE KS_LITERAL("what is signed")

static const enum ks_ec_curve curves[] = {KS_EC_P256, KS_EC_P384};

static struct ks_ec_key *generate(enum ks_ec_curve curve)
{
    struct ks_ec_key *key = NULL;
    assert_int_equal(ks_ec_generate(curve, &key).code, KS_OK);
    assert_int_equal(ks_ec_curve_of(key), curve);
    assert_true(ks_ec_has_private(key));
    return key;
}

static struct ks_ec_key *public_of(const struct ks_ec_key *key)
{
    KS_BUFFER_AUTO spki = {.len_max = KS_EC_PUBLIC_DER_MAX};
    struct ks_ec_key *public = NULL;
    assert_int_equal(ks_ec_write_public_der(key, &spki).code, KS_OK);
    assert_int_equal(ks_ec_read_public(ks_buffer_bytes(&spki), &public).code, KS_OK);
    assert_false(ks_ec_has_private(public));
    return public;
}

static void a_signature_verifies_under_its_public_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(curves); i++) {
        KS_EC_AUTO *key = generate(curves[i]);
        KS_EC_AUTO *public = public_of(key);
        uint8_t signature[KS_EC_SIGNATURE_MAX];
        size_t len = 0;

        assert_int_equal(ks_ec_sign(key, MESSAGE, signature, &len).code, KS_OK);

        assert_int_equal(ks_ec_verify(public, MESSAGE, (ks_bytes){signature, len}).code, KS_OK);
    }
}

static void refuses_every_damaged_signature(void **state)
{
    (void)state;
    KS_EC_AUTO *key = generate(KS_EC_P384);
    uint8_t signature[KS_EC_SIGNATURE_MAX + 1] = {0};
    size_t len = 0;
    assert_int_equal(ks_ec_sign(key, MESSAGE, signature, &len).code, KS_OK);

    for (size_t i = 0; i < 8 * len; i++) {
        signature[i / 8] ^= (uint8_t)(1U << (i % 8));
        assert_int_equal(ks_ec_verify(key, MESSAGE, (ks_bytes){signature, len}).code,
                         KS_UNAUTHENTICATED);
        signature[i / 8] ^= (uint8_t)(1U << (i % 8));
    }
    for (size_t cut = 0; cut <= KS_EC_SIGNATURE_MAX + 1; cut++) {
        ks_code wanted = cut == len ? KS_OK : KS_UNAUTHENTICATED;
        assert_int_equal(ks_ec_verify(key, MESSAGE, (ks_bytes){signature, cut}).code, wanted);
    }
}

static void refuses_another_message_or_key(void **state)
{
    (void)state;
    KS_EC_AUTO *key = generate(KS_EC_P384);
    KS_EC_AUTO *other = generate(KS_EC_P384);
    uint8_t signature[KS_EC_SIGNATURE_MAX];
    size_t len = 0;
    assert_int_equal(ks_ec_sign(key, MESSAGE, signature, &len).code, KS_OK);
    ks_bytes whole = {signature, len};

    assert_int_equal(ks_ec_verify(key, KS_LITERAL("another"), whole).code, KS_UNAUTHENTICATED);
    assert_int_equal(ks_ec_verify(key, (ks_bytes){0}, whole).code, KS_UNAUTHENTICATED);
    assert_int_equal(ks_ec_verify(other, MESSAGE, whole).code, KS_UNAUTHENTICATED);
}

static void both_sides_agree_on_one_secret(void **state)
{
    (void)state;
    const size_t lens[] = {32, 48};
    for (size_t i = 0; i < KS_COUNT(curves); i++) {
        KS_EC_AUTO *ours = generate(curves[i]);
        KS_EC_AUTO *theirs = generate(curves[i]);
        KS_EC_AUTO *our_public = public_of(ours);
        KS_EC_AUTO *their_public = public_of(theirs);
        ks_secret one = {0};
        ks_secret other = {0};

        assert_int_equal(ks_ec_agree(ours, their_public, &one).code, KS_OK);
        assert_int_equal(ks_ec_agree(theirs, our_public, &other).code, KS_OK);

        assert_int_equal(one.len, lens[i]);
        assert_true(ks_secret_equal(ks_secret_bytes(&one), ks_secret_bytes(&other)));
    }
}

static void keys_of_two_curves_do_not_agree(void **state)
{
    (void)state;
    KS_EC_AUTO *ours = generate(KS_EC_P384);
    KS_EC_AUTO *theirs = generate(KS_EC_P256);
    ks_secret shared = {0};

    assert_int_equal(ks_ec_agree(ours, theirs, &shared).code, KS_VALIDATION);

    assert_int_equal(shared.len, 0);
}

static void a_private_key_survives_being_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(curves); i++) {
        KS_EC_AUTO *key = generate(curves[i]);
        KS_BUFFER_AUTO der = {.len_max = KS_EC_PRIVATE_DER_MAX};
        KS_BUFFER_AUTO pem = {.len_max = KS_EC_PRIVATE_PEM_MAX};
        KS_BUFFER_AUTO again = {.len_max = KS_EC_PRIVATE_DER_MAX};
        KS_EC_AUTO *of_der = NULL;
        KS_EC_AUTO *of_pem = NULL;

        assert_int_equal(ks_ec_write_private_der(key, &der).code, KS_OK);
        assert_int_equal(ks_ec_write_private_pem(key, &pem).code, KS_OK);
        assert_int_equal(ks_ec_read_private(ks_buffer_bytes(&der), &of_der).code, KS_OK);
        assert_int_equal(ks_ec_read_private(ks_buffer_bytes(&pem), &of_pem).code, KS_OK);

        assert_int_equal(ks_ec_write_private_der(of_pem, &again).code, KS_OK);
        assert_true(ks_bytes_equal(ks_buffer_bytes(&der), ks_buffer_bytes(&again)));
        assert_int_equal(ks_ec_curve_of(of_der), curves[i]);
    }
}

static void reads_keys_that_others_wrote(void **state)
{
    (void)state;
    KS_EC_AUTO *p256 = NULL;
    KS_EC_AUTO *p384 = NULL;

    assert_int_equal(ks_ec_read_private(ks_bytes_of(vector_key_p256), &p256).code, KS_OK);
    assert_int_equal(ks_ec_read_private(ks_bytes_of(vector_key_p384), &p384).code, KS_OK);

    assert_int_equal(ks_ec_curve_of(p256), KS_EC_P256);
    assert_int_equal(ks_ec_curve_of(p384), KS_EC_P384);
}

static void refuses_other_curves_and_forms(void **state)
{
    (void)state;
    const char *const others[] = {vector_key_p521, vector_key_sec1, vector_csr, "", "x", "0"};
    for (size_t i = 0; i < KS_COUNT(others); i++) {
        KS_EC_AUTO *key = NULL;
        assert_int_equal(ks_ec_read_private(ks_bytes_of(others[i]), &key).code, KS_VALIDATION);
        assert_null(key);
    }
}

/* A flipped bit may leave a private key that is still one: then it is the one that it says. */
static void a_damaged_private_key_is_refused_or_whole(void **state)
{
    (void)state;
    KS_EC_AUTO *key = generate(KS_EC_P256);
    KS_BUFFER_AUTO der = {.len_max = KS_EC_PRIVATE_DER_MAX};
    assert_int_equal(ks_ec_write_private_der(key, &der).code, KS_OK);

    size_t accepted_count = 0;
    for (size_t i = 0; i < 8 * der.len; i++) {
        der.ptr[i / 8] ^= (uint8_t)(1U << (i % 8));
        KS_EC_AUTO *read = NULL;
        ks_result answer = ks_ec_read_private(ks_buffer_bytes(&der), &read);
        assert_true(answer.code == KS_OK || answer.code == KS_VALIDATION);
        accepted_count += answer.code == KS_OK;
        der.ptr[i / 8] ^= (uint8_t)(1U << (i % 8));
    }
    /* Version bits and the like; each bit of the key itself contradicts the public part. */
    assert_in_range(accepted_count, 0, 32);
    for (size_t len = 0; len < der.len; len++) {
        KS_EC_AUTO *read = NULL;
        assert_int_equal(ks_ec_read_private((ks_bytes){der.ptr, len}, &read).code, KS_VALIDATION);
    }
    KS_EC_AUTO *longer = NULL;
    assert_int_equal(ks_buffer_append(&der, KS_LITERAL("\0")).code, KS_OK);
    assert_int_equal(ks_ec_read_private(ks_buffer_bytes(&der), &longer).code, KS_VALIDATION);
}

/* A point off its curve gives away bits of the private key that meets it. */
static void refuses_every_damaged_public_key(void **state)
{
    (void)state;
    KS_EC_AUTO *key = generate(KS_EC_P384);
    KS_BUFFER_AUTO spki = {.len_max = KS_EC_PUBLIC_DER_MAX};
    assert_int_equal(ks_ec_write_public_der(key, &spki).code, KS_OK);
    assert_int_equal(spki.len, KS_EC_PUBLIC_DER_MAX);
    uint8_t longer[KS_EC_PUBLIC_DER_MAX + 1] = {0};
    memcpy(longer, spki.ptr, spki.len);

    for (size_t i = 0; i < 8 * spki.len; i++) {
        spki.ptr[i / 8] ^= (uint8_t)(1U << (i % 8));
        KS_EC_AUTO *read = NULL;
        assert_int_equal(ks_ec_read_public(ks_buffer_bytes(&spki), &read).code, KS_VALIDATION);
        spki.ptr[i / 8] ^= (uint8_t)(1U << (i % 8));
    }
    for (size_t len = 0; len <= sizeof(longer); len++) {
        KS_EC_AUTO *read = NULL;
        ks_code wanted = len == spki.len ? KS_OK : KS_VALIDATION;
        assert_int_equal(ks_ec_read_public((ks_bytes){longer, len}, &read).code, wanted);
    }
}

static void refuses_a_compressed_point(void **state)
{
    (void)state;
    KS_EC_AUTO *key = generate(KS_EC_P256);
    KS_BUFFER_AUTO spki = {.len_max = KS_EC_PUBLIC_DER_MAX};
    assert_int_equal(ks_ec_write_public_der(key, &spki).code, KS_OK);
    /* SEQUENCE 57 { algorithm, BIT STRING 34 { 0, 02 or 03, x } } */
    uint8_t compressed[59];
    memcpy(compressed, spki.ptr, sizeof(compressed));
    compressed[1] = 57;
    compressed[24] = 34;
    compressed[26] = (uint8_t)(2U + (spki.ptr[90] & 1U));
    KS_EC_AUTO *read = NULL;

    assert_int_equal(ks_ec_read_public((ks_bytes){compressed, sizeof(compressed)}, &read).code,
                     KS_VALIDATION);
}

static void a_full_buffer_is_refused(void **state)
{
    (void)state;
    KS_EC_AUTO *key = generate(KS_EC_P256);
    KS_BUFFER_AUTO small = {.len_max = 16};

    assert_int_equal(ks_ec_write_public_der(key, &small).code, KS_LIMIT_EXCEEDED);
    assert_int_equal(ks_ec_write_private_der(key, &small).code, KS_LIMIT_EXCEEDED);
    assert_int_equal(ks_ec_write_private_pem(key, &small).code, KS_LIMIT_EXCEEDED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signature_verifies_under_its_public_key),
        cmocka_unit_test(refuses_every_damaged_signature),
        cmocka_unit_test(refuses_another_message_or_key),
        cmocka_unit_test(both_sides_agree_on_one_secret),
        cmocka_unit_test(keys_of_two_curves_do_not_agree),
        cmocka_unit_test(a_private_key_survives_being_written),
        cmocka_unit_test(reads_keys_that_others_wrote),
        cmocka_unit_test(refuses_other_curves_and_forms),
        cmocka_unit_test(a_damaged_private_key_is_refused_or_whole),
        cmocka_unit_test(refuses_every_damaged_public_key),
        cmocka_unit_test(refuses_a_compressed_point),
        cmocka_unit_test(a_full_buffer_is_refused),
    };
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0}))) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
