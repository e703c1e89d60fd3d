/*
 * envelope: a secret on its way from one hsm to another (proto/formats/transit-v1.md): the answer
 * to one challenge, sealed to the receiver's transit key and signed by the sender.
 *
 * Threads: pure over the arguments; any thread. A struct ks_ec_key and ks_crypto are used by one
 * thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/transit/challenge.h"

#define KS_ENVELOPE_SECRET_MAX 4096U /* at least 1 */
#define KS_ENVELOPE_TAG_LEN    16U
#define KS_ENVELOPE_LEN_MAX                                                                        \
    (2U + KS_TRANSIT_NONCE_LEN + 2U + KS_PEER_CERTIFICATE_MAX + 2U + KS_TRANSIT_KEY_MAX + 2U +     \
     KS_ENVELOPE_SECRET_MAX + KS_ENVELOPE_TAG_LEN + 2U + KS_TRANSIT_SIGNATURE_MAX)

struct ks_crypto;
struct ks_ec_key;

/* The hsm that seals. All borrowed. */
struct ks_envelope_sender {
    ks_bytes certificate;              /* DER */
    const struct ks_ec_key *identity;  /* the certificate's key pair, P-384 */
    const struct ks_ec_key *ephemeral; /* a P-384 key pair made for this envelope only */
};

/*
 * Appends the envelope that answers a challenge which the caller has verified.
 *
 * challenge  the whole of it.
 * secret     1 to KS_ENVELOPE_SECRET_MAX bytes.
 * out        empty. After a failure it may hold a part of the envelope.
 *
 * Fails: VALIDATION (a length out of its bounds, a malformed challenge or transit key),
 * LIMIT_EXCEEDED (the buffer's cap), INTERNAL.
 */
KS_MUST_USE ks_result ks_envelope_seal(struct ks_crypto *crypto, ks_bytes challenge,
                                       const struct ks_envelope_sender *sender, ks_bytes secret,
                                       struct ks_buffer *out);

/* An envelope taken apart; borrowed from it. */
struct ks_envelope {
    enum ks_transit_purpose purpose;
    const uint8_t *nonce; /* KS_TRANSIT_NONCE_LEN bytes, of the challenge */
    ks_bytes certificate; /* the sender's, DER */
    ks_bytes ephemeral;   /* SubjectPublicKeyInfo DER */
    ks_bytes head;
    ks_bytes sealed; /* ciphertext and tag */
    ks_bytes signature;
    ks_bytes body; /* head and sealed with its length: what is signed behind the challenge's hash */
};

/*
 * Takes an envelope apart, and proves nothing.
 *
 * ret_envelope  written on success only.
 *
 * Fails: INVALID_CIPHERTEXT (malformed).
 */
KS_MUST_USE ks_result ks_envelope_read(ks_bytes bytes, struct ks_envelope *ret_envelope);

/* The receiver's side of a challenge it has issued. All borrowed. */
struct ks_envelope_receiver {
    const uint8_t *challenge_hash; /* KS_TRANSIT_HASH_LEN bytes */
    enum ks_transit_purpose purpose;
    const struct ks_ec_key *transit_key; /* the pair whose public part stood in the challenge */
};

/*
 * Verifies that an hsm of the pinned root answered exactly this challenge. Rosters are for the
 * caller to check.
 *
 * ret_peer  which hsm it was. Written on success only.
 *
 * Fails: ACCESS_DENIED (the certificate), INVALID_CIPHERTEXT (purpose or signature).
 */
KS_MUST_USE ks_result ks_envelope_verify(const struct ks_envelope *envelope,
                                         const struct ks_envelope_receiver *receiver,
                                         const struct ks_peer_trust *trust,
                                         struct ks_peer *ret_peer);

/*
 * Opens an envelope that was verified.
 *
 * ret_secret  envelope->sealed.len - KS_ENVELOPE_TAG_LEN bytes, the caller's to wipe; zero after a
 *             failure.
 *
 * Fails: INVALID_CIPHERTEXT (anything wrong), INTERNAL.
 */
KS_MUST_USE ks_result ks_envelope_open(struct ks_crypto *crypto, const struct ks_envelope *envelope,
                                       const struct ks_envelope_receiver *receiver,
                                       uint8_t *ret_secret);
