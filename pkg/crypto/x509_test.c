#include "pkg/crypto/x509.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/crypto/crypto.h"
#include "pkg/crypto/pem.h"
#include "tests/vectors/crypto/hex.h"
#include "tests/vectors/crypto/x509_vectors.h"

#define AT_S (VECTOR_FROM_S + KS_X509_YEAR_S)

static void reads_what_a_certificate_says(void **state)
{
    (void)state;
    struct ks_x509_info info;
    struct hex fingerprint = hex_of(VECTOR_LEAF_SHA256);

    assert_int_equal(ks_x509_read(ks_bytes_of(vector_leaf), &info).code, KS_OK);

    assert_string_equal(info.serial_hex, VECTOR_LEAF_SERIAL);
    assert_string_equal(info.uri, VECTOR_URI);
    assert_int_equal(info.not_before_s, VECTOR_FROM_S);
    assert_int_equal(info.not_after_s, VECTOR_UNTIL_S);
    assert_false(info.is_ca);
    assert_memory_equal(info.fingerprint, fingerprint.bytes, KS_SHA256_LEN);
    KS_EC_AUTO *key = NULL;
    assert_int_equal(ks_ec_read_public((ks_bytes){info.spki, info.spki_len}, &key).code, KS_OK);
    assert_int_equal(ks_ec_curve_of(key), KS_EC_P256);
}

static void reads_a_ca_and_a_leaf_without_uri(void **state)
{
    (void)state;
    struct ks_x509_info info;

    assert_int_equal(ks_x509_read(ks_bytes_of(vector_ca), &info).code, KS_OK);
    assert_true(info.is_ca);
    assert_string_equal(info.uri, "");
    assert_string_equal(info.serial_hex, VECTOR_CA_SERIAL);

    assert_int_equal(ks_x509_read(ks_bytes_of(vector_leaf_no_uri), &info).code, KS_OK);
    assert_string_equal(info.uri, "");
}

static void der_reads_as_pem_does(void **state)
{
    (void)state;
    struct ks_x509_info of_pem = {0};
    struct ks_x509_info of_der = {0};
    KS_BUFFER_AUTO der = {.len_max = KS_X509_DER_MAX};

    assert_int_equal(ks_x509_to_der(ks_bytes_of(vector_leaf), &der).code, KS_OK);
    assert_int_equal(ks_x509_read(ks_bytes_of(vector_leaf), &of_pem).code, KS_OK);
    assert_int_equal(ks_x509_read(ks_buffer_bytes(&der), &of_der).code, KS_OK);

    assert_memory_equal(of_pem.fingerprint, of_der.fingerprint, KS_SHA256_LEN);
    assert_string_equal(of_der.uri, VECTOR_URI);
}

/* Both sides of the limit on a URI, and each way in which one could be read two ways. */
static void refuses_names_and_keys_that_are_not_ours(void **state)
{
    (void)state;
    const char *const others[] = {
        vector_leaf_two_uris,
        vector_leaf_off_curve,
        vector_leaf_hybrid_point,
        vector_leaf_unused_key_bit,
        vector_leaf_unused_signature_bit,
        vector_leaf_too_long_uri,
        vector_leaf_nul_uri,
        vector_leaf_blank_uri,
        vector_leaf_high_uri,
        vector_leaf_rsa,
        vector_leaf_p521,
        vector_leaf_twice_basic_constraints,
        vector_csr,
        vector_key_p256,
    };
    struct ks_x509_info info;
    assert_int_equal(ks_x509_read(ks_bytes_of(vector_leaf_long_uri), &info).code, KS_OK);
    assert_int_equal(strlen(info.uri), KS_X509_URI_MAX);

    for (size_t i = 0; i < KS_COUNT(others); i++) {
        struct ks_x509_info untouched = {.serial_hex = "untouched"};
        assert_int_equal(ks_x509_read(ks_bytes_of(others[i]), &untouched).code, KS_VALIDATION);
        assert_string_equal(untouched.serial_hex, "untouched");
    }
}

