/*
 * aead: AES-256-GCM (NIST SP 800-38D, RFC 5116 §5.2) with a 12-byte IV that the caller gives.
 *
 * Form: ciphertext, as long as the plaintext ‖ tag 16 bytes.
 * One key must never meet one IV twice: it gives away the authentication key. Callers derive a
 * key for each message, or count.
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
 * Writes plaintext.len + KS_AEAD_TAG_LEN bytes to ret_sealed, which may be where plaintext stands.
 * Fails: VALIDATION (wrong key length, plaintext or AAD over KS_AEAD_LEN_MAX), INTERNAL.
 */
KS_MUST_USE ks_result ks_aead_seal(struct ks_crypto *crypto, const struct ks_aead_box *box,
                                   ks_bytes plaintext, uint8_t *ret_sealed);

/*
 * Writes sealed.len - KS_AEAD_TAG_LEN bytes to ret_plaintext, which may be where sealed stands;
 * on failure that many bytes there are zero (none, if sealed is shorter than a tag).
 * Fails: VALIDATION (wrong key length), INVALID_CIPHERTEXT (anything wrong with sealed, IV or AAD:
 * the answer never tells which), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_aead_open(struct ks_crypto *crypto, const struct ks_aead_box *box,
                                   ks_bytes sealed, uint8_t *ret_plaintext);

/*
 * The IV of one segment of a stream, after the STREAM construction (Hoang, Reyhanitabar, Rogaway,
 * Vizár 2015): prefix 7 bytes ‖ index 4 bytes big endian ‖ 1 for the last segment, else 0. Segments
 * can be neither swapped nor dropped, nor can a stream be cut short. prefix NULL: all zero, for a
 * key that seals one stream.
 */
#define KS_AEAD_PREFIX_LEN 7U
void ks_aead_segment_iv(const uint8_t *prefix, uint32_t index, bool last,
                        uint8_t ret_iv[static KS_AEAD_IV_LEN]);
