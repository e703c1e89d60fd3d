/* Any bytes as a blob: taken apart within their bounds, and what is taken apart never opens. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/mem.h"
#include "pkg/blob/blob.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/mac.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ks_secret key = {.len = 32, .bytes = {1}};
    static struct ks_crypto *crypto;
    static struct ks_mac *hbk;
    if (!crypto) {
        ks_result r = ks_crypto_init(&(struct ks_crypto_options){0});
        assert(!ks_failed(r));
        r = ks_mac_new(&key, &hbk);
        assert(!ks_failed(r));
        crypto = ks_crypto_new();
    }
    struct ks_blob blob;
    if (ks_failed(ks_blob_parse((ks_bytes){data, size}, &blob))) {
        return 0;
    }
    assert(blob.header.len + KS_BLOB_COMMIT_LEN + blob.sealed.len == size);
    assert(ks_is_key_name(&blob.name));
    uint8_t plaintext[KS_BLOB_PLAINTEXT_MAX];
    size_t len = 0;
    ks_result r = ks_blob_open(crypto, hbk, &blob, KS_LITERAL("\0\0"), plaintext, &len);
    assert(r.code == KS_INVALID_CIPHERTEXT);
    return 0;
}
