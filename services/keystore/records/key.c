#include "services/keystore/records/key.h"

#include <assert.h>
#include <string.h>

#include "pkg/arn/name.h"
#include "pkg/authentic/authentic.h"
#include "pkg/operation/bounds.h"
#include "services/keystore/records/name.h"

/* What names and ARNs are made of. */
static bool has_form(const STORED(KeyRecord) * record)
{
    bool valid = ks_account_is_valid(ks_bytes_of(record->account)) &&
                 ks_key_id_is_valid(ks_bytes_of(record->key_id));
    for (size_t i = 0; i < record->n_aliases && valid; i++) {
        valid = ks_alias_is_valid(ks_bytes_of(record->aliases[i]->name));
    }
    return valid;
}

ks_result ks_record_read_key(ks_bytes value, struct ks_arena *arena,
                             STORED(KeyRecord) * *ret_record)
{
    struct ks_authentic envelope;
    ProtobufCMessage *message = NULL;
    KS_TRY(ks_authentic_read(value, &envelope));
    KS_TRY(ks_record_read(STORED_TYPE(key_record), envelope.body, arena, &message));
    STORED(KeyRecord) *record = (STORED(KeyRecord) *)message;
    if (record->n_materials == 0 || record->n_materials > KS_MATERIALS_MAX ||
        record->n_tags > KS_TAGS_MAX || !has_form(record)) {
        return KS_RES(CORRUPT);
    }
    *ret_record = record;
    return KS_RES(OK);
}

ks_result ks_record_read_key_at(ks_bytes name, ks_bytes value, struct ks_arena *arena,
                                STORED(KeyRecord) * *ret_record)
{
    STORED(KeyRecord) *record = NULL;
    KS_TRY(ks_record_read_key(value, arena, &record));
    struct ks_name own = ks_name_key(record->account, record->key_id);
    if (!ks_bytes_equal(ks_name_bytes(&own), name)) {
        return KS_RES(CORRUPT);
    }
    *ret_record = record;
    return KS_RES(OK);
}

const STORED(KeyMaterial) * ks_record_current_material(const STORED(KeyRecord) * record)
{
    assert(record->n_materials > 0);
    return record->materials[record->n_materials - 1];
}

const STORED(KeyMaterial) *
    ks_record_material(const STORED(KeyRecord) * record, const char *material_id)
{
    for (size_t i = 0; i < record->n_materials; i++) {
        if (strcmp(record->materials[i]->material_id, material_id) == 0) {
            return record->materials[i];
        }
    }
    return NULL;
}

const STORED(KeyAlias) * ks_record_alias(const STORED(KeyRecord) * record, const char *name)
{
    for (size_t i = 0; i < record->n_aliases; i++) {
        if (strcmp(record->aliases[i]->name, name) == 0) {
            return record->aliases[i];
        }
    }
    return NULL;
}
