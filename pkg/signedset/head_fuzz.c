/* Any bytes as a head: what is not signed is never taken, and what reads as a head fits its form. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/x509.h"
#include "pkg/signedset/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ks_head_verifier *new_verifier(void)
{
    KS_EC_AUTO *key = NULL;
    KS_BUFFER_AUTO root = {.len_max = KS_X509_PEM_MAX};
    struct ks_head_verifier *verifier = NULL;
    const struct ks_x509_ca_spec spec = {.subject = {.common_name = "root"},
                                         .not_after_s = KS_X509_YEAR_S * 100};
    ks_result r = ks_crypto_init(&(struct ks_crypto_options){0});
    assert(!ks_failed(r));
    r = ks_ec_generate(KS_EC_P256, &key);
    assert(!ks_failed(r));
    r = ks_x509_make_ca(key, &spec, &root);
    assert(!ks_failed(r));
    r = ks_head_verifier_new(ks_buffer_bytes(&root), &verifier);
    assert(!ks_failed(r));
    return verifier;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ks_head_verifier *verifier;
    if (!verifier) {
        verifier = new_verifier();
    }
    struct ks_head head;
    ks_bytes bytes = {data, size};
    ks_result read = ks_head_read(bytes, &head);
    ks_result opened = ks_head_open(verifier, bytes, &head);
    assert(opened.code == (ks_failed(read) ? KS_VALIDATION : KS_UNAUTHENTICATED));
    return 0;
}
