#include "pkg/crypto/x509.h"

#include <assert.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "pkg/crypto/certificate.h"
#include "pkg/crypto/keys.h"
#include "pkg/crypto/pem.h"

#define SERIAL_BYTES_MAX (KS_X509_SERIAL_HEX / 2)

/* 112 bits: what auth level 2 asks of keys and signatures; SHA-1 has less. */
#define AUTH_LEVEL 2

ks_result ks_certificate_der(ks_bytes pem_or_der, const char *pem_label, struct ks_buffer *out)
{
    assert(pem_label && out);

    if (!ks_openssl_is_der(pem_or_der)) {
        return ks_pem_decode(pem_label, pem_or_der, out);
    }
    return pem_or_der.len > KS_X509_DER_MAX ? KS_RES(VALIDATION)
                                            : ks_buffer_append(out, pem_or_der);
}

ks_result ks_certificate_decode(ks_bytes pem_or_der, X509 **ret_certificate)
{
    assert(ret_certificate);

    KS_BUFFER_AUTO der = {.len_max = KS_PEM_LEN_MAX};
    KS_TRY(ks_certificate_der(pem_or_der, KS_PEM_CERTIFICATE, &der));
    if (der.len > KS_X509_DER_MAX) {
        return KS_RES(VALIDATION);
    }
    const unsigned char *at = der.ptr;
    KS_OPENSSL_AUTO(X509) *certificate = d2i_X509(NULL, &at, (long)der.len);
    if (!certificate || at != der.ptr + der.len) {
        return ks_openssl_fail(KS_VALIDATION);
    }
    *ret_certificate = certificate;
    certificate = NULL;
    return KS_RES(OK);
}

/*
 * RFC 5280 §4.2: an extension occurs once. Of two, one reader might take the first and another the
 * second.
 */
static bool extensions_sound(X509 *certificate)
{
    int count = X509_get_ext_count(certificate);
    for (int i = 0; i < count; i++) {
        const ASN1_OBJECT *object = X509_EXTENSION_get_object(X509_get_ext(certificate, i));
        if (X509_get_ext_by_OBJ(certificate, object, i) != -1) {
            return false;
        }
    }
    return (X509_get_extension_flags(certificate) & EXFLAG_INVALID) == 0;
}

/* Unused bits in the signature would give one certificate a second form. */
static bool signature_whole(const X509 *certificate)
{
    const ASN1_BIT_STRING *signature = NULL;
    X509_get0_signature(&signature, NULL, certificate);
    return (signature->flags & (ASN1_STRING_FLAG_BITS_LEFT | 7)) == ASN1_STRING_FLAG_BITS_LEFT;
}

static ks_result read_serial(const X509 *certificate, char *ret_hex)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
    size_t len = (size_t)ASN1_STRING_length(serial);
    if (ASN1_STRING_type(serial) != V_ASN1_INTEGER || len == 0 || len > SERIAL_BYTES_MAX) {
        return KS_RES(VALIDATION);
    }
    const unsigned char *bytes = ASN1_STRING_get0_data(serial);
    for (size_t i = 0; i < len; i++) {
        int printed = snprintf(ret_hex + 2 * i, 3, "%02x", bytes[i]);
        assert(printed == 2);
    }
    return KS_RES(OK);
}

static ks_result read_time(const ASN1_TIME *time, int64_t *ret_s)
{
    struct tm broken = {0};
    if (ASN1_TIME_to_tm(time, &broken) != 1) {
        return ks_openssl_fail(KS_VALIDATION);
    }
    *ret_s = timegm(&broken);
    return KS_RES(OK);
}

static ks_result read_spki(const X509 *certificate, struct ks_x509_info *info)
{
    KS_BUFFER_AUTO spki = {.len_max = KS_EC_PUBLIC_DER_MAX};
    unsigned char *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    if (ks_failed(ks_openssl_take(der, len, &spki))) {
        return KS_RES(VALIDATION);
    }
    /*
     * OpenSSL has decoded the key already. To decode it again would take half the time of reading a
     * certificate.
     */
    if (!ks_ec_is_canonical(ks_buffer_bytes(&spki)) || !X509_get0_pubkey(certificate)) {
        return ks_openssl_fail(KS_VALIDATION);
    }
    memcpy(info->spki, spki.ptr, spki.len);
    info->spki_len = spki.len;
    return KS_RES(OK);
}

