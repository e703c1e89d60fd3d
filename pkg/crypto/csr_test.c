#include "pkg/crypto/csr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pkg/crypto/crypto.h"
#include "pkg/crypto/pem.h"
#include "tests/vectors/crypto/x509_vectors.h"

static const struct ks_x509_subject no_subject;
static const struct ks_x509_names no_names;

static ks_code read_code(ks_bytes request)
{
    KS_BUFFER_AUTO spki = {.len_max = KS_EC_PUBLIC_DER_MAX};
    ks_result answer = ks_csr_read(request, &spki);
    assert_int_equal(spki.len > 0, answer.code == KS_OK);
    return answer.code;
}

static void a_request_of_ours_gives_its_key(void **state)
{
    (void)state;
    const char *const dns[] = {"localhost"};
    const char *const ip[] = {"::1"};
    const struct ks_x509_subject subjects[] = {{0}, {"a name", "an organization"}};
    const struct ks_x509_names names[] = {{0}, {"spiffe://keystead/x", dns, 1, ip, 1}};
    for (enum ks_ec_curve curve = KS_EC_P256; curve <= KS_EC_P384; curve++) {
        for (size_t i = 0; i < KS_COUNT(names); i++) {
            KS_EC_AUTO *key = NULL;
            KS_BUFFER_AUTO request = {.len_max = KS_X509_PEM_MAX};
            KS_BUFFER_AUTO wanted = {.len_max = KS_EC_PUBLIC_DER_MAX};
            KS_BUFFER_AUTO got = {.len_max = KS_EC_PUBLIC_DER_MAX};
            assert_int_equal(ks_ec_generate(curve, &key).code, KS_OK);
            assert_int_equal(ks_ec_write_public_der(key, &wanted).code, KS_OK);

            assert_int_equal(ks_csr_make(key, &subjects[i], &names[i], &request).code, KS_OK);
            assert_int_equal(ks_csr_read(ks_buffer_bytes(&request), &got).code, KS_OK);

            assert_true(ks_bytes_equal(ks_buffer_bytes(&got), ks_buffer_bytes(&wanted)));
        }
    }
}

static void reads_requests_that_others_wrote(void **state)
{
    (void)state;
    KS_BUFFER_AUTO der = {.len_max = KS_X509_DER_MAX};
    assert_int_equal(ks_pem_decode(KS_PEM_CSR, ks_bytes_of(vector_csr), &der).code, KS_OK);

    assert_int_equal(read_code(ks_bytes_of(vector_csr)), KS_OK);
    assert_int_equal(read_code(ks_bytes_of(vector_csr_p384)), KS_OK);
    assert_int_equal(read_code(ks_buffer_bytes(&der)), KS_OK);
}

static void refuses_every_other_request(void **state)
{
    (void)state;
    const char *const others[] = {
        vector_csr_rsa,
        vector_csr_p521,
        vector_csr_sha1,
        vector_csr_bad_signature,
        vector_leaf,
        vector_key_p256,
        "",
        "garbage",
        "0",
        "-----BEGIN CERTIFICATE REQUEST-----",
    };
    for (size_t i = 0; i < KS_COUNT(others); i++) {
        assert_int_equal(read_code(ks_bytes_of(others[i])), KS_VALIDATION);
    }
}

static void refuses_every_flipped_bit_and_every_cut(void **state)
{
    (void)state;
    KS_BUFFER_AUTO der = {.len_max = KS_X509_DER_MAX};
    assert_int_equal(ks_pem_decode(KS_PEM_CSR, ks_bytes_of(vector_csr), &der).code, KS_OK);

    for (size_t i = 0; i < 8 * der.len; i++) {
        der.ptr[i / 8] ^= (uint8_t)(1U << (i % 8));
        assert_int_equal(read_code(ks_buffer_bytes(&der)), KS_VALIDATION);
        der.ptr[i / 8] ^= (uint8_t)(1U << (i % 8));
    }
    for (size_t len = 0; len < der.len; len++) {
        assert_int_equal(read_code((ks_bytes){der.ptr, len}), KS_VALIDATION);
    }
    assert_int_equal(ks_buffer_append(&der, KS_LITERAL("\0")).code, KS_OK);
    assert_int_equal(read_code(ks_buffer_bytes(&der)), KS_VALIDATION);
}

static void refuses_what_is_too_long(void **state)
{
    (void)state;
    static const uint8_t large[KS_X509_DER_MAX + 1] = {0x30, 0x82, 0x0f, 0xfd};
    KS_BUFFER_AUTO pem = {.len_max = KS_PEM_LEN_MAX};
    assert_int_equal(ks_pem_encode(KS_PEM_CSR, (ks_bytes){large, sizeof(large)}, &pem).code, KS_OK);

    assert_int_equal(read_code((ks_bytes){large, sizeof(large)}), KS_VALIDATION);
    assert_int_equal(read_code(ks_buffer_bytes(&pem)), KS_VALIDATION);
}

static void malformed_names_are_refused(void **state)
{
    (void)state;
    KS_EC_AUTO *key = NULL;
    KS_BUFFER_AUTO out = {.len_max = KS_X509_PEM_MAX};
    KS_BUFFER_AUTO small = {.len_max = 100};
    const struct ks_x509_subject bad_subject = {.common_name = ""};
    const struct ks_x509_names bad_names = {.uri = "spiffe://a b"};
    assert_int_equal(ks_ec_generate(KS_EC_P256, &key).code, KS_OK);

    assert_int_equal(ks_csr_make(key, &bad_subject, &no_names, &out).code, KS_VALIDATION);
    assert_int_equal(ks_csr_make(key, &no_subject, &bad_names, &out).code, KS_VALIDATION);
    assert_int_equal(ks_csr_make(key, &no_subject, &no_names, &small).code, KS_LIMIT_EXCEEDED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_of_ours_gives_its_key),
        cmocka_unit_test(reads_requests_that_others_wrote),
        cmocka_unit_test(refuses_every_other_request),
        cmocka_unit_test(refuses_every_flipped_bit_and_every_cut),
        cmocka_unit_test(refuses_what_is_too_long),
        cmocka_unit_test(malformed_names_are_refused),
    };
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0}))) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
