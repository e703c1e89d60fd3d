/*
 * destroy: removes a key whose deletion date has passed, its aliases first.
 *
 * Threads: a worker's; it waits.
 */
#pragma once

#include <stdint.h>

#include "pkg/base/result.h"
#include "pkg/record/expired.h"
#include "pkg/store/store.h"
#include "services/keystore/hsmlink/link.h"
#include "services/keystore/records/name.h"

/*
 * Destroys a key: commits the removal of its aliases, a few at a time, then that of its record with
 * its tombstone and the record of the destruction. The hsm makes what is put, from the record that
 * it has checked.
 *
 * name    of the key's record, key/<account>/<key id>.
 * now_ms  destruction time (ks_store_destruction_time), which the deletion date is compared with.
 *
 * Fails: CONFLICT (the key, or an alias of it, was changed meanwhile: nothing of the present step
 * was done), NOT_FOUND (the key is gone), INVALID_STATE (its deletion is not due), CORRUPT (also if
 * its record is not authentic), UNAVAILABLE (also if the hsm can't be asked), or as ks_sync_hsm.
 * After a failure some aliases may be gone and the key still there; the next call goes on.
 */
KS_MUST_USE ks_result ks_destroy_key(struct ks_store *store, struct ks_hsm_link *link,
                                     const struct ks_name *name, int64_t now_ms);

/*
 * Calls `destroy` for the keys that were found due, one after the other; its result is that of
 * ks_destroy_key. A failure that is about one key alone (CONFLICT, NOT_FOUND, INVALID_STATE,
 * CORRUPT) is logged, and the next key is taken. After any other failure the store can't be written
 * at present, and each further key would only wait for its time-out: the rest is left to a later
 * pass. Returns how many keys it was called for.
 */
size_t ks_destroy_each(const struct ks_expired *expired,
                       ks_result (*destroy)(void *user, const struct ks_name *name), void *user);
