/*
 * challenge: what an hsm issues when it wants to be sent a secret (proto/formats/transit-v1.md). A
 * challenge is signed, is for one purpose, one destination and one request, and is answered once.
 *
 * Threads: pure over the arguments; any thread. A struct ks_ec_key is used by one thread at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/transit/peer.h"

#define KS_TRANSIT_NONCE_LEN       32U
#define KS_TRANSIT_REQUEST_LEN     32U  /* bytes of a request hash */
#define KS_TRANSIT_HASH_LEN        48U  /* SHA-384 of a challenge */
#define KS_TRANSIT_DESTINATION_MAX 512U /* at least 1 */
#define KS_TRANSIT_KEY_MAX         120U /* a P-384 SubjectPublicKeyInfo, DER */
#define KS_TRANSIT_SIGNATURE_MAX   104U
#define KS_CHALLENGE_LEN_MAX                                                                       \
    (2U + KS_TRANSIT_NONCE_LEN + 2U + KS_PEER_CERTIFICATE_MAX + 2U + KS_TRANSIT_KEY_MAX + 2U +     \
     KS_TRANSIT_DESTINATION_MAX + KS_TRANSIT_REQUEST_LEN + 2U + KS_TRANSIT_SIGNATURE_MAX)

struct ks_crypto;
struct ks_ec_key;

enum ks_transit_purpose {
    KS_TRANSIT_DOMAIN_KEY = 1,
    KS_TRANSIT_RE_ENCRYPT = 2,
    KS_TRANSIT_RESTORE = 3
};

/*
 * A challenge's members, borrowed from the bytes that were read or from the caller that makes it.
 */
struct ks_challenge {
    enum ks_transit_purpose purpose;
    const uint8_t *nonce;        /* KS_TRANSIT_NONCE_LEN bytes, random, once */
    ks_bytes certificate;        /* the receiver's, DER */
    ks_bytes transit_key;        /* the receiver's, SubjectPublicKeyInfo DER */
    ks_bytes destination;        /* what the secret is for */
    const uint8_t *request_hash; /* KS_TRANSIT_REQUEST_LEN bytes */
    /* Set by ks_challenge_read only. */
    ks_bytes body; /* what is signed */
    ks_bytes signature;
};

/*
 * Appends a signed challenge. After a failure out may hold a part of it.
 * identity  the key pair of the certificate, P-384.
 * Fails: VALIDATION (a length out of its bounds), LIMIT_EXCEEDED (the buffer's cap), INTERNAL.
 */
KS_MUST_USE ks_result ks_challenge_sign(const struct ks_challenge *challenge,
                                        const struct ks_ec_key *identity, struct ks_buffer *out);

/*
 * Takes a challenge apart, and proves nothing.
 *
 * ret_challenge  written on success only.
 *
 * Fails: VALIDATION (malformed).
 */
KS_MUST_USE ks_result ks_challenge_read(ks_bytes bytes, struct ks_challenge *ret_challenge);

/*
 * Verifies that an hsm of the pinned root issued the challenge. Rosters, purpose and destination
 * are for the caller to check.
 *
 * ret_peer  which hsm it was. Written on success only.
 *
 * Fails: ACCESS_DENIED (anything wrong with certificate or signature).
 */
KS_MUST_USE ks_result ks_challenge_verify(const struct ks_challenge *challenge,
                                          const struct ks_peer_trust *trust,
                                          struct ks_peer *ret_peer);

/*
 * Computes what names a challenge in its envelope: SHA-384 of all its bytes.
 * Fails: INTERNAL (OpenSSL); ret_hash is then unspecified.
 */
KS_MUST_USE ks_result ks_challenge_hash(struct ks_crypto *crypto, ks_bytes bytes,
                                        uint8_t ret_hash[static KS_TRANSIT_HASH_LEN]);

/* The destination and request hash of a generation of a region's domain key. */
struct ks_domain_key_wish {
    uint8_t destination[4];
    uint8_t request_hash[KS_TRANSIT_REQUEST_LEN];
};

/*
 * Makes the wish for a generation of a region's domain key.
 *
 * ret_wish  unspecified after a failure.
 *
 * Fails: VALIDATION (malformed region, no such generation), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_domain_key_wish(struct ks_crypto *crypto, ks_bytes region,
                                         uint32_t generation, struct ks_domain_key_wish *ret_wish);

/*
 * Verifies that the challenge asks for exactly what wish says, as a domain key.
 * Fails: ACCESS_DENIED (it asks for anything else).
 */
KS_MUST_USE ks_result ks_challenge_wants(const struct ks_challenge *challenge,
                                         const struct ks_domain_key_wish *wish);

#define KS_TRANSIT_BACKUP_LEN 32U /* SHA-256 of a backup's header */

/*
 * Computes the request hash of a challenge of purpose restore, whose destination is the backup.
 * backup  KS_TRANSIT_BACKUP_LEN bytes.
 * Fails: VALIDATION (malformed region), INTERNAL (OpenSSL); ret_hash is then unspecified.
 */
KS_MUST_USE ks_result ks_restore_request_hash(struct ks_crypto *crypto, ks_bytes region,
                                              const uint8_t *backup,
                                              uint8_t ret_hash[static KS_TRANSIT_REQUEST_LEN]);

/*
 * Verifies that the challenge asks for exactly this backup of this region, to be restored.
 * Fails: VALIDATION (malformed region), ACCESS_DENIED (it asks for anything else), INTERNAL.
 */
KS_MUST_USE ks_result ks_challenge_wants_backup(struct ks_crypto *crypto,
                                                const struct ks_challenge *challenge,
                                                ks_bytes region, const uint8_t *backup);
