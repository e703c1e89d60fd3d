#include <assert.h>

#include <grpc/grpc.h>
#include <grpc/slice.h>

#include "pkg/base/mem.h"
#include "pkg/rpc/loop.h"
#include "pkg/rpc/server_core.h"
#include "pkg/rpc/stream_core.h"

/*
 * Calls asked for ahead, for each row and lane. Each arrival asks for the next one before it is
 * served; more than one only saves the library from queueing those that one read brought.
 */
#define UNARY_AHEAD   64U
#define STREAM_AHEAD  4U
#define UNKNOWN_AHEAD 4U

static void step_new(void *owner, bool ok);

static struct ks_rpc_call *call_new(struct ks_rpc_listener *listener, struct ks_rpc_lane *lane)
{
    struct ks_rpc_call *call = ks_alloc(1, sizeof(*call));
    call->listener = listener;
    call->lane = lane;
    call->on_new = KS_RPC_TAG(step_new, call);
    call->status.text = grpc_empty_slice();
    grpc_metadata_array_init(&call->metadata);
    ks_rpc_server_hold(lane->server);
    return call;
}

static void ask(struct ks_rpc_listener *listener, struct ks_rpc_lane *lane, size_t row_index)
{
    struct ks_rpc_call *call = call_new(listener, lane);
    call->row = &lane->server->rows[row_index];
    call->row_index = row_index;
    grpc_completion_queue *queue = ks_rpc_loop_queue(lane->loop);
    grpc_byte_buffer **payload = call->row->unary ? &call->payload : NULL;
    void *event = ks_rpc_tag_begin(&call->on_new);
    grpc_call_error failed = grpc_server_request_registered_call(
        listener->core, listener->registered[row_index], &call->core, &call->deadline,
        &call->metadata, payload, queue, queue, event);
    assert(failed == GRPC_CALL_OK);
}

static void ask_unknown(struct ks_rpc_listener *listener, struct ks_rpc_lane *lane)
{
    struct ks_rpc_call *call = call_new(listener, lane);
    grpc_call_details_init(&call->details);
    grpc_completion_queue *queue = ks_rpc_loop_queue(lane->loop);
    grpc_call_error failed =
        grpc_server_request_call(listener->core, &call->core, &call->details, &call->metadata,
                                 queue, queue, ks_rpc_tag_begin(&call->on_new));
    assert(failed == GRPC_CALL_OK);
}

static void stream_gone(void *owner, struct ks_rpc_stream *stream)
{
    (void)stream;
    struct ks_rpc_call *call = owner;
    atomic_fetch_sub(&call->lane->server->streams, 1);
    ks_rpc_call_free(call);
}

static void serve_stream(struct ks_rpc_call *call, ks_result admitted)
{
    struct ks_rpc_server *server = call->lane->server;
    struct ks_rpc_stream_setup setup = {
        .call = call->core,
        .loop = call->lane->loop,
        .callbacks = call->row->stream,
        .user = call->row->user,
        .peer = ks_rpc_known_peer(call->peer),
        .message_bytes_max = call->row->request_bytes_max,
        .queue_bytes_max = server->options.stream_queue_bytes_max,
        .one_request = call->row->one_request,
        .gone = stream_gone,
        .owner = call,
    };
    call->core = NULL; /* the stream's now */
    struct ks_rpc_stream *stream = ks_rpc_stream_new(&setup);
    size_t streams = atomic_fetch_add(&server->streams, 1) + 1;
    if (!ks_failed(admitted) && streams > server->options.streams_max) {
        admitted = KS_RES(THROTTLED);
    }
    if (ks_failed(admitted)) {
        ks_rpc_stream_refuse(stream, &(struct ks_rpc_status){.code = admitted.code});
        return;
    }
    ks_rpc_stream_accept(stream);
}

static void ask_again(const struct ks_rpc_call *call)
{
    if (call->row) {
        ask(call->listener, call->lane, call->row_index);
    } else {
        ask_unknown(call->listener, call->lane);
    }
}

static void step_new(void *owner, bool ok)
{
    struct ks_rpc_call *call = owner;
    if (!ok) { /* The listener is shut down. */
        ks_rpc_call_free(call);
        return;
    }
    /* Until the library itself refuses: a call that it has let in must find somebody. */
    ask_again(call);
    ks_result admitted = ks_rpc_peers_find(&call->lane->peers, call->core, &call->peer);
    if (call->listener->is_probe) {
        admitted = KS_RES(OK);
    }
    if (call->row && call->row->stream) {
        serve_stream(call, admitted);
    } else {
        ks_rpc_call_serve(call, admitted);
    }
}

static void serve_lane(struct ks_rpc_listener *listener, struct ks_rpc_lane *lane)
{
    const struct ks_rpc_server *server = listener->server;
    for (size_t row = 0; row < server->row_count; row++) {
        size_t ahead = server->rows[row].unary ? UNARY_AHEAD : STREAM_AHEAD;
        for (size_t i = 0; listener->registered[row] && i < ahead; i++) {
            ask(listener, lane, row);
        }
    }
    for (size_t i = 0; i < UNKNOWN_AHEAD; i++) {
        ask_unknown(listener, lane);
    }
}

void ks_rpc_listener_serve(struct ks_rpc_listener *listener)
{
    for (size_t i = 0; i < listener->server->options.loop_count; i++) {
        serve_lane(listener, &listener->server->lanes[i]);
    }
}
