/*
 * naming: finds out which keys and aliases a request names.
 *
 * Private to check.c. Threads: pure; any.
 */
#pragma once

#include "pkg/operation/check.h"

/* Whose request it is, and where. Borrowed. */
struct ks_naming_scene {
    const struct ks_operation *operation;
    const struct ks_home *home;
    const char *account; /* of the caller */
};

/*
 * Reads the identifiers among checked->values, and fills checked->keys.
 * Fails: as ks_operation_check says of identifiers, aliases and ciphertexts; refusal says why, and
 * checked->keys is unspecified.
 */
KS_MUST_USE ks_result ks_naming_find(const struct ks_naming_scene *scene,
                                     struct ks_checked *checked, struct ks_refusal *refusal);
