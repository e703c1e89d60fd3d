/* Any bytes as an EKT and as a wrapped domain key: neither opens. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/mac.h"
#include "pkg/ekt/ekt.h"
#include "pkg/ekt/generation.h"
#include "pkg/ekt/wrap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ks_secret key = {.len = 32, .bytes = {1}};
    static struct ks_crypto *crypto;
    static struct ks_mac *domain;
    if (!crypto) {
        ks_result r = ks_crypto_init(&(struct ks_crypto_options){0});
        assert(!ks_failed(r));
        r = ks_mac_new(&key, &domain);
        assert(!ks_failed(r));
        crypto = ks_crypto_new();
    }
    ks_bytes bytes = {data, size};
    uint32_t generation = 1;
    KS_SECRET_AUTO opened = {.len = 0};
    bool has_form = !ks_failed(ks_ekt_generation(bytes, &generation));
    assert(!has_form || ks_is_generation(generation));
    ks_result r = ks_ekt_open(crypto, domain, KS_LITERAL("binding"), bytes, &opened);
    assert(r.code == KS_INVALID_CIPHERTEXT);
    const struct ks_wrap_place place = {KS_LITERAL("ap-seoul-1"), KS_LITERAL("ap-seoul-1a"),
                                        generation};
    r = ks_domain_key_unwrap(crypto, domain, &place, bytes, &opened);
    assert(r.code == KS_INVALID_CIPHERTEXT);
    assert(opened.len == 0);
    return 0;
}
