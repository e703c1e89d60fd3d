/*
 * resolve: from what a request names to the keys behind it, and whether they are there, are the
 * right ones, and may be used.
 *
 * Threads: as the call.
 */
#pragma once

#include <stdbool.h>

#include "services/keystore/execute/call.h"

/* Looks up what call->checked names. False: the call is answered (INTERNAL). */
bool ks_resolve(struct ks_call *call);

/*
 * Once the caller may: that the keys are there, that a ciphertext's is the one that was given, and
 * that state and usage allow the operation. False: the call is answered.
 */
bool ks_resolve_allow(struct ks_call *call);
