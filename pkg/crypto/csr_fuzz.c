/*
 * Any bytes as a certificate request, PEM or DER. A key that a request proves is one that a leaf
 * can be issued for.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/crypto/crypto.h"
#include "pkg/crypto/csr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ks_result started = ks_crypto_init(&(struct ks_crypto_options){0});
    assert(!ks_failed(started));

    KS_BUFFER_AUTO spki = {.len_max = KS_EC_PUBLIC_DER_MAX};
    ks_result proven = ks_csr_read((ks_bytes){data, size}, &spki);
    assert(ks_failed(proven) == (spki.len == 0));
    if (ks_failed(proven)) {
        return 0;
    }
    KS_EC_AUTO *key = NULL;
    ks_result read = ks_ec_read_public(ks_buffer_bytes(&spki), &key);
    assert(!ks_failed(read));
    return 0;
}
