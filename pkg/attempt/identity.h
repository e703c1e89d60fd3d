/*
 * identity: what makes two requests the same one: the name under which the answer is kept, and the
 * hash of what was asked for. Both are stored, so they must never change.
 *
 * Threads: as the attempt.
 */
#pragma once

#include "pkg/attempt/attempt.h"

/*
 * Fills name, name_len and sha256 of the attempt. On failure they hold
 * nothing of use, and violated_field is set if the request_id is to blame.
 *
 * Fails: VALIDATION (the request_id has not its form), INTERNAL (OpenSSL, no randomness),
 * LIMIT_EXCEEDED (a request or names beyond what is hashed: the owner bounds them below that).
 */
KS_MUST_USE ks_result ks_attempt_identify(struct ks_attempt *attempt,
                                          const struct ks_attempt_identity *identity);
