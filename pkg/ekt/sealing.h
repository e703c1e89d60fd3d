/*
 * sealing: what EKTs and wrapped domain keys have in common, version ‖ generation ‖ salt ‖ sealed:
 * a key derived for one message from a longer-lived one, then AES-256-GCM.
 *
 * Threads: pure over the arguments; the struct ks_crypto and ks_mac are the calling thread's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/secret.h"

#define KS_SEALING_VERSION  1U
#define KS_SEALING_SALT_LEN 32U
#define KS_SEALING_HEAD_LEN (1U + 4U + KS_SEALING_SALT_LEN)
#define KS_SEALING_TAG_LEN  16U
#define KS_SEALING_AAD_MAX  256U /* bytes of what is authenticated and not stored */

struct ks_crypto;
struct ks_mac;

struct ks_sealing {
    struct ks_crypto *crypto;
    struct ks_mac *key;  /* the longer-lived one */
    ks_bytes label;      /* of labels.md */
    ks_bytes derivation; /* follows the salt in the derivation's context; at most 32 bytes */
    ks_bytes aad;        /* follows the head; with it at most KS_SEALING_AAD_MAX bytes */
};

/* A sealed form taken apart; borrowed from it. */
struct ks_sealed {
    uint32_t generation;
    ks_bytes head;
    ks_bytes salt;
    ks_bytes body;
};

/*
 * Takes a sealed form apart. Proves nothing.
 *
 * ret_sealed  written on success only.
 *
 * Fails: INVALID_CIPHERTEXT (too short or long, another version, no such generation).
 */
KS_MUST_USE ks_result ks_sealed_parse(ks_bytes bytes, struct ks_sealed *ret_sealed);

/*
 * Seals a secret.
 *
 * generation  of the longer-lived key; a valid one (pkg/ekt/generation.h).
 * salt        KS_SEALING_SALT_LEN random bytes, drawn for this secret only.
 * secret      1 to KS_SECRET_MAX bytes.
 * ret_sealed  KS_SEALING_HEAD_LEN + secret->len + KS_SEALING_TAG_LEN bytes, the caller's.
 *             Unspecified after a failure.
 *
 * Fails: INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_sealing_seal(const struct ks_sealing *sealing, uint32_t generation,
                                      const uint8_t *salt, const ks_secret *secret,
                                      uint8_t *ret_sealed);

/*
 * Opens what ks_sealing_seal made.
 *
 * ret_secret  the caller's to wipe. Written on success only.
 *
 * Fails: INVALID_CIPHERTEXT (anything wrong with sealed, key or AAD), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_sealing_open(const struct ks_sealing *sealing,
                                      const struct ks_sealed *sealed, ks_secret *ret_secret);
