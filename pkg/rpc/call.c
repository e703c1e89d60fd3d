#include <assert.h>

#include <grpc/byte_buffer.h>
#include <grpc/support/time.h>

#include "pkg/base/clock.h"
#include "pkg/base/mem.h"
#include "pkg/rpc/server.h"
#include "pkg/rpc/server_core.h"

void ks_rpc_call_free(struct ks_rpc_call *call)
{
    struct ks_rpc_server *server = call->lane->server;
    ks_rpc_message_done(&call->request);
    if (call->payload) {
        grpc_byte_buffer_destroy(call->payload);
    }
    if (call->response) {
        grpc_byte_buffer_destroy(call->response);
    }
    ks_rpc_sent_status_done(&call->status);
    grpc_metadata_array_destroy(&call->metadata);
    if (!call->row) {
        grpc_call_details_destroy(&call->details);
    }
    if (call->core) {
        grpc_call_unref(call->core);
    }
    ks_rpc_known_peer_unref(call->peer);
    ks_free(call);
    ks_rpc_server_release(server);
}

static void drop_pending(struct ks_rpc_call *call)
{
    assert(call->pending > 0);

    call->pending--;
    if (call->pending == 0) {
        ks_rpc_call_free(call);
    }
}

static void step_sent(void *owner, bool ok)
{
    (void)ok; /* A client that has gone needs no answer. */
    struct ks_rpc_call *call = owner;
    atomic_fetch_sub(&call->lane->server->calls, 1);
    drop_pending(call);
}

static void step_closed(void *owner, bool ok)
{
    (void)ok;
    struct ks_rpc_call *call = owner;
    atomic_store(&call->gone, call->closed_early != 0);
    drop_pending(call);
}

static bool watches_cancel(const struct ks_rpc_call *call)
{
    return call->row && call->row->watch_cancel;
}

static grpc_op close_op(struct ks_rpc_call *call)
{
    grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    op.data.recv_close_on_server.cancelled = &call->closed_early;
    return op;
}

static void start(struct ks_rpc_call *call, const grpc_op *ops, size_t count,
                  struct ks_rpc_tag *tag)
{
    grpc_call *core = call->core;
    void *event = ks_rpc_tag_begin(tag); /* From here on the call may be on its loop's thread. */
    grpc_call_error failed = grpc_call_start_batch(core, ops, count, event, NULL);
    assert(failed == GRPC_CALL_OK);
}

/* Sends everything in one batch: one event for a call's whole way out. */
static void answer(struct ks_rpc_call *call, const struct ks_rpc_status *status)
{
    bool answered_before = atomic_exchange(&call->answered, true);
    assert(!answered_before);

    ks_rpc_sent_status_init(&call->status, status);
    grpc_op ops[4] = {{.op = GRPC_OP_SEND_INITIAL_METADATA}};
    size_t count = 1;
    if (call->response) {
        ops[count] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE};
        ops[count++].data.send_message.send_message = call->response;
    }
    ops[count++] = ks_rpc_sent_status_op(&call->status);
    if (!watches_cancel(call)) {
        ops[count++] = close_op(call);
    }
    start(call, ops, count, &call->on_sent);
}

void ks_rpc_call_reply(struct ks_rpc_call *call, ks_bytes response)
{
    assert(call);

    call->response = ks_rpc_message_copy(response);
    answer(call, &(struct ks_rpc_status){.code = KS_OK});
}

void ks_rpc_call_reply_buffer(struct ks_rpc_call *call, struct ks_buffer *response)
{
    assert(call);

    call->response = ks_rpc_message_take(response);
    answer(call, &(struct ks_rpc_status){.code = KS_OK});
}

void ks_rpc_call_fail(struct ks_rpc_call *call, const struct ks_rpc_status *status)
{
    assert(call);
    assert(status->code != KS_OK);

    answer(call, status);
}

void ks_rpc_call_fail_code(struct ks_rpc_call *call, ks_code code)
{
    ks_rpc_call_fail(call, &(struct ks_rpc_status){.code = code});
}

/* What stands in the way of the handler; takes the payload. */
static ks_result check(struct ks_rpc_call *call, size_t calls, ks_result admitted)
{
    const struct ks_rpc_server_options *options = &call->lane->server->options;
    grpc_byte_buffer *payload = call->payload;
    call->payload = NULL;
    KS_TRY(ks_rpc_message_init(&call->request, payload));
    KS_TRY(admitted);
    if (!call->row) {
        return KS_RES(UNSUPPORTED);
    }
    if (calls > options->calls_max) {
        return KS_RES(THROTTLED);
    }
    return call->request.bytes.len > call->row->request_bytes_max ? KS_RES(LIMIT_EXCEEDED)
                                                                  : KS_RES(OK);
}

void ks_rpc_call_serve(struct ks_rpc_call *call, ks_result admitted)
{
    call->on_sent = KS_RPC_TAG(step_sent, call);
    call->on_closed = KS_RPC_TAG(step_closed, call);
    call->pending = 1;
    if (watches_cancel(call)) {
        grpc_op op = close_op(call);
        call->pending = 2;
        start(call, &op, 1, &call->on_closed);
    }
    size_t calls = atomic_fetch_add(&call->lane->server->calls, 1) + 1;
    ks_result r = check(call, calls, admitted);
    if (ks_failed(r)) {
        ks_rpc_call_fail_code(call, r.code);
        return;
    }
    call->row->unary(call->row->user, call);
}

ks_bytes ks_rpc_call_request(const struct ks_rpc_call *call)
{
    return call->request.bytes;
}

int64_t ks_rpc_call_deadline_ns(const struct ks_rpc_call *call)
{
    gpr_timespec deadline = gpr_convert_clock_type(call->deadline, GPR_CLOCK_MONOTONIC);
    if (gpr_time_cmp(deadline, gpr_inf_future(GPR_CLOCK_MONOTONIC)) == 0) {
        return INT64_MAX;
    }
    gpr_timespec left = gpr_time_sub(deadline, gpr_now(GPR_CLOCK_MONOTONIC));
    int64_t now_ns = ks_clock_boot_ns(&ks_clock_system);
    if (left.tv_sec >= INT32_MAX) {
        return INT64_MAX;
    }
    return now_ns + left.tv_sec * KS_NS_PER_S + left.tv_nsec;
}

bool ks_rpc_call_cancelled(const struct ks_rpc_call *call)
{
    return atomic_load(&call->gone) ||
           gpr_time_cmp(gpr_convert_clock_type(call->deadline, GPR_CLOCK_MONOTONIC),
                        gpr_now(GPR_CLOCK_MONOTONIC)) <= 0;
}

const struct ks_rpc_peer *ks_rpc_call_peer(const struct ks_rpc_call *call)
{
    return ks_rpc_known_peer(call->peer);
}

struct ks_rpc_loop *ks_rpc_call_loop(const struct ks_rpc_call *call)
{
    return call->lane->loop;
}

const struct ks_rpc_method *ks_rpc_call_method(const struct ks_rpc_call *call)
{
    return call->row;
}
