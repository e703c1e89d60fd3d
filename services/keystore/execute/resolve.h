/*
 * resolve: finds the keys that a request names, and checks that they exist, are the right ones, and
 * may be used.
 *
 * Threads: as the call.
 */
#pragma once

#include <stdbool.h>

#include "services/keystore/execute/call.h"

/* Looks up what call->checked names. Returns false if the call has been answered, with INTERNAL. */
bool ks_resolve(struct ks_call *call);

/*
 * Looks up what the client named besides the call's targets, and notes that the answer rests on it.
 * ret_target  its key_id is NULL if it is an alias of no key. Unspecified if false is returned.
 * Returns false if the call has been answered, with INTERNAL.
 */
bool ks_resolve_other(struct ks_call *call, ks_bytes account, ks_bytes name,
                      struct ks_target *ret_target);

/*
 * To be called once the caller is allowed. Checks that the keys exist, that the key of a ciphertext
 * is the one that the request gave, and that state and usage allow the operation. Returns false if
 * the call has been answered with a failure.
 */
bool ks_resolve_allow(struct ks_call *call);
