/* Any bytes as a challenge: what reads as one is exactly its parts, one behind the other. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/transit/challenge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ks_challenge challenge;
    ks_result r = ks_crypto_init(&(struct ks_crypto_options){0});
    assert(!ks_failed(r));
    if (ks_failed(ks_challenge_read((ks_bytes){data, size}, &challenge))) {
        return 0;
    }
    assert(challenge.body.len + 2 + challenge.signature.len == size);
    assert(size <= KS_CHALLENGE_LEN_MAX);
    const struct ks_peer_trust trust = {
        .root = challenge.certificate, .trust_domain = "keystead", .now_s = 1767225600};
    struct ks_peer peer;
    assert(ks_failed(ks_challenge_verify(&challenge, &trust, &peer)));
    return 0;
}
