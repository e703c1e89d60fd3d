/*
 * identifier: which keys and aliases a request names, in the order in which they are decided on and
 * confirmed (internal.v1.ViewVersion).
 *
 * Threads: pure over the arguments; any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "pkg/base/bytes.h"
#include "services/frontend/api/home.h"
#include "services/frontend/api/operation.h"
#include "services/frontend/api/refusal.h"

/* Borrowed from the request, or from the caller's account. */
struct ks_identifier {
    ks_bytes account; /* that the key or alias would be of: 12 digits */
    ks_bytes name;    /* key id, or alias with "alias/" */
};

struct ks_identifiers {
    struct ks_identifier items[KS_IDENTIFIERS_MAX];
    size_t count;
};

/*
 * message has passed ks_check_members.
 * account  the caller's: of what is named without one. Borrowed as long as ret_identifiers.
 *
 * Fails: INVALID_CIPHERTEXT (a blob that is none, or of another region; refusal names the region
 * if it is one that the installation has).
 */
KS_MUST_USE ks_result ks_identifiers_find(const struct ks_operation *operation,
                                          const struct ks_home *home, const char *account,
                                          ks_bytes message, struct ks_identifiers *ret_identifiers,
                                          struct ks_refusal *refusal);
