#include "services/keystore/execute/seal.h"

#include <assert.h>
#include <string.h>

#include "pkg/record/record.h"
#include "services/keystore/execute/trust.h"
#include "services/keystore/records/name.h"

ks_result ks_seal_current(struct ks_call *call, uint32_t *ret_generation, int64_t *ret_revision)
{
    struct ks_store_record record;
    ks_result result = ks_store_get(&call->view, KS_NAME_DOMAIN_CURRENT, &record);
    if (result.code == KS_NOT_FOUND) {
        return KS_RES(UNAVAILABLE);
    }
    KS_TRY(result);
    ProtobufCMessage *message = NULL;
    KS_TRY(ks_record_read(STORED_TYPE(current_domain_key), record.value, &call->arena, &message));
    *ret_generation = ((const STORED(CurrentDomainKey) *)message)->generation;
    *ret_revision = record.revision;
    return KS_RES(OK);
}

/* The sealed records before the ops that were there. */
static void put_records(struct ks_call *call, const INTERNAL(HsmReply) * reply)
{
    struct ks_change *change = &call->change;
    struct ks_store_mutation *mutation = &change->mutation;
    struct ks_store_op after[KS_STORE_OPS_MAX];
    size_t after_count = mutation->op_count;
    memcpy(after, mutation->ops, after_count * sizeof(after[0]));
    mutation->op_count = 0;
    for (size_t i = 0; i < reply->n_records; i++) {
        const struct ks_target *target = call->sealing[i];
        struct ks_name name = ks_name_key(target->account, target->key_id);
        ks_change_put_bytes(change, ks_name_bytes(&name), ks_bytes_in(reply->records[i]));
        ks_trust_note(call->env->trust, ks_name_bytes(&name), ks_bytes_in(reply->records[i]));
    }
    assert(mutation->op_count + after_count <= KS_STORE_OPS_MAX);
    memcpy(mutation->ops + mutation->op_count, after, after_count * sizeof(after[0]));
    mutation->op_count += after_count;
}

static void sealed(struct ks_call *call, ks_result result, const INTERNAL(HsmReply) * reply)
{
    if (!ks_failed(result) && reply->n_records != call->sealing_count) {
        result = KS_RES(INTERNAL);
    }
    if (ks_failed(result)) {
        ks_change_done(&call->change);
        call->change = (struct ks_change){.result = KS_RES(OK)};
        ks_call_fail_hsm(call, result, KS_OK);
        return;
    }
    put_records(call, reply);
    ks_call_commit_packed(call);
}

/* The place of a target among the records that the call names: ks_call_ask. */
static uint32_t place_of(const struct ks_call *call, const struct ks_target *target)
{
    return (uint32_t)(target - call->targets) + 1;
}

/* Packed, because the records stand where the caller's stack is. False: the call is answered. */
static bool pack(struct ks_call *call, const STORED(KeyRecord) * record,
                 ProtobufCBinaryData *ret_body)
{
    KS_BUFFER_AUTO body = {.len_max = KS_STORE_VALUE_LEN_MAX};
    if (ks_failed(ks_record_write(&record->base, &body))) {
        ks_call_fail(call, KS_INTERNAL);
        return false;
    }
    ret_body->len = body.len;
    ret_body->data = (uint8_t *)ks_call_dup(call, ks_buffer_bytes(&body));
    return true;
}

static void compare(struct ks_call *call, const struct ks_target *target)
{
    struct ks_name name = ks_name_key(target->account, target->key_id);
    ks_change_compare(&call->change, ks_name_bytes(&name), target->key_revision);
    call->sealing[call->sealing_count++] = target;
}

void ks_seal_commit(struct ks_call *call, const struct ks_seal *seals, size_t count,
                    struct ks_change *change, const ProtobufCMessage *response)
{
    assert(count > 0 && count <= KS_SEAL_MAX);

    INTERNAL(HsmSealRecords) wish = INTERNAL_NEW(HSM_SEAL_RECORDS);
    INTERNAL(HsmChange) changes[KS_SEAL_MAX];
    INTERNAL(HsmChange) * pointers[KS_SEAL_MAX];
    int64_t current_revision = 0;
    ks_change_done(&call->change);
    call->change = change ? *change : (struct ks_change){.result = KS_RES(OK)};
    call->sealing_count = 0;
    if (change) {
        *change = (struct ks_change){.result = KS_RES(OK)};
    }
    ks_result result = ks_seal_current(call, &wish.generation, &current_revision);
    if (ks_failed(result)) {
        ks_call_fail(call, result.code == KS_UNAVAILABLE ? KS_UNAVAILABLE : KS_INTERNAL);
        return;
    }
    ks_change_compare(&call->change, KS_NAME_DOMAIN_CURRENT, current_revision);
    for (size_t i = 0; i < count; i++) {
        changes[i] = (INTERNAL(HsmChange))INTERNAL_NEW(HSM_CHANGE);
        changes[i].previous = place_of(call, seals[i].target);
        pointers[i] = &changes[i];
        compare(call, seals[i].target);
        if (!pack(call, seals[i].record, &changes[i].body)) {
            return;
        }
    }
    if (!ks_call_pack(call, response)) {
        return;
    }
    wish.changes = pointers;
    wish.n_changes = count;
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_SEAL_RECORDS);
    request.seal_records = &wish;
    ks_call_ask(call, &request, sealed);
}
