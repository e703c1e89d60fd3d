#include "services/hsm/answer/records.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "pkg/codec/codec.h"
#include "pkg/crypto/mac.h"
#include "pkg/form/names.h"
#include "services/hsm/answer/handlers.h"
#include "services/hsm/answer/hsm.h"
#include "services/hsm/memory/state.h"

#define FORMAT        1U
#define NAME_LEN_MAX  80U /* gone/key/, an account, a key id */
#define MATERIALS_MAX 16U

#define STATE(name) KEYSTEAD__STORAGE__V1__KEY_STATE__KEY_STATE_##name

ks_result ks_hsm_carry(const HsmBatch *batch, struct ks_arena *arena,
                       struct ks_hsm_carried **ret_carried)
{
    assert(batch && batch->n_records <= KS_HSM_RECORDS_MAX && ret_carried);

    struct ks_hsm_carried *carried =
        ks_arena_alloc(arena, sizeof(*carried) + batch->n_records * sizeof(struct ks_hsm_record));
    if (!carried) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    carried->count = batch->n_records;
    for (size_t i = 0; i < batch->n_records; i++) {
        carried->records[i].name = ks_bytes_of(batch->records[i]->name);
        carried->records[i].value = ks_hsm_field(&batch->records[i]->record);
    }
    *ret_carried = carried;
    return KS_RES(OK);
}

static ks_result unpack(struct ks_arena *arena, ks_bytes body, KeyRecord **ret_key)
{
    struct ProtobufCMessage *message = NULL;
    KS_TRY(ks_codec_unpack(&keystead__storage__v1__key_record__descriptor, body, NULL, arena,
                           &message));
    *ret_key = (KeyRecord *)message;
    return (*ret_key)->format == FORMAT ? KS_RES(OK) : KS_RES(VALIDATION);
}

/* A generation that is gone takes what was checked under it along, also out of the cache. */
static ks_result check_mac(struct ks_hsm *hsm, struct ks_hsm_record *record)
{
    const struct ks_domain_key *domain =
        ks_domain_keys_find(&hsm->domain_keys, record->envelope.generation);
    if (!domain) {
        return KS_RES(UNAVAILABLE);
    }
    if (ks_record_cache_find(hsm->records, record->name, record->value)) {
        return KS_RES(OK);
    }
    ks_result r = ks_authentic_check(domain->records, ks_bytes_of(hsm->region), record->name,
                                     &record->envelope);
    if (r.code == KS_VALIDATION) {
        return KS_RES(CORRUPT);
    }
    KS_TRY(r);
    ks_record_cache_put(hsm->records, record->name, record->value);
    return KS_RES(OK);
}

/* The MAC covers the name, and names are made from bodies: one that passes says what its name says. */
static ks_result check(struct ks_hsm *hsm, struct ks_arena *arena, struct ks_hsm_record *record)
{
    KS_TRY(ks_authentic_read(record->value, &record->envelope));
    KS_TRY(check_mac(hsm, record));
    ks_result r = unpack(arena, record->envelope.body, &record->key);
    return r.code == KS_VALIDATION ? KS_RES(CORRUPT) : r;
}

ks_result ks_hsm_check_all(struct ks_hsm_call *call)
{
    const HsmRequest *request = call->request;
    size_t carried_count = call->carried ? call->carried->count : 0;
    for (size_t i = 0; i < request->n_records; i++) {
        if (request->records[i] >= carried_count) {
            return KS_RES(VALIDATION);
        }
        struct ks_hsm_record *record = &call->carried->records[request->records[i]];
        if (!record->is_checked) {
            record->verdict = check(call->hsm, call->arena, record);
            record->is_checked = true;
        }
        KS_TRY(record->verdict);
    }
    return KS_RES(OK);
}

ks_result ks_hsm_record_at(struct ks_hsm_call *call, uint32_t place,
                           const struct ks_hsm_record **ret_record)
{
    const HsmRequest *request = call->request;
    if (place == 0 || place > request->n_records) {
        return KS_RES(VALIDATION);
    }
    const struct ks_hsm_record *record = &call->carried->records[request->records[place - 1]];
    assert(record->is_checked && record->verdict.code == KS_OK);
    *ret_record = record;
    return KS_RES(OK);
}

ks_result ks_hsm_read_body(struct ks_hsm_call *call, ks_bytes body, KeyRecord **ret_key)
{
    KeyRecord *key = NULL;
    KS_TRY(unpack(call->arena, body, &key));
    if (!ks_is_account(ks_bytes_of(key->account)) || !ks_is_key_id(ks_bytes_of(key->key_id)) ||
        key->state == STATE(UNSPECIFIED) || (unsigned)key->state > STATE(DESTROYED) ||
        key->n_materials > MATERIALS_MAX) {
        return KS_RES(VALIDATION);
    }
    *ret_key = key;
    return KS_RES(OK);
}

/* Room for one more record in the reply. */
static ks_result add_place(struct ks_hsm_call *call, ProtobufCBinaryData **ret_place)
{
    HsmReply *reply = call->reply;
    if (!reply->records) {
        reply->records =
            ks_arena_alloc(call->arena, KS_HSM_CHANGES_MAX * sizeof(ProtobufCBinaryData));
    }
    if (!reply->records) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    assert(reply->n_records < KS_HSM_CHANGES_MAX);
    *ret_place = &reply->records[reply->n_records++];
    return KS_RES(OK);
}

static ks_result write_record(struct ks_hsm_call *call, const struct ks_authentic *envelope)
{
    ProtobufCBinaryData *place = NULL;
    KS_BUFFER_AUTO value = {.len_max = KS_AUTHENTIC_BODY_MAX + KS_AUTHENTIC_EXTRA_MAX};
    KS_TRY(ks_authentic_write(envelope, &value));
    KS_TRY(add_place(call, &place));
    KS_TRY(ks_hsm_place(call->arena, value.len, place));
    memcpy(place->data, value.ptr, value.len);
    return KS_RES(OK);
}

ks_result ks_hsm_make_record(struct ks_hsm_call *call, const KeyRecord *key, uint64_t counter,
                             uint32_t generation)
{
    struct ks_hsm *hsm = call->hsm;
    const struct ks_domain_key *domain = ks_domain_keys_find(&hsm->domain_keys, generation);
    if (!domain) {
        return KS_RES(UNAVAILABLE);
    }
    char name[NAME_LEN_MAX];
    int len = snprintf(name, sizeof(name), "%skey/%s/%s",
                       key->state == STATE(DESTROYED) ? "gone/" : "", key->account, key->key_id);
    assert(len > 0 && (size_t)len < sizeof(name));
    uint8_t mac[KS_AUTHENTIC_MAC_LEN];
    KS_BUFFER_AUTO body = {.len_max = KS_AUTHENTIC_BODY_MAX};
    if (ks_failed(ks_codec_pack(&key->base, &body))) {
        return KS_RES(VALIDATION);
    }
    const struct ks_authentic envelope = {ks_buffer_bytes(&body), counter, generation, mac};
    KS_TRY(ks_authentic_mac(domain->records, ks_bytes_of(hsm->region),
                            (ks_bytes){(const uint8_t *)name, (size_t)len}, &envelope, mac));
    KS_TRY(write_record(call, &envelope));
    call->reply->generation = generation;
    return KS_RES(OK);
}
