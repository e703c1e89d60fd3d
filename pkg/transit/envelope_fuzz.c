/* Any bytes as an envelope: read within its bounds, never verified, never opened. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/ec.h"
#include "pkg/transit/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ks_crypto *crypto;
    static struct ks_ec_key *transit;
    static const uint8_t hash[KS_TRANSIT_HASH_LEN];
    if (!crypto) {
        ks_result r = ks_crypto_init(&(struct ks_crypto_options){0});
        assert(!ks_failed(r));
        r = ks_ec_generate(KS_EC_P384, &transit);
        assert(!ks_failed(r));
        crypto = ks_crypto_new();
    }
    struct ks_envelope envelope;
    if (ks_failed(ks_envelope_read((ks_bytes){data, size}, &envelope))) {
        return 0;
    }
    assert(envelope.body.len + 2 + envelope.signature.len == size);
    assert(size <= KS_ENVELOPE_LEN_MAX);
    const struct ks_envelope_receiver receiver = {hash, envelope.purpose, transit};
    const struct ks_peer_trust trust = {
        .root = envelope.certificate, .trust_domain = "keystead", .now_s = 1767225600};
    struct ks_peer peer;
    uint8_t secret[KS_ENVELOPE_SECRET_MAX];
    assert(ks_failed(ks_envelope_verify(&envelope, &receiver, &trust, &peer)));
    assert(ks_failed(ks_envelope_open(crypto, &envelope, &receiver, secret)));
    return 0;
}
