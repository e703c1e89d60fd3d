/*
 * pem: the textual encoding of DER (RFC 7468). It goes through ks_buffer, which wipes its memory, so
 * that a private key in PEM leaves no copy behind.
 *
 * Threads: pure over the arguments; any thread.
 */
#pragma once

#include "pkg/base/bytes.h"

#define KS_PEM_CERTIFICATE "CERTIFICATE"
#define KS_PEM_PRIVATE_KEY "PRIVATE KEY"
#define KS_PEM_CSR         "CERTIFICATE REQUEST"
#define KS_PEM_PUBLIC_KEY  "PUBLIC KEY"

#define KS_PEM_LEN_MAX 32768U /* bytes of text that ks_pem_decode looks at */

/* Appends one block with lines of 64. Fails: LIMIT_EXCEEDED (the buffer's cap; out may hold a part). */
KS_MUST_USE ks_result ks_pem_encode(const char *label, ks_bytes der, struct ks_buffer *out);

/*
 * Appends the DER of the one block with that label; text around it is ignored. After a failure out
 * may hold a part of it.
 * Fails: VALIDATION (no such block, more than one, malformed, text over KS_PEM_LEN_MAX),
 * LIMIT_EXCEEDED (the buffer's cap).
 */
KS_MUST_USE ks_result ks_pem_decode(const char *label, ks_bytes text, struct ks_buffer *out);
