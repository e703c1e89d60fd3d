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

    struct ks_issued *place = &challenges->issued[0];
    for (size_t i = 1; i < KS_CHALLENGES_MAX; i++) {
        if (is_older(&challenges->issued[i], place)) {
            place = &challenges->issued[i];
        }
    }
    *place = *issued;
}

ks_result ks_challenges_take(struct ks_challenges *challenges, const uint8_t *nonce, int64_t now_ns,
                             struct ks_issued *ret_issued)
{
    assert(challenges && nonce && ret_issued);

    for (size_t i = 0; i < KS_CHALLENGES_MAX; i++) {
        struct ks_issued *issued = &challenges->issued[i];
        if (!issued->open || !ks_bytes_equal((ks_bytes){issued->nonce, KS_TRANSIT_NONCE_LEN},
                                             (ks_bytes){nonce, KS_TRANSIT_NONCE_LEN})) {
            continue;
        }
        issued->open = false;
        if (now_ns - issued->issued_ns > KS_CHALLENGE_LIFETIME_NS) {
            return KS_RES(INVALID_CIPHERTEXT);
        }
        *ret_issued = *issued;
        return KS_RES(OK);
    }
    return KS_RES(INVALID_CIPHERTEXT);
}
