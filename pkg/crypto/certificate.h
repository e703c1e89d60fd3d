/* certificate: what x509.c, issue.c, names.c and csr.c share. Included by this folder only. */
#pragma once

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "pkg/crypto/openssl.h"
#include "pkg/crypto/x509.h"

/*
 * Appends the DER that pem_or_der holds; pem_label names the block. After a failure out may hold a
 * part of it.
 * Fails: VALIDATION (malformed, empty, over KS_X509_DER_MAX).
 */
KS_MUST_USE ks_result ks_certificate_der(ks_bytes pem_or_der, const char *pem_label,
                                         struct ks_buffer *out);

/*
 * Decodes a certificate.
 *
 * ret_certificate  the caller's, who frees it with X509_free. Written on success only.
 *
 * Fails: VALIDATION (malformed, too long, bytes behind it).
 */
KS_MUST_USE ks_result ks_certificate_decode(ks_bytes pem_or_der, X509 **ret_certificate);

/* Writes the subject into name. Fails: VALIDATION (a part too long, empty or malformed). */
KS_MUST_USE ks_result ks_names_set_subject(const struct ks_x509_subject *subject, X509_NAME *name);

/* Returns whether the subject has neither a common name nor an organization. */
bool ks_names_subject_empty(const struct ks_x509_subject *subject);

/*
 * Turns the names into OpenSSL's form.
 *
 * ret_names  the caller's; NULL if there are none. Written on success only.
 *
 * Fails: VALIDATION (too many, one too long, empty or malformed).
 */
KS_MUST_USE ks_result ks_names_build(const struct ks_x509_names *names, GENERAL_NAMES **ret_names);

/*
 * Reads the one URI name of a certificate.
 *
 * ret_uri  KS_X509_URI_MAX + 1 bytes: the name with a NUL, "" if there is none. Unspecified after a
 *          failure.
 *
 * Fails: VALIDATION (more than one, too long, a byte that no URI has).
 */
KS_MUST_USE ks_result ks_names_read_uri(const X509 *certificate, char *ret_uri);

KS_OPENSSL_FREE_AT(GENERAL_NAMES)
KS_OPENSSL_FREE_AT(GENERAL_NAME)
KS_OPENSSL_FREE_AT(ASN1_TIME)
