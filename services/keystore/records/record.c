#include "services/keystore/records/record.h"

#include <assert.h>
#include <string.h>

#include "pkg/codec/codec.h"

/* The member that every record starts with, behind protobuf-c's own. */
struct head {
    ProtobufCMessage base;
    uint32_t format;
};

ks_result ks_record_read(const ProtobufCMessageDescriptor *type, ks_bytes value,
                         struct ks_arena *arena, ProtobufCMessage **ret_record)
{
    assert(type->fields[0].id == 1 && type->fields[0].offset == offsetof(struct head, format));

    ProtobufCMessage *record = NULL;
    ks_result result = ks_codec_unpack(type, value, NULL, arena, &record);
    if (result.code == KS_VALIDATION) {
        return KS_RES(CORRUPT);
    }
    KS_TRY(result);
    if (((const struct head *)(const void *)record)->format != KS_RECORD_FORMAT) {
        return KS_RES(CORRUPT);
    }
    *ret_record = record;
    return KS_RES(OK);
}

ks_result ks_record_write(const ProtobufCMessage *record, struct ks_buffer *buffer)
{
    assert(((const struct head *)(const void *)record)->format == KS_RECORD_FORMAT);
    return ks_codec_pack(record, buffer);
}

ks_result ks_record_read_key(ks_bytes value, struct ks_arena *arena,
                             STORED(KeyRecord) * *ret_record)
{
    ProtobufCMessage *message = NULL;
    KS_TRY(ks_record_read(STORED_TYPE(key_record), value, arena, &message));
    STORED(KeyRecord) *record = (STORED(KeyRecord) *)message;
    if (record->n_materials == 0) {
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
