/*
 * ekt: exported key tokens (proto/formats/ekt-v1.md): an HBK sealed under a generation of the
 * cell's domain key and bound to what it belongs to.
 *
 * version 1 byte ‖ generation 4 ‖ salt 32 ‖ ciphertext, as long as the HBK ‖ tag 16.
 *
 * Threads: pure over the arguments; the struct ks_crypto and ks_mac are the calling thread's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/secret.h"
#include "pkg/ekt/binding.h"

#define KS_EKT_SALT_LEN  32U
#define KS_EKT_EXTRA_LEN (1U + 4U + KS_EKT_SALT_LEN + 16U)
#define KS_EKT_LEN_MAX   (KS_EKT_EXTRA_LEN + KS_SECRET_MAX)

struct ks_crypto;
struct ks_mac;

/* How an HBK is sealed. All borrowed for the call. */
struct ks_ekt_seal {
    uint32_t generation; /* of the domain key */
    const uint8_t *salt; /* KS_EKT_SALT_LEN random bytes, for this EKT only */
    ks_bytes binding;    /* from ks_binding_encode */
};

/*
 * Seals hbk, 1 to KS_SECRET_MAX bytes.
 *
 * domain   keyed with the domain key of that generation.
 * ret_ekt  at least KS_EKT_EXTRA_LEN + hbk->len bytes, the caller's; unspecified after a failure.
 * ret_len  how many bytes were written; untouched after a failure.
 *
 * Fails: VALIDATION (empty HBK, no such generation), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_ekt_seal(struct ks_crypto *crypto, struct ks_mac *domain,
                                  const struct ks_ekt_seal *how, const ks_secret *hbk,
                                  uint8_t *ret_ekt, size_t *ret_len);

/*
 * Reads which domain key it takes to open ekt. This proves nothing about ekt.
 * ret_generation  untouched after a failure.
 * Fails: INVALID_CIPHERTEXT (not the form of an EKT).
 */
KS_MUST_USE ks_result ks_ekt_generation(ks_bytes ekt, uint32_t *ret_generation);

/*
 * Opens what ks_ekt_seal made.
 *
 * ret_hbk  the caller's to wipe; written on success only.
 *
 * Fails: INVALID_CIPHERTEXT (anything wrong with ekt, domain key or binding), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_ekt_open(struct ks_crypto *crypto, struct ks_mac *domain, ks_bytes binding,
                                  ks_bytes ekt, ks_secret *ret_hbk);
