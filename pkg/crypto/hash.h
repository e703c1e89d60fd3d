/*
 * hash: SHA-256 and SHA-384 (FIPS 180-4) of several parts, which are hashed as if they were one run,
 * and SHAKE128 (FIPS 202). A digest is unspecified after a failure.
 *
 * Threads: with a struct ks_crypto of the caller's thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/crypto/crypto.h"

#define KS_SHA256_LEN 32U
#define KS_SHA384_LEN 48U

/*
 * Each hashes the parts. A digest does not show where one part ends: a caller that hashes fields of
 * varying length must encode the lengths.
 *
 * Fails: INTERNAL (OpenSSL); ret_digest is then unspecified.
 */
KS_MUST_USE ks_result ks_hash_sha256(struct ks_crypto *crypto, const ks_bytes *parts,
                                     size_t part_count, uint8_t ret_digest[static KS_SHA256_LEN]);
KS_MUST_USE ks_result ks_hash_sha384(struct ks_crypto *crypto, const ks_bytes *parts,
                                     size_t part_count, uint8_t ret_digest[static KS_SHA384_LEN]);

/*
 * Hashes one run with SHA-256, for a caller that has no struct ks_crypto and no need for speed.
 * Threads: any thread. Fails: INTERNAL (OpenSSL); ret_digest is then unspecified.
 */
KS_MUST_USE ks_result ks_hash_sha256_once(ks_bytes bytes, uint8_t ret_digest[static KS_SHA256_LEN]);

/*
 * Expands one run to `len` bytes with SHAKE128.
 * ret_bytes  the caller's, len of them.
 * Fails: INTERNAL (OpenSSL); ret_bytes is then unspecified.
 */
KS_MUST_USE ks_result ks_hash_shake128(struct ks_crypto *crypto, ks_bytes bytes, uint8_t *ret_bytes,
                                       size_t len);
