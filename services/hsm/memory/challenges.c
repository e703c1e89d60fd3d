#include "services/hsm/memory/challenges.h"

#include <assert.h>
#include <string.h>

static bool is_older(const struct ks_issued *a, const struct ks_issued *b)
{
    if (a->open != b->open) {
        return !a->open;
    }
    return a->issued_ns < b->issued_ns;
}

void ks_challenges_add(struct ks_challenges *challenges, const struct ks_issued *issued)
{
    assert(challenges && issued->open);

    if (issued->purpose == KS_TRANSIT_RESTORE) {
        challenges->restore = *issued;
        return;
    }
    struct ks_issued *place = &challenges->issued[0];
    for (size_t i = 1; i < KS_CHALLENGES_MAX; i++) {
        if (is_older(&challenges->issued[i], place)) {
            place = &challenges->issued[i];
        }
    }
    *place = *issued;
}

/* The open challenge with that nonce; NULL: there is none. */
static struct ks_issued *find(struct ks_challenges *challenges, const uint8_t *nonce)
{
    for (size_t i = 0; i <= KS_CHALLENGES_MAX; i++) {
        struct ks_issued *issued =
            i < KS_CHALLENGES_MAX ? &challenges->issued[i] : &challenges->restore;
        if (issued->open && ks_bytes_equal((ks_bytes){issued->nonce, KS_TRANSIT_NONCE_LEN},
                                           (ks_bytes){nonce, KS_TRANSIT_NONCE_LEN})) {
            return issued;
        }
    }
    return NULL;
}

ks_result ks_challenges_take(struct ks_challenges *challenges, const uint8_t *nonce, int64_t now_ns,
                             struct ks_issued *ret_issued)
{
    assert(challenges && nonce && ret_issued);

    struct ks_issued *issued = find(challenges, nonce);
    if (!issued) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    int64_t lifetime_ns =
        issued->purpose == KS_TRANSIT_RESTORE ? KS_CHALLENGE_RESTORE_NS : KS_CHALLENGE_LIFETIME_NS;
    issued->open = false;
    if (now_ns - issued->issued_ns > lifetime_ns) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    *ret_issued = *issued;
    return KS_RES(OK);
}
