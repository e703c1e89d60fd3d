/*
 * commands: what operators say about domain keys. Each may be repeated, and waits: not on the
 * store's, the link's or a loop's thread.
 */
#pragma once

#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/store/store.h"
#include "services/keystore/hsmlink/link.h"

/*
 * A roster: shown to the hsm, which checks its signature, then put for all zones.
 * Fails: VALIDATION (empty), ACCESS_DENIED (the hsm refuses it, or another roster of this or a
 * higher number stands), UNAVAILABLE (no hsm, no store).
 */
KS_MUST_USE ks_result ks_command_put_roster(struct ks_store *store, struct ks_hsm_link *link,
                                            uint64_t number, ks_bytes roster);

/*
 * A generation after `from` is wanted (0: after the current one). Nothing is done if a later one is
 * current already.
 * ret_current  the current one when this was noted.
 * Fails: VALIDATION (from is later than the current one), UNAVAILABLE (none is current yet, or no
 * store).
 */
KS_MUST_USE ks_result ks_command_rotate(struct ks_store *store, uint32_t from,
                                        uint32_t *ret_current);
