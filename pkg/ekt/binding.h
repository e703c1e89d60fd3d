/*
 * binding: encodes what an exported key token is bound to (proto/formats/ekt-v1.md).
 *
 * Threads: pure over the arguments; any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/form/names.h"

#define KS_PUBLIC_HASH_LEN 32U
#define KS_BINDING_LEN_MAX                                                                         \
    (1U + KS_REGION_LEN_MAX + KS_ACCOUNT_LEN + KS_KEY_ID_LEN + KS_MATERIAL_ID_LEN + 5U +           \
     KS_PUBLIC_HASH_LEN)

/* All borrowed. The numbers are those of keystead.storage.v1. */
struct ks_binding {
    struct ks_key_name name;
    const uint8_t *material_id; /* KS_MATERIAL_ID_LEN bytes */
    uint16_t spec;              /* KeySpec, not 0 */
    uint8_t usage;              /* KeyUsage, not 0 */
    uint8_t origin;             /* KeyOrigin, not 0 */
    const uint8_t *public_hash; /* SHA-256 of the public key, DER; NULL: symmetric */
};

/*
 * Encodes a binding.
 *
 * ret_encoded  at least KS_BINDING_LEN_MAX bytes, the caller's. Unspecified after a failure.
 * ret_len      bytes written to ret_encoded. Written on success only.
 *
 * Fails: VALIDATION (a malformed name, a number of 0).
 */
KS_MUST_USE ks_result ks_binding_encode(const struct ks_binding *binding, uint8_t *ret_encoded,
                                        size_t *ret_len);
