#include "pkg/authentic/authentic.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/codec/wire.h"
#include "pkg/crypto/kdf.h"
#include "pkg/crypto/mac.h"

#define FORMAT         1U
#define VERSION        1U
#define GENERATION_MAX 99999999U
#define NAME_LEN_MAX   0xffffU
#define REGION_LEN_MAX 255U

/* Numbers of AuthenticatedRecord's fields, which are its order. */
enum { FIELD_FORMAT = 1, FIELD_BODY, FIELD_COUNTER, FIELD_GENERATION, FIELD_MAC, FIELD_END };

static_assert(KS_AUTHENTIC_MAC_LEN == KS_MAC_LEN, "HMAC-SHA-256");

static bool is_sound(const struct ks_authentic *record)
{
    return record->body.len > 0 && record->body.len <= KS_AUTHENTIC_BODY_MAX &&
           record->counter > 0 && record->generation > 0 && record->generation <= GENERATION_MAX;
}

static void take(const struct ks_wire_field *field, struct ks_authentic *record, bool *good)
{
    switch (field->number) {
    case FIELD_FORMAT:
        *good = field->value == FORMAT;
        return;
    case FIELD_BODY:
        record->body = field->bytes;
        return;
    case FIELD_COUNTER:
        record->counter = field->value;
        return;
    case FIELD_GENERATION:
        record->generation = field->value <= GENERATION_MAX ? (uint32_t)field->value : 0;
        return;
    default:
        record->mac = field->bytes.ptr;
        *good = field->bytes.len == KS_AUTHENTIC_MAC_LEN;
        return;
    }
}

/* A tag or a number may be written in more bytes than it needs; the length shows that. */
static bool is_shortest(ks_bytes value, const struct ks_authentic *record)
{
    KS_BUFFER_AUTO again = {.len_max = KS_AUTHENTIC_EXTRA_MAX};
    const struct ks_authentic head = {
        {record->mac, 1}, record->counter, record->generation, record->mac};
    size_t body_len = ks_wire_head_len(FIELD_BODY, record->body.len) + record->body.len;
    size_t one_len = ks_wire_head_len(FIELD_BODY, 1) + 1;
    return !ks_failed(ks_authentic_write(&head, &again)) &&
           value.len == again.len - one_len + body_len;
}

ks_result ks_authentic_read(ks_bytes value, struct ks_authentic *ret_record)
{
    assert(ret_record);

    static const enum ks_wire_type types[] = {
        [FIELD_FORMAT] = KS_WIRE_VARINT,  [FIELD_BODY] = KS_WIRE_BYTES,
        [FIELD_COUNTER] = KS_WIRE_VARINT, [FIELD_GENERATION] = KS_WIRE_VARINT,
        [FIELD_MAC] = KS_WIRE_BYTES,
    };
    struct ks_authentic record = {.counter = 0};
    ks_bytes rest = value;
    for (unsigned number = FIELD_FORMAT; number < FIELD_END; number++) {
        struct ks_wire_field field;
        bool good = true;
        if (rest.len == 0 || ks_failed(ks_wire_next(&rest, &field)) || field.number != number ||
            field.type != types[number]) {
            return KS_RES(CORRUPT);
        }
        take(&field, &record, &good);
        if (!good) {
            return KS_RES(CORRUPT);
        }
    }
    if (rest.len > 0 || !is_sound(&record) || !is_shortest(value, &record)) {
        return KS_RES(CORRUPT);
    }
    *ret_record = record;
    return KS_RES(OK);
}

ks_result ks_authentic_write(const struct ks_authentic *record, struct ks_buffer *out)
{
    assert(record && record->mac && out);

    if (!is_sound(record)) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(ks_wire_put_varint(FIELD_FORMAT, FORMAT, out));
    KS_TRY(ks_wire_put_bytes(FIELD_BODY, record->body, out));
    KS_TRY(ks_wire_put_varint(FIELD_COUNTER, record->counter, out));
    KS_TRY(ks_wire_put_varint(FIELD_GENERATION, record->generation, out));
    return ks_wire_put_bytes(FIELD_MAC, (ks_bytes){record->mac, KS_AUTHENTIC_MAC_LEN}, out);
}

ks_result ks_authentic_key(struct ks_mac *domain, ks_bytes region, ks_secret *ret_key)
{
    assert(domain && ret_key);

    uint8_t context[1 + REGION_LEN_MAX];
    if (region.len == 0 || region.len > REGION_LEN_MAX) {
        return KS_RES(VALIDATION);
    }
    context[0] = (uint8_t)region.len;
    memcpy(context + 1, region.ptr, region.len);
    return ks_kdf_counter(domain, KS_LITERAL("keystead/record-mac/v1"),
                          (ks_bytes){context, 1 + region.len}, KS_AUTHENTIC_MAC_LEN, ret_key);
}

/* Writes an integer of len bytes, big-endian. */
static void put(uint64_t number, size_t len, uint8_t *place)
{
    for (size_t i = 0; i < len; i++) {
        place[i] = (uint8_t)(number >> (8 * (len - 1 - i)));
    }
}

ks_result ks_authentic_mac(struct ks_mac *key, ks_bytes region, ks_bytes name,
                           const struct ks_authentic *record,
                           uint8_t ret_mac[static KS_AUTHENTIC_MAC_LEN])
{
    assert(key && record);

    if (region.len == 0 || region.len > REGION_LEN_MAX || name.len == 0 ||
        name.len > NAME_LEN_MAX || !is_sound(record)) {
        return KS_RES(VALIDATION);
    }
    const uint8_t head[2] = {VERSION, (uint8_t)region.len};
    uint8_t name_len[2];
    uint8_t numbers[8 + 4 + 4];
    put(name.len, 2, name_len);
    put(record->counter, 8, numbers);
    put(record->generation, 4, numbers + 8);
    put(record->body.len, 4, numbers + 12);
    const ks_bytes parts[] = {
        {head, sizeof(head)},       region,       {name_len, sizeof(name_len)}, name,
        {numbers, sizeof(numbers)}, record->body,
    };
    return ks_mac_sign(key, parts, KS_COUNT(parts), ret_mac);
}

ks_result ks_authentic_check(struct ks_mac *key, ks_bytes region, ks_bytes name,
                             const struct ks_authentic *record)
{
    uint8_t mac[KS_AUTHENTIC_MAC_LEN];
    KS_TRY(ks_authentic_mac(key, region, name, record, mac));
    bool same = ks_secret_equal((ks_bytes){mac, sizeof(mac)},
                                (ks_bytes){record->mac, KS_AUTHENTIC_MAC_LEN});
    return same ? KS_RES(OK) : KS_RES(CORRUPT);
}
