#include "pkg/rpc/stream.h"

#include <assert.h>

#include <grpc/byte_buffer.h>
#include <grpc/slice.h>

#include "pkg/base/mem.h"
#include "pkg/rpc/loop.h"
#include "pkg/rpc/message.h"
#include "pkg/rpc/peer.h"
#include "pkg/rpc/refusal.h"
#include "pkg/rpc/stream_core.h"

/* Of a stream that was refused: its owner never hears of it. */
static const struct ks_rpc_stream_callbacks nobody = {0};

bool ks_rpc_stream_is_server(const struct ks_rpc_stream *stream)
{
    return stream->setup.peer;
}

void ks_rpc_stream_batch(struct ks_rpc_stream *stream, const grpc_op *ops, size_t count,
                         struct ks_rpc_tag *tag)
{
    grpc_call *call = stream->call;
    void *event = ks_rpc_tag_begin(tag); /* From here on the stream may be on its loop's thread. */
    grpc_call_error failed = grpc_call_start_batch(call, ops, count, event, NULL);
    assert(failed == GRPC_CALL_OK);
}

static void count_pending(struct ks_rpc_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->pending++;
    pthread_mutex_unlock(&stream->lock);
}

static void read_error(const struct ks_rpc_stream *stream, struct ks_rpc_error *error)
{
    if (ks_rpc_stream_is_server(stream)) {
        bool told = stream->finish_sent && !stream->cancelled;
        ks_rpc_error_of_code(error, told ? KS_OK : KS_CANCELLED);
        return;
    }
    ks_rpc_error_read(error, stream->status, &stream->status_text, &stream->trailing);
}

/* Tells the owner, gives the call back and ends the stream's own ref. */
static void end(struct ks_rpc_stream *stream)
{
    struct ks_rpc_error error;
    read_error(stream, &error);
    if (stream->setup.callbacks->on_close) {
        stream->setup.callbacks->on_close(stream->user, stream, &error);
    }
    pthread_mutex_lock(&stream->lock);
    grpc_call *call = stream->call;
    stream->call = NULL;
    ks_rpc_stream_drop_waiting(stream);
    pthread_mutex_unlock(&stream->lock);
    grpc_call_unref(call);
    stream->setup.gone(stream->setup.owner, stream);
    ks_rpc_stream_unref(stream);
}

void ks_rpc_stream_batch_done(struct ks_rpc_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    assert(stream->pending > 0);
    stream->pending--;
    bool over = stream->pending == 0 && stream->closed;
    pthread_mutex_unlock(&stream->lock);
    if (over) {
        end(stream);
    }
}

static void read_next(struct ks_rpc_stream *stream)
{
    if (stream->reading || stream->paused || stream->closed || !stream->opened) {
        return;
    }
    stream->reading = true;
    count_pending(stream);
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};
    op.data.recv_message.recv_message = &stream->received;
    ks_rpc_stream_batch(stream, &op, 1, &stream->on_read);
}

static void half_closed(struct ks_rpc_stream *stream)
{
    if (!ks_rpc_stream_is_server(stream) || stream->closed) {
        return;
    }
    if (stream->setup.callbacks->on_half_close) {
        stream->setup.callbacks->on_half_close(stream->user, stream);
        return;
    }
    ks_rpc_stream_finish(stream, NULL);
}

/* Ends the stream for what the other side sent; nothing more is read. */
static void refuse(struct ks_rpc_stream *stream, ks_code code, const char *text)
{
    stream->paused = true;
    if (ks_rpc_stream_is_server(stream)) {
        ks_rpc_stream_finish(stream, &(struct ks_rpc_status){.code = code, .text = text});
    } else {
        ks_rpc_stream_cancel(stream);
    }
}

