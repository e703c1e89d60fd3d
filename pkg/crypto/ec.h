/*
 * ec: keys on the curves P-256 and P-384 (FIPS 186-4), ECDSA and ECDH.
 *
 * Only uncompressed points and named curves are read, so that one key has one encoding. A key that
 * was read is a point of its curve (SP 800-56A §5.6.2.3).
 *
 * Outputs are written on success only, but for ks_ec_sign.
 *
 * Threads: a key may be used by one thread at a time; nothing else is shared.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/secret.h"

#define KS_EC_PUBLIC_DER_MAX  120U /* a P-384 SubjectPublicKeyInfo; P-256: 91 */
#define KS_EC_PRIVATE_DER_MAX 256U /* a P-384 PKCS#8 with its public key is 185 */
#define KS_EC_PRIVATE_PEM_MAX 512U
#define KS_EC_SIGNATURE_MAX   104U /* DER: 2 + 2 * (2 + 49) for P-384 */
#define KS_EC_SHARED_MAX      48U

enum ks_ec_curve { KS_EC_P256 = 1, KS_EC_P384 };

struct ks_ec_key;

/* Makes a new key pair, the caller's. Fails: INTERNAL (no randomness, OpenSSL). */
KS_MUST_USE ks_result ks_ec_generate(enum ks_ec_curve curve, struct ks_ec_key **ret_key);

/* Wipes and frees. NULL is allowed. */
void ks_ec_free(struct ks_ec_key *key);

/* Returns the curve of the key; and whether it has a private part. */
enum ks_ec_curve ks_ec_curve_of(const struct ks_ec_key *key);
bool ks_ec_has_private(const struct ks_ec_key *key);

/*
 * Reads a key pair, the caller's, from PKCS#8 (RFC 5208), DER or PEM ("PRIVATE KEY"), not encrypted.
 * Fails: VALIDATION (malformed, another algorithm or curve, private and public part differ,
 * bytes behind it), INTERNAL.
 */
KS_MUST_USE ks_result ks_ec_read_private(ks_bytes der_or_pem, struct ks_ec_key **ret_key);

/*
 * Each appends PKCS#8. key must have a private part. After a failure out may hold a part of it;
 * buffers wipe what they free.
 * Fails: LIMIT_EXCEEDED (the buffer's cap), INTERNAL.
 */
KS_MUST_USE ks_result ks_ec_write_private_der(const struct ks_ec_key *key, struct ks_buffer *out);
KS_MUST_USE ks_result ks_ec_write_private_pem(const struct ks_ec_key *key, struct ks_buffer *out);

/*
 * Reads a public key, the caller's, from a SubjectPublicKeyInfo (RFC 5480), DER.
 * Fails: VALIDATION (malformed, another algorithm, curve or form, not on the curve, bytes behind).
 */
KS_MUST_USE ks_result ks_ec_read_public(ks_bytes spki, struct ks_ec_key **ret_key);

/* Appends the SubjectPublicKeyInfo, DER. Fails: LIMIT_EXCEEDED (the buffer's cap), INTERNAL. */
KS_MUST_USE ks_result ks_ec_write_public_der(const struct ks_ec_key *key, struct ks_buffer *out);

/*
 * Signs message by ECDSA, with SHA-256 on P-256 and SHA-384 on P-384. key must have a private part.
 *
 * ret_signature  at least KS_EC_SIGNATURE_MAX bytes, the caller's: DER. Unspecified after a failure.
 * ret_len        written on success only.
 *
 * Fails: INTERNAL (no randomness, OpenSSL).
 */
KS_MUST_USE ks_result ks_ec_sign(const struct ks_ec_key *key, ks_bytes message,
                                 uint8_t *ret_signature, size_t *ret_len);

/* Verifies a signature. Fails: UNAUTHENTICATED (it is not this key's signature of message). */
KS_MUST_USE ks_result ks_ec_verify(const struct ks_ec_key *key, ks_bytes message,
                                   ks_bytes signature);

/*
 * ECDH: computes the x coordinate, 32 or 48 bytes. It is not uniform: derive keys from it with
 * ks_kdf_hkdf. key must have a private part.
 *
 * ret_shared  the caller's to wipe. Written on success only.
 *
 * Fails: VALIDATION (peer is on another curve), INTERNAL.
 */
KS_MUST_USE ks_result ks_ec_agree(const struct ks_ec_key *key, const struct ks_ec_key *peer,
                                  ks_secret *ret_shared);

/* Cleanup for `KS_EC_AUTO *key`. */
void ks_ec_free_at(struct ks_ec_key **key);
#define KS_EC_AUTO KS_CLEANUP(ks_ec_free_at) struct ks_ec_key
