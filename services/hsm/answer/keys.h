/*
 * keys: finds the key that a request wants to use, in the record that it names.
 *
 * Threads: one.
 */
#pragma once

#include "services/hsm/specs/spec.h"

struct ks_hsm_call;

/*
 * Finds the key of a use, ready to be used: in the cache, or else by opening its EKT.
 *
 * needed       what the key must be for.
 * ret_binding  what it is; borrows from the batch. Unspecified after a failure.
 * ret_key      what the spec's load gave; borrowed until the next key is used. Untouched after a
 *              failure.
 *
 * Fails: VALIDATION (no key is named), CORRUPT (the alias is not one of the key's, the EKT does not
 * open, or what is in it is no key of this spec), DISABLED, INVALID_STATE (the state does not allow
 * a use), INVALID_KEY_USAGE, UNSUPPORTED (a spec, usage or origin that this hsm does not do),
 * INVALID_CIPHERTEXT (the key has no such material), UNAVAILABLE (the EKT's generation is not held),
 * INTERNAL.
 */
KS_MUST_USE ks_result ks_hsm_use_key(struct ks_hsm_call *call, const KeyUse *use,
                                     enum ks_key_usage needed, struct ks_hsm_binding *ret_binding,
                                     void **ret_key);
