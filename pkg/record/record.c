#include "pkg/record/record.h"

#include <assert.h>

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

ks_result ks_record_load(const struct ks_store_view *view, ks_bytes key,
                         const ProtobufCMessageDescriptor *type, struct ks_arena *arena,
                         ProtobufCMessage **ret_record, int64_t *ret_revision)
{
    struct ks_store_record record;
    KS_TRY(ks_store_get(view, key, &record));
    KS_TRY(ks_record_read(type, record.value, arena, ret_record));
    *ret_revision = record.revision;
    return KS_RES(OK);
}
