#include "services/keystore/hsmlink/about.h"

#include <string.h>

#include "pkg/codec/wire.h"

/* Numbers of HsmBatch and HsmRecord. */
#define RECORDS_NUMBER 2U
enum { NAME_NUMBER = 1, RECORD_NUMBER };

static uint8_t *put(unsigned number, ks_bytes bytes, uint8_t *place, ks_bytes *ret_copy)
{
    uint8_t *content = ks_wire_write_head(number, bytes.len, place);
    memcpy(content, bytes.ptr, bytes.len);
    *ret_copy = (ks_bytes){content, bytes.len};
    return content + bytes.len;
}

ks_result ks_about_new(ks_bytes name, ks_bytes record, struct ks_arena *arena,
                       struct ks_about **ret_about)
{
    size_t len = ks_wire_head_len(NAME_NUMBER, name.len) + name.len +
                 ks_wire_head_len(RECORD_NUMBER, record.len) + record.len;
    size_t packed_len = ks_wire_head_len(RECORDS_NUMBER, len) + len;
    struct ks_about *about = ks_arena_alloc(arena, sizeof(*about));
    uint8_t *packed = ks_arena_alloc(arena, packed_len);
    if (!about || !packed) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    uint8_t *place = ks_wire_write_head(RECORDS_NUMBER, len, packed);
    place = put(NAME_NUMBER, name, place, &about->name);
    put(RECORD_NUMBER, record, place, &about->record);
    about->packed = (ks_bytes){packed, packed_len};
    *ret_about = about;
    return KS_RES(OK);
}
