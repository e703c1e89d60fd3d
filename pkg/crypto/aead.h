/*
 * aead: AES-256-GCM (NIST SP 800-38D, RFC 5116 §5.2) with a 12-byte IV that the caller gives.
 *
 * Form: ciphertext, as long as the plaintext ‖ tag 16 bytes.
 *
 * A caller must never use an IV twice with the same key, since that gives away the authentication
 * key. Callers derive a key for each message, or count.
 *
 * Threads: with a struct ks_crypto of the caller's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/secret.h"
#include "pkg/crypto/crypto.h"

#define KS_AEAD_KEY_LEN 32U
#define KS_AEAD_IV_LEN  12U
#define KS_AEAD_TAG_LEN 16U
#define KS_AEAD_LEN_MAX (64U * 1024 * 1024) /* bytes of plaintext or AAD in one message */

/* What a message is sealed under. All borrowed for the call. */
struct ks_aead_box {
    const ks_secret *key; /* KS_AEAD_KEY_LEN bytes */
    const uint8_t *iv;    /* KS_AEAD_IV_LEN bytes; NULL: all zero, if key seals one message */
    ks_bytes aad;         /* authenticated, not stored; may be empty */
};

/*
 * Seals plaintext.
 *
 * ret_sealed  plaintext.len + KS_AEAD_TAG_LEN bytes, the caller's; may be where plaintext stands.
 *             Unspecified after a failure, so that plaintext is then lost if it stood there.
 *
 * Fails: VALIDATION (wrong key length, plaintext or AAD over KS_AEAD_LEN_MAX), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_aead_seal(struct ks_crypto *crypto, const struct ks_aead_box *box,
                                   ks_bytes plaintext, uint8_t *ret_sealed);

/*
 * Opens what ks_aead_seal made.
 *
 * ret_plaintext  sealed.len - KS_AEAD_TAG_LEN bytes, the caller's to wipe; may be where sealed
 *                stands. Zero after a failure; untouched when sealed is shorter than a tag.
 *
 * Fails: VALIDATION (wrong key length), INVALID_CIPHERTEXT (anything wrong with sealed, IV or AAD:
 * the answer never tells which), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_aead_open(struct ks_crypto *crypto, const struct ks_aead_box *box,
                                   ks_bytes sealed, uint8_t *ret_plaintext);

#define KS_AEAD_PREFIX_LEN 7U

/*
 * Writes the IV of one segment of a stream, after the STREAM construction (Hoang, Reyhanitabar,
 * Rogaway, Vizár 2015): prefix 7 bytes ‖ index 4 bytes big endian ‖ 1 for the last segment, else 0.
 * With such IVs, a segment that was swapped or dropped and a stream that was cut short do not open.
 * It cannot fail.
 *
 * prefix  KS_AEAD_PREFIX_LEN bytes; NULL: all zero, for a key that seals one stream.
 */
void ks_aead_segment_iv(const uint8_t *prefix, uint32_t index, bool last,
                        uint8_t ret_iv[static KS_AEAD_IV_LEN]);
