/*
 * binding: makes what the hsm is told about the use of a key, whose record goes along, and about an
 * encryption context, from the request.
 *
 * Threads: as the call.
 */
#pragma once

#include <stddef.h>

#include "services/keystore/execute/call.h"

/*
 * Returns the use of a target of the call; it is in the arena and borrows from the target.
 * material_id  NULL: the current one's.
 */
INTERNAL(KeyUse) *
    ks_binding_use(struct ks_call *call, const struct ks_target *target, const char *material_id);

/*
 * Returns a request's encryption context as the hsm's entries. The array is in the arena; the texts
 * are the request's.
 * entries  of any of the API's ...EncryptionContextEntry types, which have one form.
 */
INTERNAL(ContextEntry) *
    *ks_binding_context(struct ks_call *call, const void *entries, size_t count);

/*
 * Returns the material that a ciphertext was sealed under. If the key never had it, returns NULL
 * and has answered the call, in the same way as for any other ciphertext that does not open.
 */
const STORED(KeyMaterial) *
    ks_binding_material(struct ks_call *call, const struct ks_target *target);
