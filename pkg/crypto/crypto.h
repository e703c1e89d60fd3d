/*
 * crypto: OpenSSL's library state, which a process sets up once, and the contexts that a thread
 * reuses.
 *
 * Algorithms are fetched here once, because an implicit fetch costs 0.2 to 0.3 us a call and takes
 * a lock that all threads share. A struct ks_crypto keeps the cipher and hash contexts that a hot
 * path needs.
 *
 * Threads: ks_crypto_init and ks_crypto_self_test before any other thread starts; a
 * struct ks_crypto belongs to one thread.
 */
#pragma once

#include <stdbool.h>

#include "pkg/base/result.h"
#include "pkg/base/secret.h"

struct ks_crypto;
struct ks_mac;

/* {0} is what every process but the hsm uses. */
struct ks_crypto_options {
    /*
     * Everything that OpenSSL frees is wiped first. Must come before whatever else makes OpenSSL
     * allocate (gRPC, libcurl, a PKCS#11 module). Off: OpenSSL wipes what it knows to be secret.
     */
    bool wipe_allocator;
    /* Only the FIPS provider's algorithms can be fetched; without that provider, no start. */
    bool fips;
};

/*
 * Sets OpenSSL up and fetches every algorithm. A second call does nothing if its options are the
 * same as the first one's, which succeeded.
 *
 * Fails: UNSUPPORTED (fips wanted, and the FIPS provider is not installed or fails its own tests),
 * INVALID_STATE (wipe_allocator wanted, and OpenSSL has allocated already; or called before with
 * other options), INTERNAL (an algorithm is absent).
 */
KS_MUST_USE ks_result ks_crypto_init(const struct ks_crypto_options *options);

/*
 * Runs known-answer tests of AES-256-GCM, SHA-256, SHA-384, HMAC-SHA-256, the counter-mode KDF,
 * HKDF-SHA-384, ECDH and ECDSA on P-384, and CTR_DRBG (SP 800-90A), whose answers another
 * implementation gave (tests/vectors/crypto/crypto_vectors.py). Takes a few milliseconds.
 *
 * reterr_name  which test gave another answer; a static string, written on failure only.
 *
 * Fails: INTERNAL (an answer differs: the process must not go on).
 */
KS_MUST_USE ks_result ks_crypto_self_test(const char **reterr_name);

/*
 * Makes the contexts of one thread; never NULL. Free with ks_crypto_free. ks_crypto_init must have
 * succeeded before.
 */
struct ks_crypto *ks_crypto_new(void);

/* Wipes the keys left in the contexts and frees them. NULL is allowed. */
void ks_crypto_free(struct ks_crypto *crypto);

/*
 * Keys the HMAC context that crypto keeps for keys used once.
 *
 * key      1 to 64 bytes. Borrowed for the call; its schedule stays in crypto until the next key.
 * ret_mac  crypto's; good until the next ks_crypto_mac. Written on success only.
 *
 * Fails: VALIDATION (empty key), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_crypto_mac(struct ks_crypto *crypto, const ks_secret *key,
                                    struct ks_mac **ret_mac);

/* Cleanup for `KS_CRYPTO_AUTO *crypto`. */
void ks_crypto_free_at(struct ks_crypto **crypto);
#define KS_CRYPTO_AUTO KS_CLEANUP(ks_crypto_free_at) struct ks_crypto
