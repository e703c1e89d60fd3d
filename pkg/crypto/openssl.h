/*
 * openssl: what this folder's files share of OpenSSL: the fetched algorithms, cleanups, and the
 * functions that turn OpenSSL's failures into results. Only this folder includes it.
 *
 * Threads: any, once ks_crypto_init has returned.
 */
#pragma once

#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/x509.h>

#include "pkg/base/bytes.h"
#include "pkg/base/mem.h"
#include "pkg/base/result.h"

/* The algorithms. ks_crypto_init sets them; they never change afterwards. */
struct ks_fetched {
    EVP_CIPHER *aes_256_gcm;
    EVP_MD *sha256;
    EVP_MD *sha384;
    EVP_MD *shake128;
    EVP_MAC *hmac;
    EVP_KDF *hkdf;
};

extern struct ks_fetched ks_fetched;

/*
 * Returns the failure code (never OK) as a result, after it has emptied OpenSSL's error queue: an
 * error left there would be taken for the failure of a later TLS call on this thread.
 */
ks_result ks_openssl_fail(ks_code code);

/*
 * Turns what an OpenSSL function returned into a result: 1 is OK. Fails: INTERNAL (anything else;
 * the error queue is emptied).
 */
KS_MUST_USE ks_result ks_openssl_check(int returned);

/* Whether bytes start as DER does: with the tag of a SEQUENCE, which PEM's dashes are not. */
static inline bool ks_openssl_is_der(ks_bytes bytes)
{
    return bytes.len > 0 && bytes.ptr[0] == 0x30;
}

/*
 * Appends the len bytes that OpenSSL allocated at der to out, then wipes and frees them.
 * Fails: INTERNAL (len < 0: OpenSSL made nothing), LIMIT_EXCEEDED (out's cap). After a failure out
 * is as it was.
 */
KS_MUST_USE ks_result ks_openssl_take(unsigned char *der, int len, struct ks_buffer *out);

/*
 * Makes OpenSSL allocate with functions that wipe what they free. Returns false, with nothing
 * changed, if OpenSSL has allocated already.
 */
bool ks_wiping_install(void);

/*
 * Makes OpenSSL choose its generators now, and counts forks from now on. Called once, by
 * ks_crypto_init. Fails: INTERNAL (no randomness, or no memory to register the counting).
 */
KS_MUST_USE ks_result ks_random_init(void);

#define KS_OPENSSL_FREE_AT(type)                                                                   \
    static inline void ks_##type##_free_at(type **ptr)                                             \
    {                                                                                              \
        type##_free(*ptr);                                                                         \
    }

KS_OPENSSL_FREE_AT(EVP_MD_CTX)
KS_OPENSSL_FREE_AT(EVP_KDF_CTX)
KS_OPENSSL_FREE_AT(EVP_PKEY)
KS_OPENSSL_FREE_AT(EVP_PKEY_CTX)
KS_OPENSSL_FREE_AT(PKCS8_PRIV_KEY_INFO)
KS_OPENSSL_FREE_AT(X509)
KS_OPENSSL_FREE_AT(X509_REQ)

/* `KS_OPENSSL_AUTO(X509) *certificate = …` */
#define KS_OPENSSL_AUTO(type) KS_CLEANUP(ks_##type##_free_at) type
