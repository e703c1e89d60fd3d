/*
 * key: the stored record of a key, and the key material in it.
 *
 * Threads: pure over the arguments; any.
 */
#pragma once

#include "pkg/record/record.h"
#include "services/keystore/records/message.h"

#define KS_MATERIALS_MAX 16U /* in a key's record; a material is 200 bytes, read with each use */

/*
 * Reads a key's record, which is in its envelope, into arena. Nothing in it is proved: whoever
 * answers with it has the hsm check the envelope. What it says has its form, so that names can be
 * made of it.
 * ret_record  lasts as long as arena, and has at least one material, at most KS_MATERIALS_MAX
 *             materials and KS_TAGS_MAX tags, and an account, a key id and aliases that are valid by
 *             pkg/arn/name.h; unchanged on failure.
 *
 * Fails: as ks_record_read; CORRUPT also if the envelope or a name has not its form, or if the key
 * has no material, or more than that.
 */
KS_MUST_USE ks_result ks_record_read_key(ks_bytes value, struct ks_arena *arena,
                                         STORED(KeyRecord) * *ret_record);

/*
 * The same for a record that was found under name, key/<account>/<key id>.
 * ret_record  is that key's; unchanged on failure.
 * Fails: as ks_record_read_key; CORRUPT also if the record is another key's.
 */
KS_MUST_USE ks_result ks_record_read_key_at(ks_bytes name, ks_bytes value, struct ks_arena *arena,
                                            STORED(KeyRecord) * *ret_record);

/*
 * Returns the material that a key encrypts with, the last one; borrowed from record, which has one:
 * ks_record_read_key has looked.
 */
const STORED(KeyMaterial) * ks_record_current_material(const STORED(KeyRecord) * record);

/* Returns the material with this id, borrowed from record; NULL if the key never had it. */
const STORED(KeyMaterial) *
    ks_record_material(const STORED(KeyRecord) * record, const char *material_id);

/* Returns the alias of this name, with "alias/"; borrowed from record; NULL if it is not its. */
const STORED(KeyAlias) * ks_record_alias(const STORED(KeyRecord) * record, const char *name);
