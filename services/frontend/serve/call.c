#include "services/frontend/serve/call.h"

#include <assert.h>

#include "pkg/base/clock.h"
#include "pkg/base/log.h"

static struct ks_lane *lane_of(const struct ks_service *service, const struct ks_rpc_call *call)
{
    const struct ks_rpc_loop *loop = ks_rpc_call_loop(call);
    size_t at = 0;
    while (service->loops[at] != loop) {
        at++;
        assert(at < service->lane_count);
    }
    return service->lanes[at];
}

ks_result ks_asked_init(const struct ks_endpoint *endpoint, struct ks_rpc_call *call,
                        struct ks_asked *asked, struct ks_refusal *refusal)
{
    struct ks_service *service = endpoint->service;
    struct ks_session *session = ks_rpc_call_peer(call)->session;
    int64_t client_deadline_ns = ks_rpc_call_deadline_ns(call);
    int64_t our_deadline_ns = ks_clock_boot_ns(service->clock) + service->timeout_ms * KS_NS_PER_MS;
    *asked = (struct ks_asked){
        .call = call,
        .operation = endpoint->operation,
        .lane = lane_of(service, call),
        .session = session,
        .deadline_ns = client_deadline_ns < our_deadline_ns ? client_deadline_ns : our_deadline_ns,
        .client_deadline_ns = client_deadline_ns,
        .clock = service->clock,
    };
    int64_t now_ms = 0;
    ks_result let_in = ks_lane_now_ms(asked->lane, &now_ms);
    if (!ks_failed(let_in)) {
        let_in = ks_session_check(session, service->identities, now_ms);
    }
    if (ks_failed(let_in)) {
        return ks_refusal_set_code(refusal, let_in.code);
    }
    return KS_RES(OK);
}

void ks_asked_request(const struct ks_asked *asked, const struct ks_operation *operation,
                      ks_bytes message, struct ks_request *request)
{
    request->router = ks_lane_router(asked->lane);
    request->operation = operation;
    request->account = asked->session->account;
    request->principal = asked->session->principal.text;
    request->message = message;
    request->deadline_ns = asked->deadline_ns;
}

void ks_asked_settle(const struct ks_asked *asked, struct ks_refusal *refusal)
{
    if (refusal->code == KS_UNAVAILABLE &&
        ks_clock_boot_ns(asked->clock) >= asked->client_deadline_ns) {
        (void)ks_refusal_set_code(refusal, KS_DEADLINE);
    }
}

void ks_asked_log(const struct ks_asked *asked, const char *request_id, ks_code code)
{
    ks_log(DEBUG, "call", KS_TEXT("method", asked->operation->name),
           KS_TEXT("account", asked->session->account),
           KS_TEXT("principal", asked->session->principal.text), KS_TEXT("request_id", request_id),
           KS_TEXT("code", ks_code_name(code)));
}
