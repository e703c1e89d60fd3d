/*
 * openssl: what this folder's files share of OpenSSL: the fetched algorithms, cleanups, and the
 * border at which its failures become ours. Included by this folder only.
 */
#pragma once

#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/x509.h>

#include "pkg/base/bytes.h"
#include "pkg/base/mem.h"
#include "pkg/base/result.h"

/* Set by ks_crypto_init, then never changed. */
struct ks_fetched {
    EVP_CIPHER *aes_256_gcm;
    EVP_MD *sha256;
    EVP_MD *sha384;
    EVP_MAC *hmac;
    EVP_KDF *hkdf;
};

extern struct ks_fetched ks_fetched;

/*
 * The failure code, with OpenSSL's error queue emptied: what is left there would be taken for the
 * failure of a later TLS call on this thread.
 */
ks_result ks_openssl_fail(ks_code code);

/* OpenSSL's 1 for success as a result; INTERNAL else. */
KS_MUST_USE ks_result ks_openssl_check(int returned);

/* Whether it starts as DER does: with a SEQUENCE, which is no character of PEM's dashes. */
static inline bool ks_openssl_is_der(ks_bytes bytes)
{
    return bytes.len > 0 && bytes.ptr[0] == 0x30;
}

/* Appends what OpenSSL allocated at der, and wipes and frees it. len < 0: INTERNAL. */
KS_MUST_USE ks_result ks_openssl_take(unsigned char *der, int len, struct ks_buffer *out);

/* CRYPTO_set_mem_functions with functions that wipe. False: OpenSSL has allocated already. */
bool ks_wiping_install(void);

/* Registers the counting. Called once, by ks_crypto_init. */
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
