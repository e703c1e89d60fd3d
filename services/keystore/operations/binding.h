/*
 * binding: what the hsm is told about a key, taken from the key's record, and about an encryption
 * context, taken from the request.
 *
 * Threads: as the call.
 */
#pragma once

#include <stddef.h>

#include "services/keystore/execute/call.h"

/* What the target's EKT is bound to; in the arena, borrowing from the target. */
INTERNAL(KeyBinding) * ks_binding_of(struct ks_call *call, const struct ks_target *target,
                                     const STORED(KeyMaterial) * material);

/*
 * A request's map as the hsm's entries; the array stands in the arena, the texts are the request's.
 * entries  of any of the API's ...EncryptionContextEntry types, which have one form.
 */
INTERNAL(ContextEntry) *
    *ks_binding_context(struct ks_call *call, const void *entries, size_t count);

/*
 * The material that a ciphertext was sealed under. NULL: the key never had it, and the call is
 * answered as for any other ciphertext that does not open.
 */
const STORED(KeyMaterial) *
    ks_binding_material(struct ks_call *call, const struct ks_target *target);
