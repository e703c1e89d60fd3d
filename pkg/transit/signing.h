/*
 * signing: signatures of the transit forms: over label ‖ 0x00 ‖ body, ECDSA P-384.
 *
 * Threads: pure over the arguments; any. A struct ks_ec_key is used by one thread at a time.
 */
#pragma once

#include "pkg/base/bytes.h"

#define KS_SIGNED_BODY_MAX 16384U /* bytes that are signed at most, the label not counted */

struct ks_ec_key;

/* body is given in parts, read as one run; their sum is at most KS_SIGNED_BODY_MAX. */
struct ks_signed {
    ks_bytes label;
    const ks_bytes *parts;
    size_t part_count;
};

/* Appends long(signature). Fails: LIMIT_EXCEEDED (the buffer's cap), INTERNAL. */
KS_MUST_USE ks_result ks_signed_append(const struct ks_signed *what, const struct ks_ec_key *key,
                                       struct ks_buffer *out);

/* Fails: UNAUTHENTICATED (not key's signature of that). */
KS_MUST_USE ks_result ks_signed_verify(const struct ks_signed *what, const struct ks_ec_key *key,
                                       ks_bytes signature);
