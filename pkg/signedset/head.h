/*
 * head: what control says of the set of its records at a moment, and signs: how many there are,
 * their digest (sum.h), and the epoch and revision up to which they have changed
 * (proto/formats/identity-head-v1.md).
 *
 * A head's number is above that of every head before it. So the highest number that is known is
 * control's newest word, and what was true before can't be replayed to one who has heard it.
 *
 * The key that signs is control's alone; its certificate, which travels with the head, is of the
 * client root, and names KS_HEAD_SIGNER. It must have been valid at the time that the number says:
 * heads stay good for as long as control is silent (design, promise 8).
 *
 * Threads: one at a time for a signer and for a verifier; the rest is pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/crypto/hash.h"
#include "pkg/signedset/sum.h"

#define KS_HEAD_EPOCH_MAX 39U /* bytes */
#define KS_HEAD_LEN_MAX   2048U
#define KS_HEAD_SIGNER    "spiffe://keystead/control/identities"

struct ks_ec_key;

struct ks_head {
    char epoch[KS_HEAD_EPOCH_MAX + 1]; /* of the store that revisions belong to; not empty */
    /*
     * Names control's copy of the store, which has it for as long as nonces prove that the store has not
     * gone back (pkg/store/log/history.h); not empty.
     */
    char history[KS_HEAD_EPOCH_MAX + 1];
    int64_t since;    /* the store's revision when that copy was first looked at; 0 to revision */
    int64_t revision; /* every change up to it is in the set */
    uint64_t number;  /* when it was signed, in ms since 1970, or a bit later */
    uint64_t count;   /* records */
    uint8_t digest[KS_SHA256_LEN];
};

/*
 * Returns whether what `next` speaks of has come out of what `had` speaks of; true if had has number 0:
 * there is none. It has not if the epoch is the same, and control has less than had says, or has begun
 * with less: its store was put back (a snapshot, another machine's disk) without a new epoch, and what
 * control said afterwards is lost there. Whoever restores a store gives it a new epoch (pkg/store).
 */
bool ks_head_follows(const struct ks_head *had, const struct ks_head *next);

/* Returns whether the set with this sum is the one that head speaks of; false if OpenSSL fails. */
bool ks_head_is_of(struct ks_crypto *crypto, const struct ks_head *head,
                   const struct ks_set_sum *sum);

/*
 * Appends a signed head.
 *
 * certificate  DER, of key.
 *
 * Fails: VALIDATION (a member is out of its range), LIMIT_EXCEEDED (the buffer's cap, or a
 * certificate that no head has room for), INTERNAL; out may then hold a part of it.
 */
KS_MUST_USE ks_result ks_head_sign(const struct ks_head *head, ks_bytes certificate,
                                   const struct ks_ec_key *key, struct ks_buffer *out);

/*
 * Reads a head without verifying its signature: one that lies on this disk, or to look at it.
 * ret_head  written on success only.
 * Fails: VALIDATION (malformed).
 */
KS_MUST_USE ks_result ks_head_read(ks_bytes bytes, struct ks_head *ret_head);

struct ks_head_verifier;

/*
 * Makes a verifier, which pins a root.
 * root          PEM or DER, copied.
 * ret_verifier  the caller's; free with ks_head_verifier_free. Written on success only.
 * Fails: VALIDATION (it is no certificate of a CA).
 */
KS_MUST_USE ks_result ks_head_verifier_new(ks_bytes root, struct ks_head_verifier **ret_verifier);

/* NULL is fine. */
void ks_head_verifier_free(struct ks_head_verifier *verifier);

/*
 * Reads a head and verifies it: by the root's certificate for KS_HEAD_SIGNER.
 * ret_head  written on success only.
 * Fails: VALIDATION (malformed), UNAUTHENTICATED (control has not signed it).
 */
KS_MUST_USE ks_result ks_head_open(struct ks_head_verifier *verifier, ks_bytes bytes,
                                   struct ks_head *ret_head);
