#include "pkg/base/mem.h"
#include "services/frontend/serve/answer.h"
#include "services/frontend/serve/call.h"

/* A call that is one request. */
struct unary {
    struct ks_asked asked;
    struct ks_request request;
};

static void answer(struct unary *unary, ks_bytes response)
{
    struct ks_refusal *refusal = &unary->request.refusal;
    ks_asked_settle(&unary->asked, refusal);
    ks_asked_log(&unary->asked, unary->request.request_id, refusal->code);
    if (refusal->code == KS_OK) {
        ks_rpc_call_reply(unary->asked.call, response);
    } else {
        struct ks_answer_status status;
        ks_answer_status(refusal, &status);
        ks_rpc_call_fail(unary->asked.call, &status.status);
    }
    ks_request_done(&unary->request);
    ks_free(unary);
}

static void on_done(struct ks_request *request, ks_bytes response)
{
    answer(request->user, response);
}

void ks_unary_handle(void *user, struct ks_rpc_call *call)
{
    struct unary *unary = ks_alloc(1, sizeof(*unary));
    struct ks_request *request = &unary->request;
    ks_result result = ks_asked_init(user, call, &unary->asked, &request->refusal);
    if (!ks_failed(result)) {
        ks_asked_request(&unary->asked, unary->asked.operation, ks_rpc_call_request(call), request);
        request->done = on_done;
        request->user = unary;
        result = ks_request_start(request);
    }
    if (ks_failed(result)) {
        answer(unary, (ks_bytes){0});
    }
}
