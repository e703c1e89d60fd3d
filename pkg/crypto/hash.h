/*
 * hash: SHA-256 and SHA-384 (FIPS 180-4) over parts, read as if they stood in one run.
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
 * Nothing marks where one part ends: whoever hashes fields of varying length encodes the lengths.
 * Fails: INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_hash_sha256(struct ks_crypto *crypto, const ks_bytes *parts,
                                     size_t part_count, uint8_t ret_digest[static KS_SHA256_LEN]);

KS_MUST_USE ks_result ks_hash_sha384(struct ks_crypto *crypto, const ks_bytes *parts,
                                     size_t part_count, uint8_t ret_digest[static KS_SHA384_LEN]);

/*
 * SHA-256 of one run, for who has no struct ks_crypto at hand and is in no hurry.
 * Threads: any. Fails: INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_hash_sha256_once(ks_bytes bytes, uint8_t ret_digest[static KS_SHA256_LEN]);
