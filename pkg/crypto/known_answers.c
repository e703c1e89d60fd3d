#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <string.h>

#include "pkg/crypto/aead.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/hash.h"
#include "pkg/crypto/kdf.h"
#include "pkg/crypto/known_answer_vectors.h"
#include "pkg/crypto/openssl.h"

#define BYTES(array) ((ks_bytes){(array), sizeof(array)})

/* The key that the tests of GCM, HMAC and the KDF share. */
static ks_secret test_key(void)
{
    static_assert(sizeof(gcm_key) == KS_AEAD_KEY_LEN, "an AES-256 key");
    ks_secret key = {.len = sizeof(gcm_key)};
    memcpy(key.bytes, gcm_key, sizeof(gcm_key));
    return key;
}

static ks_result expect(ks_bytes got, ks_bytes wanted)
{
    return ks_bytes_equal(got, wanted) ? KS_RES(OK) : KS_RES(INTERNAL);
}

static ks_result expect_refusal(ks_result got, ks_code wanted)
{
    return got.code == wanted ? KS_RES(OK) : KS_RES(INTERNAL);
}

static ks_result test_gcm(struct ks_crypto *crypto)
{
    ks_secret key = test_key();
    const struct ks_aead_box box = {&key, gcm_iv, BYTES(gcm_aad)};
    uint8_t sealed[sizeof(gcm_sealed)];
    uint8_t opened[sizeof(gcm_text)];
    KS_TRY(ks_aead_seal(crypto, &box, BYTES(gcm_text), sealed));
    KS_TRY(expect(BYTES(sealed), BYTES(gcm_sealed)));
    KS_TRY(ks_aead_open(crypto, &box, BYTES(gcm_sealed), opened));
    KS_TRY(expect(BYTES(opened), BYTES(gcm_text)));

    sealed[0] ^= 1;
    return expect_refusal(ks_aead_open(crypto, &box, BYTES(sealed), opened), KS_INVALID_CIPHERTEXT);
}

static ks_result test_hashes(struct ks_crypto *crypto)
{
    const ks_bytes text = BYTES(hash_text);
    uint8_t digest_256[KS_SHA256_LEN];
    uint8_t digest_384[KS_SHA384_LEN];
    KS_TRY(ks_hash_sha256(crypto, &text, 1, digest_256));
    KS_TRY(expect(BYTES(digest_256), BYTES(sha256_digest)));
    KS_TRY(ks_hash_sha384(crypto, &text, 1, digest_384));
    return expect(BYTES(digest_384), BYTES(sha384_digest));
}

static ks_result test_mac(struct ks_crypto *crypto)
{
    ks_secret key = test_key();
    const ks_bytes text = BYTES(gcm_text);
    struct ks_mac *mac = NULL;
    uint8_t code[KS_MAC_LEN];
    KS_TRY(ks_crypto_mac(crypto, &key, &mac));
    KS_TRY(ks_mac_sign(mac, &text, 1, code));
    return expect(BYTES(code), BYTES(mac_code));
}

static ks_result test_kdf(struct ks_crypto *crypto)
{
    ks_secret key = test_key();
    struct ks_mac *mac = NULL;
    KS_SECRET_AUTO derived = {0};
    KS_TRY(ks_crypto_mac(crypto, &key, &mac));
    KS_TRY(ks_kdf_counter(mac, BYTES(kdf_label), BYTES(gcm_aad), sizeof(kdf_derived), &derived));
    return expect(ks_secret_bytes(&derived), BYTES(kdf_derived));
}

static ks_result test_hkdf(struct ks_crypto *crypto)
{
    (void)crypto;
    ks_secret key = test_key();
    KS_SECRET_AUTO derived = {0};
    KS_TRY(ks_kdf_hkdf(&key, BYTES(gcm_iv), BYTES(gcm_aad), sizeof(hkdf_derived), &derived));
    return expect(ks_secret_bytes(&derived), BYTES(hkdf_derived));
}

static ks_result test_ecdh(struct ks_crypto *crypto)
{
    (void)crypto;
    KS_EC_AUTO *key = NULL;
    KS_EC_AUTO *peer = NULL;
    KS_SECRET_AUTO shared = {0};
    KS_TRY(ks_ec_read_private(BYTES(ecdh_private), &key));
    KS_TRY(ks_ec_read_public(BYTES(ecdh_peer), &peer));
    KS_TRY(ks_ec_agree(key, peer, &shared));
    return expect(ks_secret_bytes(&shared), BYTES(ecdh_shared));
}

/*
 * Signatures are random, so three are verified: one of ours, a known one, and a known one over
 * another text, which must fail.
 */
