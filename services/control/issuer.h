/*
 * issuer: signs client certificates with the client root. A certificate names a user of an account
 * in its SPIFFE URI, and nothing else: spiffe://<trust domain>/account/<12 digits>/user/<name>.
 *
 * Threads: one, the admin listener's loop.
 */
#pragma once

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/crypto/x509.h"

struct ks_issuer;

/*
 * Reads the root's certificate and key.
 * ret_issuer  the caller's; free with ks_issuer_free. Untouched after a failure.
 * Fails: NOT_FOUND (a file can't be read), VALIDATION (malformed, they do not fit together, the
 * certificate is no CA's, or others than its owner may read the key's file), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_issuer_new(const char *ca_file, const char *key_file,
                                    struct ks_issuer **ret_issuer);

/* Wipes the key and frees the issuer. NULL is fine. */
void ks_issuer_free(struct ks_issuer *issuer);

/* Returns the root's certificate, PEM, borrowed as long as the issuer. */
ks_bytes ks_issuer_ca(const struct ks_issuer *issuer);

/* Returns when the root expires, in seconds since 1970: no certificate may outlive it. */
int64_t ks_issuer_not_after_s(const struct ks_issuer *issuer);

/* What a certificate is to be like. All borrowed. */
struct ks_issue_spec {
    ks_bytes csr; /* PEM or DER */
    const char *spiffe_uri;
    int64_t not_before_s;
    int64_t not_after_s; /* at most the root's */
};

/*
 * Appends the PEM of a client certificate for the public key of spec->csr.
 * out             after a failure it may hold a part of the certificate.
 * ret_serial_hex  KS_X509_SERIAL_HEX + 1 bytes; written on success only.
 * Fails: VALIDATION (not a request, not signed by its own key, of another kind of key, or the times
 * are out of order or past the root's), LIMIT_EXCEEDED (the buffer's cap), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_issuer_issue(const struct ks_issuer *issuer,
                                      const struct ks_issue_spec *spec, struct ks_buffer *out,
                                      char *ret_serial_hex);

/*
 * Appends the PEM of a certificate that names uri and opens no connection: it has no key usage of a
 * client or server. The key is spki's (SubjectPublicKeyInfo, DER).
 * out  after a failure it may hold a part of the certificate.
 * Fails: VALIDATION (the times are out of order or past the root's), LIMIT_EXCEEDED (the buffer's
 * cap), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_issuer_certify(const struct ks_issuer *issuer, ks_bytes spki,
                                        const char *uri, int64_t not_before_s, int64_t not_after_s,
                                        struct ks_buffer *out);
