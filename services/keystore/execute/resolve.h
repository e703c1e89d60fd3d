/*
 * resolve: from what the client wrote to the keys it means, and whether what the frontend decided
 * on is what stands in the view.
 *
 * Threads: as the call.
 */
#pragma once

#include <stdbool.h>

#include "services/keystore/execute/call.h"

/*
 * Fills call->targets from the request and the view, and notes what that rests on. A key that is not
 * there is a target, too. Answers the call and returns false when an identifier is malformed.
 */
bool ks_resolve(struct ks_call *call);

/*
 * Whether the frontend's decision rests on what is true. Answers the call and returns false if it
 * does not (STALE_VIEW with the views to decide on) and when it is to deny.
 */
bool ks_resolve_confirm(struct ks_call *call);

/*
 * Whether every key is there, is the one that a ciphertext's request names besides, and is in a
 * state that allows the operation. Answers the call and returns false if not.
 */
bool ks_resolve_allow(struct ks_call *call);
