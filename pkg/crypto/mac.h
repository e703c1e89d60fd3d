/*
 * mac: HMAC-SHA-256 (RFC 2104, FIPS 198-1) under one key. The schedule of the key is computed once,
 * which halves the cost of a call for short inputs.
 *
 * Threads: one at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/secret.h"

#define KS_MAC_LEN 32U

struct ks_mac;

/*
 * Makes a context under key, 1 to 64 bytes, which is borrowed for the call.
 *
 * ret_mac  the caller's, who frees it with ks_mac_free. Written on success only.
 *
 * Fails: VALIDATION (empty key), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_mac_new(const ks_secret *key, struct ks_mac **ret_mac);

/* Changes the key. After a failure the context signs nothing. Fails: as ks_mac_new. */
KS_MUST_USE ks_result ks_mac_set_key(struct ks_mac *mac, const ks_secret *key);

/*
 * Computes the code of the parts as if they were one run. Compare codes with ks_secret_equal.
 *
 * ret_code  unspecified after a failure.
 *
 * Fails: INVALID_STATE (no key), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_mac_sign(struct ks_mac *mac, const ks_bytes *parts, size_t part_count,
                                  uint8_t ret_code[static KS_MAC_LEN]);

/* Wipes the key and frees the context. NULL is allowed. */
void ks_mac_free(struct ks_mac *mac);

/* Cleanup for `KS_MAC_AUTO *mac`. */
void ks_mac_free_at(struct ks_mac **mac);
#define KS_MAC_AUTO KS_CLEANUP(ks_mac_free_at) struct ks_mac
