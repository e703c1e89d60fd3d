/*
 * seal: has the hsm make the records that a call puts, and commits them. A keystore has no key to
 * make one itself.
 *
 * Threads: as the call.
 */
#pragma once

#include "services/keystore/execute/call.h"

#define KS_SEAL_MAX 2U /* records of one mutation */

struct ks_seal {
    const struct ks_target *target;   /* of the call: the key whose record it is */
    const STORED(KeyRecord) * record; /* what comes in the place of the one that was read */
};

/*
 * Finds the generation that is current, and its record's revision, which every commit of a record
 * compares: no record is put under an older one once a newer one is current.
 * Fails: UNAVAILABLE (none is current yet), CORRUPT; both outputs are untouched then.
 */
KS_MUST_USE ks_result ks_seal_current(struct ks_call *call, uint32_t *ret_generation,
                                      int64_t *ret_revision);

/*
 * Has the records made, then commits them with change, and answers with response. The commit
 * compares the revisions at which the keys were read. The records stand before change's own ops:
 * what names a key is put after the key knows of it.
 *
 * change    taken over; the caller's is empty afterwards. NULL: nothing but the records.
 * response  not used any more when this returns, as the records are not.
 */
void ks_seal_commit(struct ks_call *call, const struct ks_seal *seals, size_t count,
                    struct ks_change *change, const ProtobufCMessage *response);
