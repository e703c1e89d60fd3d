/*
 * signing: the signatures of the transit forms, by ECDSA with P-384 over label ‖ 0x00 ‖ body.
 *
 * Threads: pure over the arguments; any thread. A struct ks_ec_key is used by one thread at a time.
 */
#pragma once

#include "pkg/base/bytes.h"

#define KS_SIGNED_BODY_MAX 16384U /* bytes that are signed at most, the label not counted */

struct ks_ec_key;

/* What is signed. The parts count as one run of at most KS_SIGNED_BODY_MAX bytes. All borrowed. */
struct ks_signed {
    ks_bytes label;
    const ks_bytes *parts;
    size_t part_count;
};

/*
 * Signs, and appends the signature behind its length of two bytes.
 * Fails: LIMIT_EXCEEDED (the buffer's cap), INTERNAL; out may then hold a part of it.
 */
KS_MUST_USE ks_result ks_signed_append(const struct ks_signed *what, const struct ks_ec_key *key,
                                       struct ks_buffer *out);

/* Verifies a signature. Fails: UNAUTHENTICATED (it is not key's signature of what). */
KS_MUST_USE ks_result ks_signed_verify(const struct ks_signed *what, const struct ks_ec_key *key,
                                       ks_bytes signature);
