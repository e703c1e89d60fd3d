/*
 * context: encodes an encryption context (proto/formats/encryption-context.md). Different sets of
 * pairs always have different encodings.
 *
 * Threads: pure over the arguments; any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"

#define KS_CONTEXT_PAIRS_MAX 128U
#define KS_CONTEXT_PART_MAX  2048U /* bytes of a key or a value */
#define KS_CONTEXT_LEN_MAX   8192U /* bytes of the encoding */

/* Borrowed. */
struct ks_context_pair {
    ks_bytes key;
    ks_bytes value;
};

/*
 * Encodes the pairs; their order does not matter.
 *
 * ret_encoded  at least KS_CONTEXT_LEN_MAX bytes, the caller's; unspecified after a failure.
 * ret_len      written on success only.
 *
 * Fails: VALIDATION (a limit passed, an empty key, a key that stands twice).
 */
KS_MUST_USE ks_result ks_context_encode(const struct ks_context_pair *pairs, size_t count,
                                        uint8_t *ret_encoded, size_t *ret_len);
