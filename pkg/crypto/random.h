/*
 * random: the only code that draws random bytes. Both generators are OpenSSL's CTR_DRBG with AES-256
 * (NIST SP 800-90A). Each thread has instances of its own, which the kernel seeds.
 *
 * Lengths are the program's own and never a client's: one that is out of bounds ends the program.
 *
 * Threads: any thread, but ks_random_nonce only that of its struct ks_crypto.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/result.h"
#include "pkg/base/secret.h"
#include "pkg/crypto/crypto.h"

#define KS_RANDOM_MAX       4096U /* bytes a call */
#define KS_RANDOM_NONCE_MAX 64U   /* the same */

/*
 * Draws a secret of len bytes, 1 to KS_SECRET_MAX, from the generator for keys, which shares no state
 * with the one for public values.
 *
 * ret_secret  the caller's to wipe. Written on success only.
 *
 * Fails: INTERNAL (no randomness).
 */
KS_MUST_USE ks_result ks_random_secret(size_t len, ks_secret *ret_secret);

/*
 * Draws up to KS_RANDOM_MAX bytes from the generator for keys, for what does not fit a ks_secret.
 * Fails: INTERNAL (no randomness); ret_bytes is then unspecified.
 */
KS_MUST_USE ks_result ks_random_private(uint8_t *ret_bytes, size_t len);

/*
 * Draws up to KS_RANDOM_MAX bytes that others may see: identifiers, challenges.
 * Fails: INTERNAL (no randomness); ret_bytes is then unspecified.
 */
KS_MUST_USE ks_result ks_random_public(uint8_t *ret_bytes, size_t len);

/*
 * Takes up to KS_RANDOM_NONCE_MAX bytes that others may see from a block that crypto draws ahead,
 * because a draw costs 0.6 us, more than to seal 256 bytes. Each byte is handed out once, and a
 * child process draws its own block.
 *
 * Fails: INTERNAL (no randomness); ret_bytes is then untouched.
 */
KS_MUST_USE ks_result ks_random_nonce(struct ks_crypto *crypto, uint8_t *ret_bytes, size_t len);
