#include <assert.h>
#include <string.h>

#include "keystead/kms/v1/keys.pb-c.h"
#include "pkg/keystate/keystate.h"
#include "pkg/operation/bounds.h"
#include "services/keystore/execute/call.h"
#include "services/keystore/operations/handlers.h"
#include "services/keystore/operations/key_commit.h"
#include "services/keystore/operations/metadata.h"
#include "services/keystore/records/key.h"

#define MS_PER_DAY (24LL * 3600 * 1000)

/* ks_resolve_allow has asked whether the state allows the move. */
static void move(STORED(KeyRecord) * record, ks_key_event event)
{
    static const STORED(KeyState) stored[KS_KEY_STATE_COUNT] = {
        [KS_KEY_ENABLED] = STORED_ENUM(KEY_STATE__KEY_STATE_ENABLED),
        [KS_KEY_DISABLED] = STORED_ENUM(KEY_STATE__KEY_STATE_DISABLED),
        [KS_KEY_PENDING_DELETION] = STORED_ENUM(KEY_STATE__KEY_STATE_PENDING_DELETION),
    };
    ks_key_state state = KS_KEY_STATE_COUNT;
    for (size_t i = 0; i < KS_KEY_STATE_COUNT; i++) {
        state = stored[i] == record->state ? (ks_key_state)i : state;
    }
    ks_result result = ks_key_step(&state, event);
    assert(!ks_failed(result));
    record->state = stored[state];
}

void ks_run_enable_key(struct ks_call *call)
{
    KMS(EnableKeyResponse) response = KMS_NEW(ENABLE_KEY_RESPONSE);
    STORED(KeyRecord) record = ks_key_copy(call);
    move(&record, KS_KEY_ENABLE);
    if (record.state == call->targets[0].key->state) {
        ks_key_commit_unchanged(call, &response.base);
        return;
    }
    ks_key_commit(call, &record, &response.base);
}

void ks_run_disable_key(struct ks_call *call)
{
    KMS(DisableKeyResponse) response = KMS_NEW(DISABLE_KEY_RESPONSE);
    STORED(KeyRecord) record = ks_key_copy(call);
    move(&record, KS_KEY_DISABLE);
    if (record.state == call->targets[0].key->state) {
        ks_key_commit_unchanged(call, &response.base);
        return;
    }
    ks_key_commit(call, &record, &response.base);
}

static int32_t window_days(const KMS(ScheduleKeyDeletionRequest) * request)
{
    return request->pending_window_in_days_presence_case == 0
               ? KS_DEFAULT_SCHEDULE_KEY_DELETION_PENDING_WINDOW_IN_DAYS
               : request->pending_window_in_days;
}

void ks_run_schedule_key_deletion(struct ks_call *call)
{
    const KMS(ScheduleKeyDeletionRequest) *request =
        (const KMS(ScheduleKeyDeletionRequest) *)call->request;
    STORED(KeyRecord) record = ks_key_copy(call);
    move(&record, KS_KEY_SCHEDULE_DELETION);
    record.deletion_at_ms = ks_call_now_ms(call) + window_days(request) * MS_PER_DAY;

    KMS(ScheduleKeyDeletionResponse) response = KMS_NEW(SCHEDULE_KEY_DELETION_RESPONSE);
    response.key_id = call->targets[0].arn.text;
    response.deletion_date = ks_metadata_time(call, record.deletion_at_ms);
    response.key_state = KMS_ENUM(KEY_STATE__KEY_STATE_PENDING_DELETION);
    response.pending_window_in_days = window_days(request);
    ks_key_commit(call, &record, &response.base);
}

/* Once the date has passed, the keystore on duty may have removed aliases of the key already. */
void ks_run_cancel_key_deletion(struct ks_call *call)
{
    STORED(KeyRecord) record = ks_key_copy(call);
    if (record.deletion_at_ms <= ks_call_now_ms(call)) {
        ks_call_fail_text(call, KS_INVALID_STATE, "%s is being deleted.",
                          call->targets[0].arn.text);
        return;
    }
    move(&record, KS_KEY_CANCEL_DELETION);
    record.deletion_at_ms = 0;

    KMS(CancelKeyDeletionResponse) response = KMS_NEW(CANCEL_KEY_DELETION_RESPONSE);
    response.key_id = call->targets[0].arn.text;
    ks_key_commit(call, &record, &response.base);
}

void ks_run_update_key_description(struct ks_call *call)
{
    const KMS(UpdateKeyDescriptionRequest) *request =
        (const KMS(UpdateKeyDescriptionRequest) *)call->request;
    KMS(UpdateKeyDescriptionResponse) response = KMS_NEW(UPDATE_KEY_DESCRIPTION_RESPONSE);
    STORED(KeyRecord) record = ks_key_copy(call);
    if (strcmp(record.description, request->description) == 0) {
        ks_key_commit_unchanged(call, &response.base);
        return;
    }
    record.description = request->description;
    ks_key_commit(call, &record, &response.base);
}