static void every_cut_and_every_byte_behind_is_refused(void **state)
{
    (void)state;
    struct ks_x509_info info;
    KS_BUFFER_AUTO der = {.len_max = KS_X509_DER_MAX};
    assert_int_equal(ks_x509_to_der(ks_bytes_of(vector_leaf), &der).code, KS_OK);

    for (size_t len = 0; len < der.len; len++) {
        assert_int_equal(ks_x509_read((ks_bytes){der.ptr, len}, &info).code, KS_VALIDATION);
    }
    assert_int_equal(ks_buffer_append(&der, KS_LITERAL("\0")).code, KS_OK);
    assert_int_equal(ks_x509_read(ks_buffer_bytes(&der), &info).code, KS_VALIDATION);
}

static ks_code read_lines(const char *const *lines, size_t line_count)
{
    struct ks_x509_info info;
    KS_BUFFER_AUTO text = {.len_max = KS_PEM_LEN_MAX};
    for (size_t i = 0; i < line_count; i++) {
        assert_int_equal(ks_buffer_append(&text, ks_bytes_of(lines[i])).code, KS_OK);
    }
    return ks_x509_read(ks_buffer_bytes(&text), &info).code;
}

static void a_certificate_has_a_size_limit(void **state)
{
    (void)state;
    static const uint8_t large[KS_X509_DER_MAX + 1] = {0x30, 0x82, 0x0f, 0xfd};
    struct ks_x509_info info;
    KS_BUFFER_AUTO pem = {.len_max = KS_PEM_LEN_MAX};

    assert_int_equal(read_lines(vector_leaf_large, KS_COUNT(vector_leaf_large)), KS_OK);
    assert_int_equal(read_lines(vector_leaf_too_large, KS_COUNT(vector_leaf_too_large)),
                     KS_VALIDATION);
    assert_int_equal(ks_x509_read((ks_bytes){large, sizeof(large)}, &info).code, KS_VALIDATION);
    assert_int_equal(ks_pem_encode(KS_PEM_CERTIFICATE, (ks_bytes){large, sizeof(large)}, &pem).code,
                     KS_OK);
    assert_int_equal(ks_x509_read(ks_buffer_bytes(&pem), &info).code, KS_VALIDATION);
}

static void a_leaf_verifies_under_its_ca(void **state)
{
    (void)state;
    struct ks_x509_info info = {0};
    ks_bytes leaf = ks_bytes_of(vector_leaf);
    ks_bytes ca = ks_bytes_of(vector_ca);

    assert_int_equal(ks_x509_verify(leaf, ca, AT_S, KS_X509_CLIENT, &info).code, KS_OK);
    assert_string_equal(info.uri, VECTOR_URI);
    assert_int_equal(ks_x509_verify(leaf, ca, AT_S, KS_X509_ANY, NULL).code, KS_OK);
    assert_int_equal(
        ks_x509_verify(ks_bytes_of(vector_leaf_server), ca, AT_S, KS_X509_SERVER, NULL).code,
        KS_OK);
    assert_int_equal(
        ks_x509_verify(ks_bytes_of(vector_leaf_no_usage), ca, AT_S, KS_X509_ANY, NULL).code, KS_OK);
}

static void a_leaf_is_valid_from_its_first_second_and_not_at_its_end(void **state)
{
    (void)state;
    const struct {
        int64_t at_s;
        ks_code wanted;
    } rows[] = {
        {VECTOR_FROM_S - 1, KS_UNAUTHENTICATED},
        {VECTOR_FROM_S, KS_OK},
        {VECTOR_UNTIL_S - 1, KS_OK},
        {VECTOR_UNTIL_S, KS_UNAUTHENTICATED},
        {0, KS_UNAUTHENTICATED},
        {INT64_MAX, KS_UNAUTHENTICATED},
    };
    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        assert_int_equal(ks_x509_verify(ks_bytes_of(vector_leaf), ks_bytes_of(vector_ca),
                                        rows[i].at_s, KS_X509_CLIENT, NULL)
                             .code,
                         rows[i].wanted);
    }
}

