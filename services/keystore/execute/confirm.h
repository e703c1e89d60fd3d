/*
 * confirm: whether the frontend's decision rests on what stands, and the same decision once more on
 * the keystore's own records: a frontend's ALLOW alone opens nothing.
 *
 * Threads: as the call.
 */
#pragma once

#include <stdbool.h>

#include "services/keystore/execute/call.h"

/*
 * The call's keys were looked up. False: the call is answered, with STALE_VIEW and the views to
 * decide on, or with ACCESS_DENIED.
 */
bool ks_confirm(struct ks_call *call);