/* Hands a message to the owner, or refuses it. Takes raw. */
static void deliver(struct ks_rpc_stream *stream, grpc_byte_buffer *raw)
{
    struct ks_rpc_message message;
    ks_result r = ks_rpc_message_init(&message, raw);
    size_t len_max = stream->setup.message_bytes_max;
    if (ks_failed(r)) {
        refuse(stream, r.code, KS_RPC_REFUSED_COMPRESSED);
    } else if (message.bytes.len > len_max) {
        char text[KS_RPC_REFUSAL_LEN];
        ks_rpc_refusal_too_long(text, message.bytes.len, len_max);
        refuse(stream, KS_LIMIT_EXCEEDED, text);
    } else if (stream->setup.peer && ks_rpc_peer_has_ended(stream->setup.peer)) {
        refuse(stream, KS_UNAUTHENTICATED, KS_RPC_REFUSED_ENDED);
    } else if (stream->setup.callbacks->on_message) {
        stream->setup.callbacks->on_message(stream->user, stream, message.bytes);
    }
    ks_rpc_message_done(&message);
}

/* Keeps the one request until the client's end says that it was the only one. Takes raw. */
static void hold(struct ks_rpc_stream *stream, grpc_byte_buffer *raw)
{
    if (!stream->held) {
        stream->held = raw;
        return;
    }
    grpc_byte_buffer_destroy(raw);
    refuse(stream, KS_UNSUPPORTED, KS_RPC_REFUSED_TWO_MESSAGES);
}

/* The client sends no more, after one message or none. */
static void requested(struct ks_rpc_stream *stream)
{
    grpc_byte_buffer *raw = stream->held;
    stream->held = NULL;
    if (stream->closed || grpc_call_failed_before_recv_message(stream->call)) {
        if (raw) { /* Reset, or too late: the end never came. */
            grpc_byte_buffer_destroy(raw);
        }
    } else if (raw) {
        deliver(stream, raw);
    } else {
        refuse(stream, KS_INTERNAL, KS_RPC_REFUSED_NO_MESSAGE);
    }
}

static void step_read(void *owner, bool ok)
{
    struct ks_rpc_stream *stream = owner;
    stream->reading = false;
    /* NULL is the end, or a part of a message and then the end: never an empty message. */
    grpc_byte_buffer *raw = stream->received;
    stream->received = NULL;
    if (ok && raw) {
        (stream->setup.one_request ? hold : deliver)(stream, raw);
        read_next(stream);
    } else if (stream->setup.one_request) {
        requested(stream);
    } else {
        half_closed(stream);
    }
    ks_rpc_stream_batch_done(stream);
}

static void step_closed(void *owner, bool ok)
{
    (void)ok; /* The closing operations always succeed. */
    struct ks_rpc_stream *stream = owner;
    pthread_mutex_lock(&stream->lock);
    stream->closed = true;
    stream->finish_asked = true;
    stream->finish_started = true; /* There is nobody left to tell. */
    pthread_mutex_unlock(&stream->lock);
    ks_rpc_stream_batch_done(stream);
}

static void step_head(void *owner, bool ok)
{
    struct ks_rpc_stream *stream = owner;
    if (ok && !ks_rpc_stream_is_server(stream) && stream->setup.callbacks->on_open) {
        ks_result ignored = stream->setup.callbacks->on_open(stream->user, stream);
        (void)ignored; /* The server has spoken already. */
    }
    ks_rpc_stream_batch_done(stream);
}

struct ks_rpc_stream *ks_rpc_stream_new(const struct ks_rpc_stream_setup *setup)
{
    assert(setup->call && setup->loop && setup->callbacks && setup->gone);

    struct ks_rpc_stream *stream = ks_alloc(1, sizeof(*stream));
    atomic_init(&stream->refs, 1);
    stream->setup = *setup;
    stream->user = setup->user;
    stream->call = setup->call;
    pthread_mutex_init(&stream->lock, NULL);
    stream->on_head = KS_RPC_TAG(step_head, stream);
    stream->on_read = KS_RPC_TAG(step_read, stream);
    stream->on_write = KS_RPC_TAG(ks_rpc_stream_step_write, stream);
    stream->on_finish = KS_RPC_TAG(ks_rpc_stream_step_finish, stream);
    stream->on_closed = KS_RPC_TAG(step_closed, stream);
    stream->status_text = grpc_empty_slice();
    stream->finish.text = grpc_empty_slice();
    grpc_metadata_array_init(&stream->head);
    grpc_metadata_array_init(&stream->trailing);
    return stream;
}

