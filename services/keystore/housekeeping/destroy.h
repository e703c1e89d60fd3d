/*
 * destroy: removes a key whose deletion date has passed, its aliases first.
 *
 * Threads: a worker's; it waits.
 */
#pragma once

#include <stdint.h>

#include "pkg/base/result.h"
#include "pkg/store/store.h"
#include "services/keystore/records/name.h"

/*
 * name  of the key's record, key/<account>/<key id>.
 * Fails: CONFLICT (the key, or an alias of it, was changed meanwhile: nothing of this step was
 * done), NOT_FOUND (it is gone), INVALID_STATE (its deletion is not due), CORRUPT, UNAVAILABLE.
 */
KS_MUST_USE ks_result ks_destroy_key(struct ks_store *store, const struct ks_name *name,
                                     int64_t now_ms);
