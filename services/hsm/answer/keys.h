/*
 * keys: turns what a keystore sends, a binding and an EKT, into a key that can be used.
 *
 * Threads: one.
 */
#pragma once

#include "services/hsm/specs/spec.h"

struct ks_hsm;

/*
 * Reads a binding, and compares its region with the hsm's own.
 * ret_binding  borrows from message; unspecified after a failure.
 * Fails: VALIDATION (absent, malformed, no material id), ACCESS_DENIED (another region),
 * UNSUPPORTED (a spec, usage or origin that this hsm does not do).
 */
KS_MUST_USE ks_result ks_hsm_read_binding(const struct ks_hsm *hsm, const KeyBinding *message,
                                          struct ks_hsm_binding *ret_binding);

/*
 * Finds the key behind an EKT, ready to be used: in the cache, or else by opening the EKT.
 *
 * ret_key  what the spec's load gave; borrowed until the next key is used. Untouched after a
 *          failure.
 *
 * Fails: UNAVAILABLE (its generation is not held), CORRUPT (the EKT does not open for this
 * binding, or what is in it is no key of this spec), INTERNAL.
 */
KS_MUST_USE ks_result ks_hsm_use_key(struct ks_hsm *hsm, const struct ks_hsm_binding *binding,
                                     ks_bytes ekt, void **ret_key);
