#include "pkg/crypto/crypto.h"

#include <assert.h>
#include <openssl/provider.h>

#include "pkg/crypto/context.h"
#include "pkg/crypto/mac.h"
#include "pkg/crypto/openssl.h"

static struct {
    bool done;
    struct ks_crypto_options options;
} started;

/* The base provider reads and writes keys: the FIPS provider does not. */
static ks_result load_fips(void)
{
    if (!OSSL_PROVIDER_load(NULL, "fips") || !OSSL_PROVIDER_load(NULL, "base") ||
        EVP_default_properties_enable_fips(NULL, 1) != 1) {
        return ks_openssl_fail(KS_UNSUPPORTED);
    }
    return KS_RES(OK);
}

static ks_result fetch_all(void)
{
    ks_fetched = (struct ks_fetched){
        .aes_256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL),
        .sha256 = EVP_MD_fetch(NULL, "SHA256", NULL),
        .sha384 = EVP_MD_fetch(NULL, "SHA384", NULL),
        .shake128 = EVP_MD_fetch(NULL, "SHAKE128", NULL),
        .hmac = EVP_MAC_fetch(NULL, "HMAC", NULL),
        .hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL),
    };
    bool complete = ks_fetched.aes_256_gcm && ks_fetched.sha256 && ks_fetched.sha384 &&
                    ks_fetched.shake128 && ks_fetched.hmac && ks_fetched.hkdf;
    return complete ? KS_RES(OK) : ks_openssl_fail(KS_INTERNAL);
}

ks_result ks_crypto_init(const struct ks_crypto_options *options)
{
    assert(options);

    if (started.done) {
        bool same = started.options.wipe_allocator == options->wipe_allocator &&
                    started.options.fips == options->fips;
        return same ? KS_RES(OK) : KS_RES(INVALID_STATE);
    }
    if (options->wipe_allocator && !ks_wiping_install()) {
        return KS_RES(INVALID_STATE);
    }
    KS_TRY(ks_openssl_check(OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL)));
    if (options->fips) {
        KS_TRY(load_fips());
    }
    KS_TRY(fetch_all());
    KS_TRY(ks_random_init());

    started.done = true;
    started.options = *options;
    return KS_RES(OK);
}

struct ks_crypto *ks_crypto_new(void)
{
    assert(started.done);

    struct ks_crypto *crypto = ks_alloc(1, sizeof(*crypto));
    crypto->seal = EVP_CIPHER_CTX_new();
    crypto->open = EVP_CIPHER_CTX_new();
    crypto->sha256 = EVP_MD_CTX_new();
    crypto->sha384 = EVP_MD_CTX_new();
    crypto->shake128 = EVP_MD_CTX_new();
    crypto->nonce_at = KS_RANDOM_BLOCK;

    /* These fail only when there is no memory left, and the process aborts then, as everywhere. */
    int ready = crypto->seal && crypto->open && crypto->sha256 && crypto->sha384 &&
                crypto->shake128 &&
                EVP_EncryptInit_ex2(crypto->seal, ks_fetched.aes_256_gcm, NULL, NULL, NULL) == 1 &&
                EVP_DecryptInit_ex2(crypto->open, ks_fetched.aes_256_gcm, NULL, NULL, NULL) == 1;
    assert(ready);
    return crypto;
}

void ks_crypto_free(struct ks_crypto *crypto)
{
    if (!crypto) {
        return;
    }
    EVP_CIPHER_CTX_free(crypto->seal);
    EVP_CIPHER_CTX_free(crypto->open);
    EVP_MD_CTX_free(crypto->sha256);
    EVP_MD_CTX_free(crypto->sha384);
    EVP_MD_CTX_free(crypto->shake128);
    ks_mac_free(crypto->mac);
    ks_wipe(crypto, sizeof(*crypto));
    ks_free(crypto);
}

void ks_crypto_free_at(struct ks_crypto **crypto)
{
    ks_crypto_free(*crypto);
}

ks_result ks_crypto_mac(struct ks_crypto *crypto, const ks_secret *key, struct ks_mac **ret_mac)
{
    assert(crypto && ret_mac);

    if (crypto->mac) {
        KS_TRY(ks_mac_set_key(crypto->mac, key));
    } else {
        KS_TRY(ks_mac_new(key, &crypto->mac));
    }
    *ret_mac = crypto->mac;
    return KS_RES(OK);
}