static ks_result test_ecdsa(struct ks_crypto *crypto)
{
    (void)crypto;
    KS_EC_AUTO *key = NULL;
    uint8_t signature[KS_EC_SIGNATURE_MAX];
    size_t len = 0;
    KS_TRY(ks_ec_read_private(BYTES(ecdsa_private), &key));
    KS_TRY(ks_ec_verify(key, BYTES(ecdsa_text), BYTES(ecdsa_signature)));
    KS_TRY(ks_ec_sign(key, BYTES(ecdsa_text), signature, &len));
    KS_TRY(ks_ec_verify(key, BYTES(ecdsa_text), (ks_bytes){signature, len}));
    return expect_refusal(ks_ec_verify(key, BYTES(hash_text), BYTES(ecdsa_signature)),
                          KS_UNAUTHENTICATED);
}

KS_OPENSSL_FREE_AT(EVP_RAND_CTX)
KS_OPENSSL_FREE_AT(EVP_RAND)

static OSSL_PARAM octets(const char *name, ks_bytes bytes)
{
    return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)bytes.ptr, bytes.len);
}

/*
 * Makes a source whose entropy and nonce are the vector's. The caller frees it. NULL if OpenSSL
 * failed.
 */
static EVP_RAND_CTX *known_source(void)
{
    unsigned strength = 256;
    const OSSL_PARAM params[] = {
        octets(OSSL_RAND_PARAM_TEST_ENTROPY, BYTES(drbg_entropy)),
        octets(OSSL_RAND_PARAM_TEST_NONCE, BYTES(drbg_nonce)),
        OSSL_PARAM_construct_uint(OSSL_RAND_PARAM_STRENGTH, &strength),
        OSSL_PARAM_construct_end(),
    };
    KS_OPENSSL_AUTO(EVP_RAND) *algorithm = EVP_RAND_fetch(NULL, "TEST-RAND", NULL);
    KS_OPENSSL_AUTO(EVP_RAND_CTX) *source = algorithm ? EVP_RAND_CTX_new(algorithm, NULL) : NULL;
    if (!source || EVP_RAND_instantiate(source, strength, 0, NULL, 0, params) != 1) {
        return NULL;
    }
    EVP_RAND_CTX *ready = source;
    source = NULL;
    return ready;
}

/* SP 800-90A §11.3: instantiate, generate twice, compare the second. */
static ks_result test_drbg(struct ks_crypto *crypto)
{
    (void)crypto;
    char cipher[] = "AES-256-CTR";
    int derivation_function = 1;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_DRBG_PARAM_CIPHER, cipher, 0),
        OSSL_PARAM_construct_int(OSSL_DRBG_PARAM_USE_DF, &derivation_function),
        OSSL_PARAM_construct_end(),
    };
    KS_OPENSSL_AUTO(EVP_RAND_CTX) *source = known_source();
    KS_OPENSSL_AUTO(EVP_RAND) *algorithm = EVP_RAND_fetch(NULL, "CTR-DRBG", NULL);
    KS_OPENSSL_AUTO(EVP_RAND_CTX) *drbg =
        source && algorithm ? EVP_RAND_CTX_new(algorithm, source) : NULL;
    uint8_t drawn[sizeof(drbg_second)];
    bool answered =
        drbg && EVP_RAND_instantiate(drbg, 256, 0, drbg_string, sizeof(drbg_string), params) == 1 &&
        EVP_RAND_generate(drbg, drawn, sizeof(drawn), 256, 0, NULL, 0) == 1 &&
        EVP_RAND_generate(drbg, drawn, sizeof(drawn), 256, 0, NULL, 0) == 1;
    if (!answered) {
        return ks_openssl_fail(KS_INTERNAL);
    }
    return expect(BYTES(drawn), BYTES(drbg_second));
}

static const struct {
    const char *name;
    ks_result (*run)(struct ks_crypto *crypto);
} tests[] = {
    {"AES-256-GCM", test_gcm},         {"SHA-2", test_hashes},      {"HMAC-SHA-256", test_mac},
    {"KDF in counter mode", test_kdf}, {"HKDF-SHA-384", test_hkdf}, {"ECDH P-384", test_ecdh},
    {"ECDSA P-384", test_ecdsa},       {"CTR_DRBG", test_drbg},
};

ks_result ks_crypto_self_test(const char **reterr_name)
{
    assert(reterr_name);

    KS_CRYPTO_AUTO *crypto = ks_crypto_new();
    for (size_t i = 0; i < KS_COUNT(tests); i++) {
        if (ks_failed(tests[i].run(crypto))) {
            *reterr_name = tests[i].name;
            return KS_RES(INTERNAL);
        }
    }
    return KS_RES(OK);
}
