#include <assert.h>

#include <grpc/byte_buffer.h>

#include "pkg/base/mem.h"
#include "pkg/rpc/message.h"
#include "pkg/rpc/stream.h"
#include "pkg/rpc/stream_core.h"

/* What comes after a write; each is counted in pending when it is chosen. */
enum next { NOTHING, WRITE, FINISH };

void ks_rpc_stream_drop_waiting(struct ks_rpc_stream *stream)
{
    while (stream->first) {
        struct ks_rpc_waiting *next = stream->first->next;
        grpc_byte_buffer_destroy(stream->first->raw);
        ks_free(stream->first);
        stream->first = next;
    }
    stream->last = NULL;
    stream->waiting_bytes = 0;
    stream->waiting_count = 0;
}

static grpc_byte_buffer *take_waiting(struct ks_rpc_stream *stream)
{
    struct ks_rpc_waiting *first = stream->first;
    if (!first) {
        return NULL;
    }
    grpc_byte_buffer *raw = first->raw;
    stream->first = first->next;
    if (!stream->first) {
        stream->last = NULL;
    }
    stream->waiting_bytes -= first->len;
    stream->waiting_count--;
    ks_free(first);
    return raw;
}

/* Under the lock, with nothing being written. */
static enum next choose_next(struct ks_rpc_stream *stream)
{
    assert(!stream->writing);

    stream->writing = take_waiting(stream);
    if (stream->writing) {
        stream->pending++;
        return WRITE;
    }
    atomic_store(&stream->busy, false);
    if (stream->finish_asked && !stream->finish_started) {
        stream->finish_started = true;
        stream->pending++;
        return FINISH;
    }
    return NOTHING;
}

static void start_write(struct ks_rpc_stream *stream)
{
    grpc_op op = {.op = GRPC_OP_SEND_MESSAGE};
    op.data.send_message.send_message = stream->writing;
    ks_rpc_stream_batch(stream, &op, 1, &stream->on_write);
}

static void start_finish(struct ks_rpc_stream *stream)
{
    grpc_op op = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
    if (ks_rpc_stream_is_server(stream)) {
        op = ks_rpc_sent_status_op(&stream->finish);
    }
    ks_rpc_stream_batch(stream, &op, 1, &stream->on_finish);
}

static void start_next(struct ks_rpc_stream *stream, enum next next)
{
    if (next == WRITE) {
        start_write(stream);
    } else if (next == FINISH) {
        start_finish(stream);
    }
}

void ks_rpc_stream_step_write(void *owner, bool ok)
{
    struct ks_rpc_stream *stream = owner;
    pthread_mutex_lock(&stream->lock);
    grpc_byte_buffer *written = stream->writing;
    stream->writing = NULL;
    if (!ok) {
        ks_rpc_stream_drop_waiting(stream); /* The other side has gone; on_close will say so. */
    }
    enum next next = choose_next(stream);
    bool writable = ok && next == NOTHING && !stream->finish_asked;
    pthread_mutex_unlock(&stream->lock);

    grpc_byte_buffer_destroy(written);
    start_next(stream, next);
    if (writable && stream->setup.callbacks->on_writable) {
        stream->setup.callbacks->on_writable(stream->user, stream);
    }
    ks_rpc_stream_batch_done(stream);
}

void ks_rpc_stream_step_finish(void *owner, bool ok)
{
    struct ks_rpc_stream *stream = owner;
    stream->finish_sent = ok;
    ks_rpc_stream_batch_done(stream);
}

/* A message on its way in: one of the two. */
struct outgoing {
    ks_bytes copied;
    struct ks_buffer *taken;
};

static size_t outgoing_len(const struct outgoing *message)
{
    return message->taken ? message->taken->len : message->copied.len;
}

static grpc_byte_buffer *outgoing_take(const struct outgoing *message)
{
    return message->taken ? ks_rpc_message_take(message->taken)
                          : ks_rpc_message_copy(message->copied);
}

/* Whether one more of that length may wait. Under the lock. */
static bool has_room(const struct ks_rpc_stream *stream, size_t len)
{
    return stream->waiting_count < KS_RPC_STREAM_QUEUE_COUNT &&
           len <= stream->setup.queue_bytes_max - stream->waiting_bytes;
}

static void enqueue(struct ks_rpc_stream *stream, const struct outgoing *message)
{
    struct ks_rpc_waiting *waiting = ks_alloc(1, sizeof(*waiting));
    waiting->len = outgoing_len(message);
    waiting->raw = outgoing_take(message);
    if (stream->last) {
        stream->last->next = waiting;
    } else {
        stream->first = waiting;
    }
    stream->last = waiting;
    stream->waiting_bytes += waiting->len;
    stream->waiting_count++;
}

/* Under the lock. ret_now: the message stands in writing and the caller starts it. */
static ks_result admit(struct ks_rpc_stream *stream, const struct outgoing *message, bool *ret_now)
{
    if (stream->finish_asked || !stream->call) {
        return KS_RES(UNAVAILABLE);
    }
    if (!stream->writing) {
        stream->writing = outgoing_take(message);
        stream->pending++;
        atomic_store(&stream->busy, true);
        *ret_now = true;
        return KS_RES(OK);
    }
    if (!has_room(stream, outgoing_len(message))) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    enqueue(stream, message);
    *ret_now = false;
    return KS_RES(OK);
}

static ks_result send_one(struct ks_rpc_stream *stream, const struct outgoing *message)
{
    bool now = false;
    pthread_mutex_lock(&stream->lock);
    ks_result r = admit(stream, message, &now);
    pthread_mutex_unlock(&stream->lock);
    if (now) {
        /* No lock is needed for the order: who comes later finds writing set, and waits. */
        start_write(stream);
    }
    return r;
}

ks_result ks_rpc_stream_send(struct ks_rpc_stream *stream, ks_bytes message)
{
    assert(stream);

    return send_one(stream, &(struct outgoing){.copied = message});
}

ks_result ks_rpc_stream_send_buffer(struct ks_rpc_stream *stream, struct ks_buffer *message)
{
    assert(stream);
    assert(message);

    return send_one(stream, &(struct outgoing){.taken = message});
}

bool ks_rpc_stream_ready(const struct ks_rpc_stream *stream)
{
    return !atomic_load(&stream->busy);
}

void ks_rpc_stream_finish(struct ks_rpc_stream *stream, const struct ks_rpc_status *status)
{
    assert(ks_rpc_stream_is_server(stream) || !status);

    struct ks_rpc_sent_status finish;
    ks_rpc_sent_status_init(&finish, status ? status : &(struct ks_rpc_status){.code = KS_OK});
    enum next next = NOTHING;
    pthread_mutex_lock(&stream->lock);
    bool first = !stream->finish_asked;
    if (first) {
        stream->finish_asked = true;
        stream->finish = finish;
        next = stream->writing ? NOTHING : choose_next(stream);
    }
    pthread_mutex_unlock(&stream->lock);
    if (!first) {
        ks_rpc_sent_status_done(&finish);
    }
    start_next(stream, next);
}

void ks_rpc_stream_cancel(struct ks_rpc_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->finish_asked = true;
    stream->finish_started = true;
    ks_rpc_stream_drop_waiting(stream);
    if (stream->call) {
        grpc_call_error failed = grpc_call_cancel(stream->call, NULL);
        assert(failed == GRPC_CALL_OK);
    }
    pthread_mutex_unlock(&stream->lock);
}