/* The head goes out at once, so that the client sees its stream stand before the first message. */
static void start_serving(struct ks_rpc_stream *stream)
{
    assert(ks_rpc_stream_is_server(stream));

    grpc_op closed = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    closed.data.recv_close_on_server.cancelled = &stream->cancelled;
    grpc_op head = {.op = GRPC_OP_SEND_INITIAL_METADATA};
    stream->pending = 2;
    ks_rpc_stream_batch(stream, &closed, 1, &stream->on_closed);
    ks_rpc_stream_batch(stream, &head, 1, &stream->on_head);
}

void ks_rpc_stream_refuse(struct ks_rpc_stream *stream, const struct ks_rpc_status *status)
{
    stream->setup.callbacks = &nobody;
    start_serving(stream);
    ks_rpc_stream_finish(stream, status);
}

void ks_rpc_stream_accept(struct ks_rpc_stream *stream)
{
    start_serving(stream);
    ks_result r = KS_RES(OK);
    if (stream->setup.callbacks->on_open) {
        r = stream->setup.callbacks->on_open(stream->user, stream);
    }
    if (ks_failed(r)) {
        stream->setup.callbacks = &nobody;
        ks_rpc_stream_finish(stream, &(struct ks_rpc_status){.code = r.code});
    }
    stream->opened = true;
    read_next(stream);
}

void ks_rpc_stream_start(struct ks_rpc_stream *stream)
{
    assert(!ks_rpc_stream_is_server(stream));

    grpc_op head[2] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_RECV_INITIAL_METADATA},
    };
    head[1].data.recv_initial_metadata.recv_initial_metadata = &stream->head;
    grpc_op message = {.op = GRPC_OP_RECV_MESSAGE};
    message.data.recv_message.recv_message = &stream->received;
    grpc_op closed = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};
    closed.data.recv_status_on_client.trailing_metadata = &stream->trailing;
    closed.data.recv_status_on_client.status = &stream->status;
    closed.data.recv_status_on_client.status_details = &stream->status_text;
    /* Counted before the first event can come, on another thread. */
    stream->pending = 3;
    stream->opened = true;
    stream->reading = true;
    ks_rpc_stream_batch(stream, head, KS_COUNT(head), &stream->on_head);
    ks_rpc_stream_batch(stream, &message, 1, &stream->on_read);
    ks_rpc_stream_batch(stream, &closed, 1, &stream->on_closed);
}

void ks_rpc_stream_pause(struct ks_rpc_stream *stream)
{
    assert(ks_rpc_loop_is_current(stream->setup.loop));

    stream->paused = true;
}

void ks_rpc_stream_resume(struct ks_rpc_stream *stream)
{
    assert(ks_rpc_loop_is_current(stream->setup.loop));

    stream->paused = false;
    read_next(stream);
}

void ks_rpc_stream_set_user(struct ks_rpc_stream *stream, void *user)
{
    stream->user = user;
}

const struct ks_rpc_peer *ks_rpc_stream_peer(const struct ks_rpc_stream *stream)
{
    return stream->setup.peer;
}

struct ks_rpc_loop *ks_rpc_stream_loop(const struct ks_rpc_stream *stream)
{
    return stream->setup.loop;
}

struct ks_rpc_stream *ks_rpc_stream_ref(struct ks_rpc_stream *stream)
{
    atomic_fetch_add(&stream->refs, 1);
    return stream;
}

void ks_rpc_stream_unref(struct ks_rpc_stream *stream)
{
    if (!stream || atomic_fetch_sub(&stream->refs, 1) != 1) {
        return;
    }
    assert(!stream->call);
    assert(!stream->writing);

    grpc_metadata_array_destroy(&stream->head);
    grpc_metadata_array_destroy(&stream->trailing);
    grpc_slice_unref(stream->status_text);
    if (stream->held) {
        grpc_byte_buffer_destroy(stream->held);
    }
    ks_rpc_sent_status_done(&stream->finish);
    pthread_mutex_destroy(&stream->lock);
    ks_free(stream);
}
