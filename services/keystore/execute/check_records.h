/*
 * check_records: has the hsm check the records that a call's answer rests on. A client reads nothing
 * that rests on a record which no hsm has found authentic.
 *
 * Threads: as the call.
 */
#pragma once

#include "services/keystore/execute/call.h"

/*
 * Asks the hsm about each record of the call that is not trusted yet, with the view closed, then
 * calls `then`: at once if there is none. Its result is OK, UNAVAILABLE or THROTTLED (the hsm can't
 * be asked), or CORRUPT (one is not authentic: the alarm was raised).
 */
void ks_check_records(struct ks_call *call, void (*then)(struct ks_call *call, ks_result result));
