#include "pkg/store/copy/stored.h"

#include <assert.h>

#include "pkg/store/copy/checksum.h"

void ks_stored_put_u32(uint8_t *place, uint32_t number)
{
    for (unsigned i = 0; i < 4; i++) {
        place[i] = (uint8_t)(number >> (24 - 8 * i));
    }
}

void ks_stored_put_u64(uint8_t *place, uint64_t number)
{
    ks_stored_put_u32(place, (uint32_t)(number >> 32));
    ks_stored_put_u32(place + 4, (uint32_t)number);
}

uint32_t ks_stored_get_u32(const uint8_t *place)
{
    uint32_t number = 0;
    for (unsigned i = 0; i < 4; i++) {
        number = number << 8 | place[i];
    }
    return number;
}

uint64_t ks_stored_get_u64(const uint8_t *place)
{
    return (uint64_t)ks_stored_get_u32(place) << 32 | ks_stored_get_u32(place + 4);
}

static uint32_t sum_of(ks_bytes key, ks_bytes revision, ks_bytes value)
{
    return ks_checksum(ks_checksum(ks_checksum(0, key), revision), value);
}

ks_result ks_stored_encode(const struct ks_store_record *record, struct ks_buffer *buffer)
{
    assert(record->revision >= 0);

    uint8_t head[KS_STORED_HEAD_LEN];
    ks_stored_put_u64(head, (uint64_t)record->revision);
    ks_stored_put_u32(head + 8, sum_of(record->key, (ks_bytes){head, 8}, record->value));
    KS_TRY(ks_buffer_append(buffer, (ks_bytes){head, sizeof(head)}));
    return ks_buffer_append(buffer, record->value);
}

ks_result ks_stored_decode(ks_bytes key, ks_bytes stored, struct ks_store_record *ret_record)
{
    if (stored.len < KS_STORED_HEAD_LEN) {
        return KS_RES(CORRUPT);
    }
    ks_bytes revision = {stored.ptr, 8};
    ks_bytes value = {stored.ptr + KS_STORED_HEAD_LEN, stored.len - KS_STORED_HEAD_LEN};
    if (ks_stored_get_u32(stored.ptr + 8) != sum_of(key, revision, value) ||
        ks_stored_get_u64(stored.ptr) > INT64_MAX) {
        return KS_RES(CORRUPT);
    }
    *ret_record = (struct ks_store_record){
        .key = key, .value = value, .revision = (int64_t)ks_stored_get_u64(stored.ptr)};
    return KS_RES(OK);
}
