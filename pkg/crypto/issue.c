#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "pkg/crypto/certificate.h"
#include "pkg/crypto/keys.h"
#include "pkg/crypto/pem.h"
#include "pkg/crypto/random.h"

#define SERIAL_LEN      16U
#define PATH_LEN_MAX    8U
#define NOT_AFTER_S_MAX 253402300799LL /* 9999-12-31T23:59:59Z, RFC 5280 §4.1.2.5 */

/* An extension as OpenSSL's configuration writes it. Texts are ours alone, never a caller's. */
struct extension {
    int nid;
    const char *text; /* NULL: left out */
};

/* RFC 5280 §4.1.2.2: positive and at most 20 bytes. Every one of ours has 32 hex digits. */
static ks_result set_serial(X509 *certificate, char ret_hex[static 2 * SERIAL_LEN + 1])
{
    uint8_t serial[SERIAL_LEN];
    KS_TRY(ks_random_public(serial, sizeof(serial)));
    serial[0] = (uint8_t)((serial[0] & 0x3fU) | 0x40U);
    for (size_t i = 0; i < sizeof(serial); i++) {
        int printed = snprintf(ret_hex + 2 * i, 3, "%02x", serial[i]);
        assert(printed == 2);
    }
    return ks_openssl_check(
        ASN1_STRING_set(X509_get_serialNumber(certificate), serial, sizeof(serial)));
}

static ks_result set_validity(X509 *certificate, int64_t not_before_s, int64_t not_after_s)
{
    if (not_before_s < 0 || not_after_s <= not_before_s || not_after_s > NOT_AFTER_S_MAX) {
        return KS_RES(VALIDATION);
    }
    bool set = ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)not_before_s) &&
               ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)not_after_s);
    return ks_openssl_check(set);
}

static ks_result add_extensions(X509 *certificate, X509 *issuer, const struct extension *rows,
                                size_t row_count)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    for (size_t i = 0; i < row_count; i++) {
        if (!rows[i].text) {
            continue;
        }
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, rows[i].nid, rows[i].text);
        int added = extension ? X509_add_ext(certificate, extension, -1) : 0;
        X509_EXTENSION_free(extension);
        KS_TRY(ks_openssl_check(added));
    }
    return KS_RES(OK);
}

static ks_result sign_and_write(X509 *certificate, const struct ks_ec_key *key,
                                struct ks_buffer *out)
{
    if (X509_sign(certificate, ks_ec_pkey(key), ks_ec_digest(key)) <= 0) {
        return ks_openssl_fail(KS_INTERNAL);
    }
    KS_BUFFER_AUTO der = {.len_max = KS_X509_DER_MAX};
    unsigned char *bytes = NULL;
    int len = i2d_X509(certificate, &bytes);
    KS_TRY(ks_openssl_take(bytes, len, &der));
    return ks_pem_encode(KS_PEM_CERTIFICATE, ks_buffer_bytes(&der), out);
}

/* Makes an X.509 v3 certificate with serial and public key. The caller frees it. */
static ks_result begin(const struct ks_ec_key *subject_key, X509 **ret_certificate,
                       char ret_serial_hex[static 2 * SERIAL_LEN + 1])
{
    KS_OPENSSL_AUTO(X509) *certificate = X509_new();
    if (!certificate || X509_set_version(certificate, X509_VERSION_3) != 1 ||
        X509_set_pubkey(certificate, ks_ec_pkey(subject_key)) != 1) {
        return ks_openssl_fail(KS_INTERNAL);
    }
    KS_TRY(set_serial(certificate, ret_serial_hex));
    *ret_certificate = certificate;
    certificate = NULL;
    return KS_RES(OK);
}

ks_result ks_x509_make_ca(const struct ks_ec_key *key, const struct ks_x509_ca_spec *spec,
                          struct ks_buffer *out)
{
    assert(key && spec && out);
    assert(ks_ec_has_private(key));

    if (ks_names_subject_empty(&spec->subject) || spec->path_len > PATH_LEN_MAX) {
        return KS_RES(VALIDATION);
    }
    KS_OPENSSL_AUTO(X509) *certificate = NULL;
    char serial_hex[2 * SERIAL_LEN + 1];
    KS_TRY(begin(key, &certificate, serial_hex));
    KS_TRY(ks_names_set_subject(&spec->subject, X509_get_subject_name(certificate)));
    KS_TRY(ks_openssl_check(X509_set_issuer_name(certificate, X509_get_subject_name(certificate))));
    KS_TRY(set_validity(certificate, spec->not_before_s, spec->not_after_s));

