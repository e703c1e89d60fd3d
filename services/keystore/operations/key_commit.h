/*
 * key_commit: a change of the record of the one key that a request names.
 *
 * Threads: as the call.
 */
#pragma once

#include "services/keystore/execute/call.h"

/* Returns the key as it stands in the view, to be changed; it shares texts with what was read. */
STORED(KeyRecord) ks_key_copy(const struct ks_call *call);

/*
 * Commits the record in the place of the one that was read, and answers with response. The call
 * begins anew if the record has changed meanwhile: what is compared is the revision that the
 * decision and the state were read at. record and response are done with on return.
 */
void ks_key_commit(struct ks_call *call, const STORED(KeyRecord) * record,
                   const ProtobufCMessage *response);
