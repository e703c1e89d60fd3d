/*
 * mac: HMAC-SHA-256 (RFC 2104, FIPS 198-1) under one key, whose schedule is computed once: half
 * the cost of a call for short inputs.
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
 * A context under key, 1 to 64 bytes, which is borrowed for the call. ret_mac is the caller's;
 * free it with ks_mac_free. Fails: VALIDATION (empty key), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_mac_new(const ks_secret *key, struct ks_mac **ret_mac);

/* Changes the key. After a failure the context signs nothing. Fails: as ks_mac_new. */
KS_MUST_USE ks_result ks_mac_set_key(struct ks_mac *mac, const ks_secret *key);

/*
 * The code of the parts, read as if they stood in one run. Compare codes with ks_secret_equal.
 * Fails: INVALID_STATE (no key), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_mac_sign(struct ks_mac *mac, const ks_bytes *parts, size_t part_count,
                                  uint8_t ret_code[static KS_MAC_LEN]);

/* Wipes the key. NULL is fine. */
void ks_mac_free(struct ks_mac *mac);

/* Cleanup for `KS_MAC_AUTO *mac`. */
void ks_mac_free_at(struct ks_mac **mac);
#define KS_MAC_AUTO KS_CLEANUP(ks_mac_free_at) struct ks_mac
