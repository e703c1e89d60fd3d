/*
 * random: the only place that draws random bytes. Both generators are OpenSSL's CTR_DRBG with
 * AES-256 (NIST SP 800-90A), one instance a thread, seeded by the kernel.
 *
 * Threads: any; see ks_random_nonce.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/result.h"
#include "pkg/base/secret.h"
#include "pkg/crypto/crypto.h"

#define KS_RANDOM_MAX       4096U /* bytes a call */
#define KS_RANDOM_NONCE_MAX 64U

/*
 * Fills secret with len bytes, 1 to KS_SECRET_MAX, from the generator for keys, which shares no
 * state with the one for public values. Fails: INTERNAL (no randomness).
 */
KS_MUST_USE ks_result ks_random_secret(size_t len, ks_secret *ret_secret);

/* The same for up to KS_RANDOM_MAX bytes that don't fit a ks_secret. Fails: INTERNAL. */
KS_MUST_USE ks_result ks_random_private(uint8_t *ret_bytes, size_t len);

/* Bytes that others may see: identifiers, challenges. Up to KS_RANDOM_MAX. Fails: INTERNAL. */
KS_MUST_USE ks_result ks_random_public(uint8_t *ret_bytes, size_t len);

/*
 * Up to KS_RANDOM_NONCE_MAX bytes that others may see, from a block that crypto draws ahead: a
 * draw costs 0.6 us, more than sealing 256 bytes. Each byte is given out once, and never again in
 * a child after fork. Fails: INTERNAL.
 */
KS_MUST_USE ks_result ks_random_nonce(struct ks_crypto *crypto, uint8_t *ret_bytes, size_t len);
