/*
 * commands: what operators can ask for about domain keys. Each may be repeated.
 *
 * Threads: a worker's. Each function waits for the store and the hsm, so none may be called on the
 * store's, the link's or a loop's thread.
 */
#pragma once

#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/store/store.h"
#include "services/keystore/hsmlink/link.h"

/*
 * Shows a roster to the hsm, which checks its signature, and then stores it for all zones. The same
 * roster again changes nothing.
 * Fails: VALIDATION (empty, or number is 0), ACCESS_DENIED (the hsm refuses it, or another roster
 * of this or a higher number is stored), UNAVAILABLE (no hsm, no store, or another writer was
 * faster: ask again).
 */
KS_MUST_USE ks_result ks_command_put_roster(struct ks_store *store, struct ks_hsm_link *link,
                                            uint64_t number, ks_bytes roster);

/*
 * Notes that a generation after `from` is wanted, which the keepers then bring about. If a later one
 * is current already, nothing is noted.
 * ret_current  the generation that is current; also written with VALIDATION, otherwise unspecified
 *              after a failure.
 * Fails: VALIDATION (from is 0, or later than the current one), UNAVAILABLE (none is current yet, no
 * store, or another writer was faster: ask again).
 */
KS_MUST_USE ks_result ks_command_rotate(struct ks_store *store, uint32_t from,
                                        uint32_t *ret_current);