static ks_result read_info(X509 *certificate, struct ks_x509_info *ret_info)
{
    struct ks_x509_info info = {0};
    if (X509_get_version(certificate) != X509_VERSION_3 || !extensions_sound(certificate) ||
        !signature_whole(certificate)) {
        return ks_openssl_fail(KS_VALIDATION);
    }
    KS_TRY(read_serial(certificate, info.serial_hex));
    KS_TRY(ks_names_read_uri(certificate, info.uri));
    KS_TRY(read_time(X509_get0_notBefore(certificate), &info.not_before_s));
    KS_TRY(read_time(X509_get0_notAfter(certificate), &info.not_after_s));
    KS_TRY(read_spki(certificate, &info));
    KS_TRY(ks_openssl_check(X509_digest(certificate, ks_fetched.sha256, info.fingerprint, NULL)));
    info.is_ca = X509_check_ca(certificate) != 0;
    *ret_info = info;
    return KS_RES(OK);
}

ks_result ks_x509_read(ks_bytes pem_or_der, struct ks_x509_info *ret_info)
{
    assert(ret_info);

    KS_OPENSSL_AUTO(X509) *certificate = NULL;
    KS_TRY(ks_certificate_decode(pem_or_der, &certificate));
    return read_info(certificate, ret_info);
}

ks_result ks_x509_to_der(ks_bytes pem_or_der, struct ks_buffer *out)
{
    assert(out);

    KS_OPENSSL_AUTO(X509) *certificate = NULL;
    KS_TRY(ks_certificate_decode(pem_or_der, &certificate));
    unsigned char *der = NULL;
    int len = i2d_X509(certificate, &der);
    return ks_openssl_take(der, len, out);
}

/*
 * A certificate without the extension could be used for anything. Here the extension is required.
 */
static bool usage_allowed(X509 *leaf, enum ks_x509_usage usage)
{
    static const uint32_t wanted[] = {
        [KS_X509_ANY] = 0,
        [KS_X509_CLIENT] = XKU_SSL_CLIENT,
        [KS_X509_SERVER] = XKU_SSL_SERVER,
    };
    assert((size_t)usage < KS_COUNT(wanted));

    if (wanted[usage] == 0) {
        return true;
    }
    bool stands = (X509_get_extension_flags(leaf) & EXFLAG_XKUSAGE) != 0;
    return stands && (X509_get_extended_key_usage(leaf) & wanted[usage]) != 0;
}

KS_OPENSSL_FREE_AT(X509_STORE)
KS_OPENSSL_FREE_AT(X509_STORE_CTX)

/* The store trusts only ca, and allows no certificate in between. */
static ks_result verify_chain(X509 *leaf, X509 *ca, int64_t at_s)
{
    KS_OPENSSL_AUTO(X509_STORE) *store = X509_STORE_new();
    KS_OPENSSL_AUTO(X509_STORE_CTX) *ctx = X509_STORE_CTX_new();
    if (!store || !ctx || X509_STORE_add_cert(store, ca) != 1 ||
        X509_STORE_CTX_init(ctx, store, leaf, NULL) != 1) {
        return ks_openssl_fail(KS_INTERNAL);
    }
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_time(param, (time_t)at_s);
    X509_VERIFY_PARAM_set_depth(param, 0);
    X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
    KS_TRY(ks_openssl_check(X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT)));

    bool chained = X509_verify_cert(ctx) == 1 && sk_X509_num(X509_STORE_CTX_get0_chain(ctx)) == 2;
    return chained ? KS_RES(OK) : ks_openssl_fail(KS_UNAUTHENTICATED);
}

ks_result ks_x509_verify(ks_bytes leaf, ks_bytes ca, int64_t at_s, enum ks_x509_usage usage,
                         struct ks_x509_info *ret_info)
{
    KS_OPENSSL_AUTO(X509) *leaf_certificate = NULL;
    KS_OPENSSL_AUTO(X509) *ca_certificate = NULL;
    struct ks_x509_info info = {0};
    struct ks_x509_info ca_info = {0};
    KS_TRY(ks_certificate_decode(leaf, &leaf_certificate));
    KS_TRY(ks_certificate_decode(ca, &ca_certificate));
    KS_TRY(read_info(leaf_certificate, &info));
    KS_TRY(read_info(ca_certificate, &ca_info));

    if (info.is_ca || !ca_info.is_ca || !usage_allowed(leaf_certificate, usage)) {
        return KS_RES(UNAUTHENTICATED);
    }
    KS_TRY(verify_chain(leaf_certificate, ca_certificate, at_s));
    if (ret_info) {
        *ret_info = info;
    }
    return KS_RES(OK);
}
