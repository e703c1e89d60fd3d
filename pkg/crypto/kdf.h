/*
 * kdf: keys from keys.
 *
 * ks_kdf_counter is the KDF in counter mode of NIST SP 800-108r1 §4.1 with HMAC-SHA-256:
 *   K(i) = HMAC(key, [i]_32 ‖ label ‖ 0x00 ‖ context ‖ [L]_32), i from 1, L in bits, big endian.
 * Each use has a label of its own, and no label holds a NUL, so that no two uses have the same input.
 *
 * ks_kdf_hkdf is HKDF-SHA-384 (RFC 5869), for the shared secrets of ECDH, which are not uniform.
 *
 * Threads: as the struct ks_mac; ks_kdf_hkdf any.
 */
#pragma once

#include <stddef.h>

#include "pkg/base/bytes.h"
#include "pkg/base/secret.h"
#include "pkg/crypto/mac.h"

/*
 * Derives len bytes, 1 to KS_SECRET_MAX, from mac's key. label is not empty.
 * ret_derived is the caller's to wipe; written on success only.
 * Fails: INVALID_STATE (mac has no key), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_kdf_counter(struct ks_mac *mac, ks_bytes label, ks_bytes context,
                                     size_t len, ks_secret *ret_derived);

/*
 * Extracts and expands len bytes, 1 to KS_SECRET_MAX. salt may be empty.
 * ret_derived is the caller's to wipe; written on success only.
 * Fails: VALIDATION (empty secret), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_kdf_hkdf(const ks_secret *secret, ks_bytes salt, ks_bytes info, size_t len,
                                  ks_secret *ret_derived);
