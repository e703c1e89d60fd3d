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
 * To be called once the caller is allowed. Checks that the keys exist, that the key of a ciphertext
 * is the one that the request gave, and that state and usage allow the operation. Returns false if
 * the call has been answered with a failure.
 */
bool ks_resolve_allow(struct ks_call *call);