static void refuses_every_other_chain(void **state)
{
    (void)state;
    const struct {
        const char *leaf;
        const char *ca;
        enum ks_x509_usage usage;
    } rows[] = {
        {vector_leaf, vector_ca_other_key_same_name, KS_X509_CLIENT},
        {vector_leaf, vector_ca_expired, KS_X509_CLIENT},
        {vector_leaf, vector_ca_false, KS_X509_CLIENT},
        {vector_leaf, vector_ca_cannot_sign, KS_X509_CLIENT},
        {vector_leaf, vector_leaf, KS_X509_CLIENT},
        {vector_leaf, vector_leaf_is_ca, KS_X509_CLIENT},
        {vector_ca, vector_ca, KS_X509_ANY},
        {vector_ca, vector_leaf, KS_X509_ANY},
        {vector_leaf_expired, vector_ca, KS_X509_CLIENT},
        {vector_leaf_later, vector_ca, KS_X509_CLIENT},
        {vector_leaf, vector_ca, KS_X509_SERVER},
        {vector_leaf_server, vector_ca, KS_X509_CLIENT},
        {vector_leaf_no_usage, vector_ca, KS_X509_CLIENT},
        {vector_leaf_no_usage, vector_ca, KS_X509_SERVER},
        {vector_leaf_is_ca, vector_ca, KS_X509_CLIENT},
        {vector_leaf_unknown_critical, vector_ca, KS_X509_CLIENT},
        {vector_leaf_sha1, vector_ca, KS_X509_CLIENT},
        {vector_leaf_other_issuer, vector_ca, KS_X509_CLIENT},
        {vector_leaf_other_issuer_name, vector_ca, KS_X509_CLIENT},
        {vector_leaf_bad_signature, vector_ca, KS_X509_CLIENT},
        {vector_leaf_changed, vector_ca, KS_X509_CLIENT},
    };
    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        struct ks_x509_info untouched = {.serial_hex = "untouched"};
        ks_result answer = ks_x509_verify(ks_bytes_of(rows[i].leaf), ks_bytes_of(rows[i].ca), AT_S,
                                          rows[i].usage, &untouched);
        if (answer.code != KS_UNAUTHENTICATED) {
            print_error("row %zu\n", i);
        }
        assert_int_equal(answer.code, KS_UNAUTHENTICATED);
        assert_string_equal(untouched.serial_hex, "untouched");
    }
}

static void a_chain_with_something_malformed_says_so(void **state)
{
    (void)state;
    ks_bytes leaf = ks_bytes_of(vector_leaf);
    ks_bytes ca = ks_bytes_of(vector_ca);
    ks_bytes two_uris = ks_bytes_of(vector_leaf_two_uris);

    assert_int_equal(ks_x509_verify((ks_bytes){0}, ca, AT_S, KS_X509_ANY, NULL).code,
                     KS_VALIDATION);
    assert_int_equal(ks_x509_verify(leaf, (ks_bytes){0}, AT_S, KS_X509_ANY, NULL).code,
                     KS_VALIDATION);
    assert_int_equal(ks_x509_verify(two_uris, ca, AT_S, KS_X509_CLIENT, NULL).code, KS_VALIDATION);
}

/* Every bit is signed, or part of the signature, or of the one way to write it down. */
static void no_flipped_bit_verifies(void **state)
{
    (void)state;
    ks_bytes ca = ks_bytes_of(vector_ca);
    KS_BUFFER_AUTO der = {.len_max = KS_X509_DER_MAX};
    assert_int_equal(ks_x509_to_der(ks_bytes_of(vector_leaf), &der).code, KS_OK);

    for (size_t i = 0; i < 8 * der.len; i++) {
        der.ptr[i / 8] ^= (uint8_t)(1U << (i % 8));
        ks_result answer = ks_x509_verify(ks_buffer_bytes(&der), ca, AT_S, KS_X509_CLIENT, NULL);
        assert_true(answer.code == KS_VALIDATION || answer.code == KS_UNAUTHENTICATED);
        der.ptr[i / 8] ^= (uint8_t)(1U << (i % 8));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_a_certificate_says),
        cmocka_unit_test(reads_a_ca_and_a_leaf_without_uri),
        cmocka_unit_test(der_reads_as_pem_does),
        cmocka_unit_test(refuses_names_and_keys_that_are_not_ours),
        cmocka_unit_test(every_cut_and_every_byte_behind_is_refused),
        cmocka_unit_test(a_certificate_has_a_size_limit),
        cmocka_unit_test(a_leaf_verifies_under_its_ca),
        cmocka_unit_test(a_leaf_is_valid_from_its_first_second_and_not_at_its_end),
        cmocka_unit_test(refuses_every_other_chain),
        cmocka_unit_test(a_chain_with_something_malformed_says_so),
        cmocka_unit_test(no_flipped_bit_verifies),
    };
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0}))) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
