/*
 * challenges: the challenges that this hsm has issued and that no other hsm has answered yet. Each
 * can be answered once: taking it removes it, even if the answer then turns out to be bad.
 *
 * A challenge to restore a backup has a place of its own and more time: people answer it.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/transit/challenge.h"

#define KS_CHALLENGES_MAX        32U
#define KS_CHALLENGE_LIFETIME_NS (600LL * 1000000000LL)
#define KS_CHALLENGE_RESTORE_NS  (86400LL * 1000000000LL) /* the lifetime of one to restore */

struct ks_issued {
    bool open;
    int64_t issued_ns; /* boot clock */
    enum ks_transit_purpose purpose;
    uint32_t generation; /* of the domain key that was asked for; 0: a backup was */
    uint8_t backup[KS_TRANSIT_BACKUP_LEN];
    uint8_t nonce[KS_TRANSIT_NONCE_LEN];
    uint8_t hash[KS_TRANSIT_HASH_LEN];
};

/* {0}: none issued. */
struct ks_challenges {
    struct ks_issued issued[KS_CHALLENGES_MAX];
    struct ks_issued restore;
};

/*
 * Remembers one. If all places are taken, the oldest challenge is forgotten. One to restore takes
 * the place of the one before it.
 */
void ks_challenges_add(struct ks_challenges *challenges, const struct ks_issued *issued);

/*
 * Removes the challenge with that nonce and gives it.
 * ret_issued  untouched after a failure.
 * Fails: INVALID_CIPHERTEXT (never issued, answered, forgotten, or older than its lifetime).
 */
KS_MUST_USE ks_result ks_challenges_take(struct ks_challenges *challenges, const uint8_t *nonce,
                                         int64_t now_ns, struct ks_issued *ret_issued);
