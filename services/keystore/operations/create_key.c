#include <stdio.h>
#include <string.h>

#include "keystead/kms/v1/keys.pb-c.h"
#include "pkg/crypto/random.h"
#include "pkg/keyspec/keyspec.h"
#include "services/keystore/execute/call.h"
#include "services/keystore/execute/seal.h"
#include "services/keystore/execute/trust.h"
#include "services/keystore/operations/default_policy.h"
#include "services/keystore/operations/handlers.h"
#include "services/keystore/operations/metadata.h"
#include "services/keystore/operations/quota.h"
#include "services/keystore/records/key.h"
#include "services/keystore/records/name.h"

#define UUID_LEN 16U

/*
 * What a call knows and has made, over its steps and its tries: a try that meets another change must
 * neither make another key in the hsm nor take another claim on the account's quota.
 */
struct plan {
    const struct ks_keyspec *spec;
    uint32_t usage; /* of spec */
    char key_id[KS_KEY_ID_LEN + 1];
    struct ks_quota_claim claim; /* on the account's keys */
    uint32_t generation;         /* current in this try */
    int64_t current_revision;    /* of domain/current: the key is sealed under what is current */

    /* From the hsm; in the arena. */
    ks_bytes record;          /* of the key; empty: not made yet */
    uint32_t made_generation; /* that it is sealed under */
};

/* No other policy than the default one is obeyed yet. False: the call is answered. */
static bool check_policy(struct ks_call *call)
{
    const KMS(CreateKeyRequest) *request = (const KMS(CreateKeyRequest) *)call->request;
    if (request->policy_presence_case == 0 ||
        ks_policy_is_default(ks_bytes_of(request->policy), call->env->partition,
                             call->item->account)) {
        return true;
    }
    ks_call_fail_text(call, KS_UNSUPPORTED, "Only the default key policy is supported.");
    return false;
}

/* Whether such keys are made; fills spec and usage. Answers the call and returns false if not. */
static bool choose_spec(struct ks_call *call, struct plan *plan)
{
    const KMS(CreateKeyRequest) *request = (const KMS(CreateKeyRequest) *)call->request;
    uint32_t usage = (uint32_t)request->key_usage;
    uint32_t number = (uint32_t)request->key_spec;
    plan->spec = ks_keyspec_of(number == 0 ? KS_KEYSPEC_IF_ABSENT : number);
    ks_result result =
        plan->spec ? ks_keyspec_choose(plan->spec, usage, &plan->usage) : KS_RES(INTERNAL);
    if (result.code == KS_UNSUPPORTED) {
        ks_call_fail_text(call, KS_UNSUPPORTED, "Keys of KeySpec %s are not supported.",
                          plan->spec->name);
    } else if (result.code == KS_VALIDATION && usage == 0) {
        ks_call_fail_text(call, KS_VALIDATION,
                          "You must specify a KeyUsage value for all KMS keys except for symmetric "
                          "encryption keys.");
    } else if (result.code == KS_VALIDATION) {
        ks_call_fail_text(call, KS_VALIDATION, "KeyUsage %s is not compatible with KeySpec %s",
                          ks_key_usage_name(usage), plan->spec->name);
    } else if (ks_failed(result)) {
        ks_call_fail(call, result.code);
    }
    return !ks_failed(result);
}

/* RFC 9562 §5.4: a UUID of version 4. */
static ks_result draw_key_id(char ret_key_id[KS_KEY_ID_LEN + 1])
{
    uint8_t b[UUID_LEN];
    KS_TRY(ks_random_public(b, sizeof(b)));
    b[6] = (uint8_t)((b[6] & 0x0fU) | 0x40U);
    b[8] = (uint8_t)((b[8] & 0x3fU) | 0x80U);
    snprintf(ret_key_id, KS_KEY_ID_LEN + 1,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
             b[15]);
    return KS_RES(OK);
}

static STORED(Tag) * *tags_of(struct ks_call *call, const KMS(CreateKeyRequest) * request)
{
    STORED(Tag) **tags = ks_call_pointers(call, request->n_tags);
    for (size_t i = 0; i < request->n_tags; i++) {
        tags[i] = ks_call_alloc(call, 1, sizeof(*tags[i]));
        *tags[i] = (STORED(Tag))STORED_NEW(TAG);
        tags[i]->key = request->tags[i]->tag_key;
        tags[i]->value = request->tags[i]->tag_value;
    }
    return tags;
}

static void commit_key(struct ks_call *call, const STORED(KeyRecord) * record)
{
    const struct plan *plan = call->state;
    struct ks_name name = ks_name_key(record->account, record->key_id);
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    ks_change_compare(&change, ks_name_bytes(&name), 0);
    ks_change_compare(&change, KS_NAME_DOMAIN_CURRENT, plan->current_revision);
    ks_change_put_bytes(&change, ks_name_bytes(&name), plan->record);
    ks_trust_note(call->env->trust, ks_name_bytes(&name), plan->record);
    ks_quota_guard(&plan->claim, &change);

    struct ks_arn_home home = {call->env->partition, call->env->region, record->account};
    struct ks_arn arn;
    ks_arn_of_key(&home, record->key_id, &arn);
    KMS(CreateKeyResponse) response = KMS_NEW(CREATE_KEY_RESPONSE);
    response.key_metadata = ks_metadata_of(call, record, &arn);
    ks_call_commit(call, &change, &response.base);
}

