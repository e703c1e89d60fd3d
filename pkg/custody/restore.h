/*
 * restore: how the backup key reaches the hsm that takes its domain keys over
 * (proto/formats/key-block-v1.md). The hsm issues a challenge for one backup (pkg/transit, purpose
 * restore). The last custodian seals the backup key to it, and an operator with the hsm root's key
 * signs that this block goes into this hsm. Without the order, whoever can talk to an hsm could give
 * it domain keys that he has made himself.
 *
 * Threads: pure over the arguments; any thread. A struct ks_ec_key and ks_crypto are used by one
 * thread at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/secret.h"
#include "pkg/custody/block.h"
#include "pkg/transit/challenge.h"

#define KS_HANDED_KEY_LEN                                                                          \
    (1U + KS_TRANSIT_NONCE_LEN + KS_CUSTODY_PUBLIC_LEN + KS_BACKUP_KEY_LEN + KS_CUSTODY_TAG_LEN)
#define KS_RESTORE_ORDER_MAX (1U + 2U * KS_TRANSIT_HASH_LEN + 2U + 104U)

/*
 * Appends the backup key, sealed to the hsm that has issued a challenge which the caller has
 * verified.
 *
 * challenge  the whole of it.
 * ephemeral  a P-384 key pair made for this only.
 * key        K, KS_BACKUP_KEY_LEN bytes.
 * out        after a failure it may hold a part of it.
 *
 * Fails: VALIDATION (a malformed challenge, another purpose), LIMIT_EXCEEDED (the buffer's cap),
 * INTERNAL.
 */
KS_MUST_USE ks_result ks_handed_key_seal(struct ks_crypto *crypto, ks_bytes challenge,
                                         const struct ks_ec_key *ephemeral, const ks_secret *key,
                                         struct ks_buffer *out);

/*
 * Reads which challenge a handed key answers.
 * ret_nonce  KS_TRANSIT_NONCE_LEN bytes, borrowed from bytes. Written on success only.
 * Fails: INVALID_CIPHERTEXT (malformed).
 */
KS_MUST_USE ks_result ks_handed_key_nonce(ks_bytes bytes, const uint8_t **ret_nonce);

/*
 * Opens a handed key, at the hsm that issued the challenge.
 *
 * challenge_hash  KS_TRANSIT_HASH_LEN bytes.
 * transit_key     the pair whose public part stood in the challenge.
 * ret_key         K, the caller's to wipe. Written on success only.
 *
 * Fails: INVALID_CIPHERTEXT (anything wrong), INTERNAL.
 */
KS_MUST_USE ks_result ks_handed_key_open(struct ks_crypto *crypto, ks_bytes bytes,
                                         const uint8_t *challenge_hash,
                                         const struct ks_ec_key *transit_key, ks_secret *ret_key);

/*
 * Appends a signed order: the hsm that issued the challenge may take the block over.
 *
 * challenge, block  the whole of each; the caller has verified both.
 * root              the hsm root's key pair, P-384.
 * out               after a failure it may hold a part of it.
 *
 * Fails: LIMIT_EXCEEDED (the buffer's cap), INTERNAL.
 */
KS_MUST_USE ks_result ks_restore_order_sign(struct ks_crypto *crypto, ks_bytes challenge,
                                            ks_bytes block, const struct ks_ec_key *root,
                                            struct ks_buffer *out);

/*
 * Checks that an order is for this challenge and this block, and signed by the root.
 * challenge_hash  KS_TRANSIT_HASH_LEN bytes.
 * Fails: ACCESS_DENIED (anything wrong), INTERNAL.
 */
KS_MUST_USE ks_result ks_restore_order_check(struct ks_crypto *crypto, ks_bytes order,
                                             const uint8_t *challenge_hash, ks_bytes block,
                                             const struct ks_ec_key *root);
