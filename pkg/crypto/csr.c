#include "pkg/crypto/csr.h"

#include <assert.h>

#include "pkg/crypto/certificate.h"
#include "pkg/crypto/keys.h"
#include "pkg/crypto/pem.h"

static void extensions_free_at(STACK_OF(X509_EXTENSION) * *extensions)
{
    sk_X509_EXTENSION_pop_free(*extensions, X509_EXTENSION_free);
}

static ks_result add_names(X509_REQ *request, const struct ks_x509_names *names)
{
    KS_OPENSSL_AUTO(GENERAL_NAMES) *built = NULL;
    KS_TRY(ks_names_build(names, &built));
    if (!built) {
        return KS_RES(OK);
    }
    KS_CLEANUP(extensions_free_at) STACK_OF(X509_EXTENSION) *extensions = NULL;
    KS_TRY(ks_openssl_check(
        X509V3_add1_i2d(&extensions, NID_subject_alt_name, built, 0, X509V3_ADD_APPEND)));
    return ks_openssl_check(X509_REQ_add_extensions(request, extensions));
}

ks_result ks_csr_make(const struct ks_ec_key *key, const struct ks_x509_subject *subject,
                      const struct ks_x509_names *names, struct ks_buffer *out)
{
    assert(key && subject && names && out);
    assert(ks_ec_has_private(key));

    KS_OPENSSL_AUTO(X509_REQ) *request = X509_REQ_new();
    if (!request || X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 ||
        X509_REQ_set_pubkey(request, ks_ec_pkey(key)) != 1) {
        return ks_openssl_fail(KS_INTERNAL);
    }
    KS_TRY(ks_names_set_subject(subject, X509_REQ_get_subject_name(request)));
    KS_TRY(add_names(request, names));
    if (X509_REQ_sign(request, ks_ec_pkey(key), ks_ec_digest(key)) <= 0) {
        return ks_openssl_fail(KS_INTERNAL);
    }
    KS_BUFFER_AUTO der = {.len_max = KS_X509_DER_MAX};
    unsigned char *bytes = NULL;
    int len = i2d_X509_REQ(request, &bytes);
    KS_TRY(ks_openssl_take(bytes, len, &der));
    return ks_pem_encode(KS_PEM_CSR, ks_buffer_bytes(&der), out);
}

static ks_result decode(ks_bytes pem_or_der, X509_REQ **ret_request)
{
    KS_BUFFER_AUTO der = {.len_max = KS_PEM_LEN_MAX};
    KS_TRY(ks_certificate_der(pem_or_der, KS_PEM_CSR, &der));
    if (der.len > KS_X509_DER_MAX) {
        return KS_RES(VALIDATION);
    }
    const unsigned char *at = der.ptr;
    KS_OPENSSL_AUTO(X509_REQ) *request = d2i_X509_REQ(NULL, &at, (long)der.len);
    if (!request || at != der.ptr + der.len) {
        return ks_openssl_fail(KS_VALIDATION);
    }
    *ret_request = request;
    request = NULL;
    return KS_RES(OK);
}

/* SHA-1 no longer proves who signed. */
static bool signature_allowed(const X509_REQ *request)
{
    int nid = X509_REQ_get_signature_nid(request);
    return nid == NID_ecdsa_with_SHA256 || nid == NID_ecdsa_with_SHA384 ||
           nid == NID_ecdsa_with_SHA512;
}

ks_result ks_csr_read(ks_bytes pem_or_der, struct ks_buffer *ret_spki)
{
    assert(ret_spki);

    KS_OPENSSL_AUTO(X509_REQ) *request = NULL;
    KS_TRY(decode(pem_or_der, &request));
    KS_BUFFER_AUTO spki = {.len_max = KS_EC_PUBLIC_DER_MAX};
    unsigned char *der = NULL;
    int len = i2d_X509_PUBKEY(X509_REQ_get_X509_PUBKEY(request), &der);
    if (ks_failed(ks_openssl_take(der, len, &spki))) {
        return KS_RES(VALIDATION);
    }
    KS_EC_AUTO *key = NULL;
    KS_TRY(ks_ec_read_public(ks_buffer_bytes(&spki), &key));
    if (!signature_allowed(request) || X509_REQ_verify(request, ks_ec_pkey(key)) != 1) {
        return ks_openssl_fail(KS_VALIDATION);
    }
    return ks_buffer_append(ret_spki, ks_buffer_bytes(&spki));
}