static void store_key(struct ks_call *call)
{
    const struct plan *plan = call->state;
    STORED(KeyRecord) *record = NULL;
    if (ks_failed(ks_record_read_key(plan->record, &call->arena, &record))) {
        ks_call_fail(call, KS_INTERNAL);
        return;
    }
    commit_key(call, record);
}

static void key_is_made(struct ks_call *call, ks_result result, const INTERNAL(HsmReply) * reply)
{
    if (!ks_failed(result) && reply->n_records != 1) {
        result = KS_RES(INTERNAL);
    }
    if (ks_failed(result)) {
        ks_call_fail_hsm(call, result, KS_OK);
        return;
    }
    struct plan *plan = call->state;
    ks_bytes record = ks_bytes_in(reply->records[0]);
    plan->record = (ks_bytes){(const uint8_t *)ks_call_dup(call, record), record.len};
    plan->made_generation = plan->generation;
    store_key(call);
}

/* The record as it is to be, but for its material, which the hsm makes. */
static STORED(KeyRecord) body_of(struct ks_call *call, const struct plan *plan)
{
    const KMS(CreateKeyRequest) *request = (const KMS(CreateKeyRequest) *)call->request;
    STORED(KeyRecord) record = STORED_NEW(KEY_RECORD);
    record.format = KS_RECORD_FORMAT;
    record.account = call->item->account;
    record.key_id = ks_lend_text(plan->key_id);
    record.state = STORED_ENUM(KEY_STATE__KEY_STATE_ENABLED);
    record.spec = plan->spec->number;
    record.usage = (STORED(KeyUsage))plan->usage;
    record.origin = STORED_ENUM(KEY_ORIGIN__KEY_ORIGIN_AWS_KMS);
    record.description = request->description;
    record.tags = tags_of(call, request);
    record.n_tags = request->n_tags;
    record.created_at_ms = ks_call_now_ms(call);
    return record;
}

static void ask_for_key(struct ks_call *call, const struct plan *plan)
{
    const STORED(KeyRecord) record = body_of(call, plan);
    KS_BUFFER_AUTO body = {.len_max = KS_STORE_VALUE_LEN_MAX};
    if (ks_failed(ks_record_write(&record.base, &body))) {
        ks_call_fail(call, KS_INTERNAL);
        return;
    }
    INTERNAL(HsmCreateKey) create = INTERNAL_NEW(HSM_CREATE_KEY);
    create.body = ks_lend_bytes(ks_buffer_bytes(&body));
    create.generation = plan->generation;
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_CREATE_KEY);
    request.create_key = &create;
    ks_call_ask(call, &request, key_is_made);
}

/* What an earlier try has made is used again, unless it is sealed under another generation. */
static void make_key(struct ks_call *call)
{
    const struct plan *plan = call->state;
    ks_call_close_view(call);
    if (plan->record.ptr && plan->made_generation == plan->generation) {
        store_key(call);
    } else {
        ask_for_key(call, plan);
    }
}

static void refuse_as_full(struct ks_call *call, const struct ks_quota_claim *claim)
{
    ks_call_rest_on(call, claim->newest);
    ks_call_fail_text(call, KS_LIMIT_EXCEEDED, "The account has %u keys, the most it may have.",
                      (unsigned)claim->limit);
}

/* Goes on with the claim, or answers the call with what the quota says. */
static void looked(void *user, ks_result result)
{
    struct ks_call *call = user;
    struct plan *plan = call->state;
    if (result.code == KS_LIMIT_EXCEEDED) {
        refuse_as_full(call, &plan->claim);
    } else if (ks_failed(result)) {
        bool retryable = result.code == KS_UNAVAILABLE || result.code == KS_THROTTLED;
        ks_call_fail(call, retryable ? result.code : KS_INTERNAL);
    } else {
        make_key(call);
    }
}

static void leave(struct ks_call *call)
{
    struct plan *plan = call->state;
    ks_quota_leave(call->env->quota, &plan->claim);
}

/* A later try holds the claim still, and looks at the count in its own view. */
static void claim_room(struct ks_call *call, struct plan *plan)
{
    if (call->at_end) {
        looked(call, ks_quota_look(&call->view, &plan->claim));
        return;
    }
    ks_call_close_view(call);
    plan->claim = (struct ks_quota_claim){
        .prefix = ks_name_keys(call->item->account),
        .limit = ks_quota_keys_max(call->env->quota),
        .done = looked,
        .user = call,
    };
    call->at_end = leave;
    ks_quota_enter(call->env->quota, &plan->claim);
}

/* The plan of the call, which its tries share; a new one in the first try. Fails: INTERNAL. */
static ks_result plan_of(struct ks_call *call, struct plan **ret_plan)
{
    if (!call->state) {
        struct plan *plan = ks_call_alloc(call, 1, sizeof(*plan));
        KS_TRY(draw_key_id(plan->key_id));
        call->state = plan;
    }
    *ret_plan = call->state;
    return KS_RES(OK);
}

void ks_run_create_key(struct ks_call *call)
{
    if (!check_policy(call)) {
        return;
    }
    struct plan *plan = NULL;
    ks_result result = plan_of(call, &plan);
    if (!ks_failed(result) && !choose_spec(call, plan)) {
        return;
    }
    if (!ks_failed(result)) {
        result = ks_seal_current(call, &plan->generation, &plan->current_revision);
    }
    if (ks_failed(result)) {
        ks_call_fail(call, result.code == KS_UNAVAILABLE ? KS_UNAVAILABLE : KS_INTERNAL);
        return;
    }
    claim_room(call, plan);
}