    char constraints[sizeof("critical,CA:TRUE,pathlen:") + 10];
    int printed =
        snprintf(constraints, sizeof(constraints), "critical,CA:TRUE,pathlen:%u", spec->path_len);
    assert(printed > 0 && (size_t)printed < sizeof(constraints));
    const struct extension rows[] = {
        {NID_basic_constraints, constraints},
        {NID_key_usage, "critical,keyCertSign,cRLSign"},
        {NID_subject_key_identifier, "hash"},
    };
    KS_TRY(add_extensions(certificate, certificate, rows, KS_COUNT(rows)));
    return sign_and_write(certificate, key, out);
}

/*
 * Returns the issuer's certificate, which the caller frees, if it is a CA's, outlives the leaf and
 * is that of issuer->key.
 */
static ks_result read_issuer(const struct ks_x509_issuer *issuer, int64_t not_after_s,
                             X509 **ret_certificate)
{
    struct ks_x509_info info;
    KS_TRY(ks_x509_read(issuer->certificate, &info));
    KS_BUFFER_AUTO spki = {.len_max = KS_EC_PUBLIC_DER_MAX};
    KS_TRY(ks_ec_write_public_der(issuer->key, &spki));
    bool fits = info.is_ca && not_after_s <= info.not_after_s &&
                ks_bytes_equal(ks_buffer_bytes(&spki), (ks_bytes){info.spki, info.spki_len});
    if (!fits) {
        return KS_RES(VALIDATION);
    }
    return ks_certificate_decode(issuer->certificate, ret_certificate);
}

/* RFC 5280 §4.1.2.6: where the subject is empty, the names are critical. */
static ks_result add_names(X509 *certificate, const struct ks_x509_leaf_spec *spec)
{
    bool anonymous = ks_names_subject_empty(&spec->subject);
    KS_OPENSSL_AUTO(GENERAL_NAMES) *names = NULL;
    KS_TRY(ks_names_build(&spec->names, &names));
    if (!names) {
        return anonymous ? KS_RES(VALIDATION) : KS_RES(OK);
    }
    return ks_openssl_check(
        X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, anonymous, X509V3_ADD_APPEND));
}

static ks_result fill_leaf(X509 *certificate, X509 *issuer, const struct ks_x509_leaf_spec *spec)
{
    static const char *const usages[2][2] = {
        {NULL, "serverAuth"},
        {"clientAuth", "clientAuth,serverAuth"},
    };
    const struct extension rows[] = {
        {NID_basic_constraints, "critical,CA:FALSE"},
        {NID_key_usage, "critical,digitalSignature"},
        {NID_ext_key_usage, usages[spec->client][spec->server]},
        {NID_subject_key_identifier, "hash"},
        {NID_authority_key_identifier, "keyid:always"},
    };
    KS_TRY(ks_names_set_subject(&spec->subject, X509_get_subject_name(certificate)));
    KS_TRY(ks_openssl_check(X509_set_issuer_name(certificate, X509_get_subject_name(issuer))));
    KS_TRY(set_validity(certificate, spec->not_before_s, spec->not_after_s));
    KS_TRY(add_extensions(certificate, issuer, rows, KS_COUNT(rows)));
    return add_names(certificate, spec);
}

ks_result ks_x509_issue(const struct ks_x509_issuer *issuer, ks_bytes spki,
                        const struct ks_x509_leaf_spec *spec, struct ks_buffer *out,
                        char *ret_serial_hex)
{
    assert(issuer && issuer->key && spec && out);
    assert(ks_ec_has_private(issuer->key));

    KS_OPENSSL_AUTO(X509) *issuer_certificate = NULL;
    KS_OPENSSL_AUTO(X509) *certificate = NULL;
    KS_EC_AUTO *subject_key = NULL;
    char serial_hex[2 * SERIAL_LEN + 1];
    KS_TRY(read_issuer(issuer, spec->not_after_s, &issuer_certificate));
    KS_TRY(ks_ec_read_public(spki, &subject_key));
    KS_TRY(begin(subject_key, &certificate, serial_hex));
    KS_TRY(fill_leaf(certificate, issuer_certificate, spec));
    KS_TRY(sign_and_write(certificate, issuer->key, out));
    if (ret_serial_hex) {
        memcpy(ret_serial_hex, serial_hex, sizeof(serial_hex));
    }
    return KS_RES(OK);
}
