/*
 * key_commit: changes the record of the one key that a request names.
 *
 * Threads: as the call.
 */
#pragma once

#include "services/keystore/execute/call.h"

/*
 * Returns a copy of the key's record in the view, to be changed. It shares its texts with the
 * record.
 */
STORED(KeyRecord) ks_key_copy(const struct ks_call *call);

/*
 * Has the hsm make the record, commits it in the place of the one that was read, and answers with
 * response. The commit
 * compares the revision at which decision and state were read, and the call begins anew if the
 * record has changed since. record and response aren't used any more when this returns.
 */
void ks_key_commit(struct ks_call *call, const STORED(KeyRecord) * record,
                   const ProtobufCMessage *response);

/*
 * Answers a request that finds the key as it wants it. Nothing of the key is written, but the
 * request's record is committed, and compares the key's revision: a retry is answered from that
 * record, and does nothing to a key that others have changed since (promise 3). response isn't used
 * any more when this returns.
 */
void ks_key_commit_unchanged(struct ks_call *call, const ProtobufCMessage *response);
