#include <assert.h>

#include "pkg/base/mem.h"
#include "services/frontend/serve/answer.h"
#include "services/frontend/serve/call.h"
#include "services/frontend/serve/gather.h"

#define RESPONSE_LEN_MAX (64U * 1024U) /* bytes of one entry's response; the largest has 10 KiB */

struct batch;

/* One entry and, once it is done, its outcome. */
struct entry {
    struct batch *batch;
    struct ks_request request;
    struct ks_buffer response;
};

/* A call that is many requests; each is carried out and fails for itself. */
struct batch {
    struct ks_asked asked;
    struct ks_refusal refusal; /* of the call as a whole */
    size_t count;
    size_t pending; /* entries that are not done */
    bool starting;  /* entries are being started: not all that are to come are pending yet */
    struct entry *entries;
};

static void fail(struct batch *batch)
{
    ks_asked_log(&batch->asked, "", batch->refusal.code);
    struct ks_answer_status status;
    ks_answer_status(&batch->refusal, &status);
    ks_rpc_call_fail(batch->asked.call, &status.status);
}

static ks_result gather(struct batch *batch, struct ks_buffer *response)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct entry *entry = &batch->entries[i];
        ks_asked_settle(&batch->asked, &entry->request.refusal);
        KS_TRY(
            ks_gather_result(&entry->request.refusal, ks_buffer_bytes(&entry->response), response));
    }
    return KS_RES(OK);
}

static void finish(struct batch *batch)
{
    KS_BUFFER_AUTO response = {.len_max = KS_GATHER_LEN_MAX};
    if (batch->refusal.code == KS_OK && ks_failed(gather(batch, &response))) {
        (void)ks_refusal_set_code(&batch->refusal, KS_INTERNAL);
    }
    if (batch->refusal.code != KS_OK) {
        fail(batch);
    } else {
        ks_asked_log(&batch->asked, "", KS_OK);
        ks_rpc_call_reply_buffer(batch->asked.call, &response);
    }
    for (size_t i = 0; i < batch->count; i++) {
        ks_request_done(&batch->entries[i].request);
        ks_buffer_done(&batch->entries[i].response);
    }
    ks_free(batch->entries);
    ks_free(batch);
}

static void on_done(struct ks_request *request, ks_bytes response)
{
    struct entry *entry = request->user;
    struct batch *batch = entry->batch;
    if (request->refusal.code == KS_OK && ks_failed(ks_buffer_append(&entry->response, response))) {
        (void)ks_refusal_set_code(&request->refusal, KS_INTERNAL);
    }
    batch->pending--;
    if (batch->pending == 0 && !batch->starting) {
        finish(batch);
    }
}

static void start_entry(struct batch *batch, struct entry *entry, ks_bytes message)
{
    entry->batch = batch;
    entry->response.len_max = RESPONSE_LEN_MAX;
    ks_asked_request(&batch->asked, batch->asked.operation->entry, message, &entry->request);
    entry->request.done = on_done;
    entry->request.user = entry;
    batch->pending++;
    if (ks_failed(ks_request_start(&entry->request))) {
        batch->pending--;
    }
}

static void start(struct batch *batch, const ks_bytes *messages)
{
    batch->entries = ks_alloc(batch->count, sizeof(*batch->entries));
    batch->starting = true;
    ks_lane_cork(batch->asked.lane);
    for (size_t i = 0; i < batch->count; i++) {
        start_entry(batch, &batch->entries[i], messages[i]);
    }
    ks_lane_uncork(batch->asked.lane);
    batch->starting = false;
    if (batch->pending == 0) {
        finish(batch);
    }
}

void ks_batch_handle(void *user, struct ks_rpc_call *call)
{
    struct batch *batch = ks_alloc(1, sizeof(*batch));
    ks_bytes messages[KS_BATCH_ITEMS_MAX];
    ks_result result = ks_asked_init(user, call, &batch->asked, &batch->refusal);
    if (!ks_failed(result)) {
        result = ks_operation_entries(batch->asked.operation, ks_rpc_call_request(call), messages,
                                      &batch->count, &batch->refusal);
    }
    if (ks_failed(result)) {
        finish(batch);
        return;
    }
    start(batch, messages);
}
