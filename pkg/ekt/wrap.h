/*
 * wrap: one hsm's copy of a domain key, under its node key (proto/formats/domain-key-wrap-v1.md).
 *
 * Threads: pure over the arguments; the struct ks_crypto and ks_mac are the calling thread's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/secret.h"

#define KS_DOMAIN_KEY_LEN 32U
#define KS_WRAP_SALT_LEN  32U
#define KS_WRAP_LEN       (1U + 4U + KS_WRAP_SALT_LEN + KS_DOMAIN_KEY_LEN + 16U)

struct ks_crypto;
struct ks_mac;

/* Where the hsm stands and which generation it is. All borrowed for the call. */
struct ks_wrap_place {
    ks_bytes region;
    ks_bytes zone;
    uint32_t generation;
};

/*
 * Wraps a domain key: writes KS_WRAP_LEN bytes.
 *
 * node         keyed with the node key.
 * domain_key   KS_DOMAIN_KEY_LEN bytes.
 * salt         KS_WRAP_SALT_LEN random bytes, for this copy only.
 * ret_wrapped  the caller's; unspecified after a failure.
 *
 * Fails: VALIDATION (wrong key length, malformed place), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_domain_key_wrap(struct ks_crypto *crypto, struct ks_mac *node,
                                         const struct ks_wrap_place *place, const uint8_t *salt,
                                         const ks_secret *domain_key,
                                         uint8_t ret_wrapped[static KS_WRAP_LEN]);

/*
 * Opens what ks_domain_key_wrap wrote.
 * ret_domain_key  the caller's to wipe; written on success only.
 * Fails: VALIDATION (malformed place), INVALID_CIPHERTEXT (anything wrong with wrapped, node key,
 * place or generation), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_domain_key_unwrap(struct ks_crypto *crypto, struct ks_mac *node,
                                           const struct ks_wrap_place *place, ks_bytes wrapped,
                                           ks_secret *ret_domain_key);
