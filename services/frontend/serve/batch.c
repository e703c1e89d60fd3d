#include <assert.h>

#include "pkg/base/mem.h"
#include "services/frontend/serve/answer.h"
#include "services/frontend/serve/call.h"
#include "services/frontend/serve/gather.h"

#define RESPONSE_LEN_MAX (64U * 1024U) /* bytes of one entry's response; the largest has 10 KiB */
#define RESULT_HEAD_LEN  8U            /* bytes of a result around a response of a usual length */

struct batch;

/* One entry and, once it is done, its outcome. */
struct entry {
    struct batch *batch;
    struct ks_request request;
    bool is_done;
    struct ks_buffer kept; /* the response of one that was done before its turn */
};

/* A call that is many requests; each is carried out and fails for itself. */
struct batch {
    struct ks_asked asked;
    struct ks_refusal refusal; /* of the call as a whole */
    size_t count;
    struct entry *entries;
    /*
     * Results stand in the order of the entries. Keystores mostly answer in that order, too, so a
     * response goes into the call's at once, and is kept only where one before it is missing.
     */
    size_t gathered; /* entries whose results stand in response */
    struct ks_buffer response;
};

static void fail(struct batch *batch)
{
    ks_asked_log(&batch->asked, "", batch->refusal.code);
    struct ks_answer_status status;
    ks_answer_status(&batch->refusal, &status);
    ks_rpc_call_fail(batch->asked.call, &status.status);
}

static void finish(struct batch *batch)
{
    if (batch->refusal.code != KS_OK) {
        fail(batch);
    } else {
        ks_asked_log(&batch->asked, "", KS_OK);
        ks_rpc_call_reply_buffer(batch->asked.call, &batch->response);
    }
    for (size_t i = 0; i < batch->count; i++) {
        ks_request_done(&batch->entries[i].request);
        ks_buffer_done(&batch->entries[i].kept);
    }
    ks_buffer_done(&batch->response);
    ks_free(batch->entries);
    ks_free(batch);
}

/* Makes room for all results, which mostly are about as long as the first: one that is not grows. */
static ks_result reserve(struct batch *batch, size_t len)
{
    size_t room = batch->count * (len + RESULT_HEAD_LEN);
    return ks_buffer_reserve(&batch->response, room < KS_GATHER_LEN_MAX ? room : KS_GATHER_LEN_MAX);
}

/* Appends the result of the entry whose turn it is. */
static void gather(struct batch *batch, ks_bytes response)
{
    if (batch->gathered == 0 && ks_failed(reserve(batch, response.len))) {
        (void)ks_refusal_set_code(&batch->refusal, KS_INTERNAL);
    }
    struct entry *entry = &batch->entries[batch->gathered++];
    struct ks_refusal *refusal = &entry->request.refusal;
    ks_asked_settle(&batch->asked, refusal);
    if (batch->refusal.code == KS_OK &&
        ks_failed(ks_gather_result(refusal, response, &batch->response))) {
        (void)ks_refusal_set_code(&batch->refusal, KS_INTERNAL);
    }
}

/* Appends the results of those that have waited for their turn; the last one ends the batch. */
static void go_on(struct batch *batch)
{
    while (batch->gathered < batch->count && batch->entries[batch->gathered].is_done) {
        gather(batch, ks_buffer_bytes(&batch->entries[batch->gathered].kept));
    }
    if (batch->gathered == batch->count) {
        finish(batch);
    }
}

/* response is borrowed: it goes into the call's response now, or a copy of it is kept. */
static void on_done(struct ks_request *request, ks_bytes response)
{
    struct entry *entry = request->user;
    struct batch *batch = entry->batch;
    entry->is_done = true;
    if (entry == &batch->entries[batch->gathered]) {
        gather(batch, response);
        go_on(batch);
    } else if (request->refusal.code == KS_OK &&
               ks_failed(ks_buffer_append(&entry->kept, response))) {
        (void)ks_refusal_set_code(&request->refusal, KS_INTERNAL);
    }
}

static void start_entry(struct batch *batch, struct entry *entry, ks_bytes message)
{
    entry->batch = batch;
    entry->kept.len_max = RESPONSE_LEN_MAX;
    ks_asked_request(&batch->asked, batch->asked.operation->entry, message, &entry->request);
    entry->request.done = on_done;
    entry->request.user = entry;
    entry->is_done = ks_failed(ks_request_start(&entry->request));
}

static void start(struct batch *batch, const ks_bytes *messages)
{
    batch->entries = ks_alloc(batch->count, sizeof(*batch->entries));
    batch->response.len_max = KS_GATHER_LEN_MAX;
    ks_lane_cork(batch->asked.lane);
    for (size_t i = 0; i < batch->count; i++) {
        start_entry(batch, &batch->entries[i], messages[i]);
    }
    ks_lane_uncork(batch->asked.lane);
    go_on(batch);
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
