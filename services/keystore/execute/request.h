/*
 * request: exactly once. A mutation's record, request/<account>/<digest>, is committed with it and
 * says what was asked (a hash) and what was answered; whoever asks again within 24 hours gets that
 * answer, and CONFLICT if the parameters differ. Refusals are not recorded.
 *
 * Threads: as the call.
 */
#pragma once

#include <stdbool.h>

#include "services/keystore/execute/call.h"

#define KS_REQUEST_KEPT_MS    (24LL * 3600 * 1000)
#define KS_REQUEST_ID_LEN_MAX 64U

/* Whether the mutation has a request_id of a good form; answers the call and returns false if not. */
bool ks_request_check(struct ks_call *call);

/*
 * Whether the mutation was done already, as the view has it: then the call is answered with what was
 * answered then.
 */
bool ks_request_replay(struct ks_call *call);

/* Adds the record to change. response is the packed answer. Fails: INTERNAL (OpenSSL). */
KS_MUST_USE ks_result ks_request_record(struct ks_call *call, ks_bytes response,
                                        struct ks_change *change);

/* Answers the call from a record that stood already. */
void ks_request_answer(struct ks_call *call, ks_bytes record);
