/*
 * confirm: checks that the frontend's decision rests on what is true now, and makes the decision
 * once more from the keystore's own records. A frontend's ALLOW alone opens nothing.
 *
 * Threads: as the call.
 */
#pragma once

#include <stdbool.h>

#include "services/keystore/execute/call.h"

/*
 * Confirms the decision about a call whose keys were looked up. Returns false if the call has been
 * answered: with STALE_VIEW and the views to decide on, or with ACCESS_DENIED.
 */
bool ks_confirm(struct ks_call *call);
