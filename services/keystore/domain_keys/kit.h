/*
 * kit: the custodian kits of the cell, as the store has them: one record for each period, which stays,
 * because backups of its time are sealed to it. The hsm checks what a kit says; here it is bytes.
 *
 * Threads: any but the store's, the link's and a loop's.
 */
#pragma once

#include <stdint.h>

#include "pkg/base/arena.h"
#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/store/store.h"
#include "services/keystore/hsmlink/link.h"

/* A kit as it is stored; period 0: there is none. */
struct ks_stored_kit {
    uint32_t period;
    ks_bytes kit; /* proto/formats/custodian-kit-v1.md; in the arena */
};

/*
 * Reads the kit of the highest period.
 * ret_kit  untouched after a failure.
 * Fails: CORRUPT (a record can't be read), LIMIT_EXCEEDED (the arena is full), INTERNAL.
 */
KS_MUST_USE ks_result ks_stored_kit_newest(const struct ks_store_view *view, struct ks_arena *arena,
                                           struct ks_stored_kit *ret_kit);

/*
 * Shows a kit to the hsm, which checks its signature, and then stores it for all zones. The same kit
 * again changes nothing.
 * Fails: VALIDATION (empty, or period is 0), ACCESS_DENIED (the hsm refuses it, its period is
 * another one, or another kit of this or a higher period is stored), UNAVAILABLE (no hsm, no store,
 * or another writer was faster: ask again).
 */
KS_MUST_USE ks_result ks_command_put_kit(struct ks_store *store, struct ks_hsm_link *link,
                                         uint32_t period, ks_bytes kit);
