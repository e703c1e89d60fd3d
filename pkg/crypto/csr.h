/*
 * csr: certificate requests (PKCS#10, RFC 2986). A request proves that its writer holds the private
 * key. Nothing else in it is read, because the issuer alone decides what a certificate says.
 *
 * Threads: pure over the arguments; any thread.
 */
#pragma once

#include "pkg/base/bytes.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/x509.h"

/*
 * Appends the PEM of a request for key, signed by it. subject and names may be empty. After a
 * failure out may hold a part of the PEM.
 * Fails: VALIDATION (a name too long or malformed), LIMIT_EXCEEDED (the buffer's cap), INTERNAL.
 */
KS_MUST_USE ks_result ks_csr_make(const struct ks_ec_key *key,
                                  const struct ks_x509_subject *subject,
                                  const struct ks_x509_names *names, struct ks_buffer *out);

/*
 * Verifies a request, PEM or DER, and appends its SubjectPublicKeyInfo, DER.
 *
 * ret_spki  unchanged after a failure.
 *
 * Fails: VALIDATION (malformed, over KS_X509_DER_MAX, bytes behind it, a key that is not EC P-256
 * or P-384, a signature that is not the key's), LIMIT_EXCEEDED (the buffer's cap).
 */
KS_MUST_USE ks_result ks_csr_read(ks_bytes pem_or_der, struct ks_buffer *ret_spki);
