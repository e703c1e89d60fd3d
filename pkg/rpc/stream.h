/*
 * stream: messages both ways on one call; the same on the server's and the client's side.
 *
 * One message is being written at a time; those sent meanwhile wait in order, up to a bound.
 * Throughput comes from putting many items into one message, so a sender collects:
 *
 *     add the item to my batch;
 *     if (ks_rpc_stream_ready(stream)) { send the batch; }        in any thread
 *     on_writable: if my batch is not empty, send it              on the loop's thread
 *
 * No item is left behind: either the stream was ready after the item had been added, or
 * on_writable comes after that. (Senders on several threads guard their batch with their own lock.)
 * A sender on the loop's own thread gets larger batches by ks_rpc_loop_defer: it defers the sending
 * when it adds the first item, and so gathers what all events that are waiting bring.
 *
 * Threads: callbacks on the stream's loop, one at a time. Functions say from where.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/rpc/status.h"

#define KS_RPC_STREAM_QUEUE_BYTES (8U * 1024U * 1024U) /* default bound of what waits to be sent */
#define KS_RPC_STREAM_QUEUE_COUNT 1024U                /* messages, likewise */

struct ks_rpc_stream;
struct ks_rpc_peer;
struct ks_rpc_loop;

struct ks_rpc_stream_callbacks {
    /*
     * The stream stands. Server: before everything else; a failure refuses the stream and no other
     * callback comes. Client: the server has answered (one that refuses may do so, too: then
     * on_close follows at once); sending is allowed before, and what is returned does not matter.
     * A client whose server cannot be reached gets on_close alone. NULL: nothing to do.
     */
    ks_result (*on_open)(void *user, struct ks_rpc_stream *stream);
    /* A message came; borrowed until the callback returns. The next one is read after that. */
    void (*on_message)(void *user, struct ks_rpc_stream *stream, ks_bytes message);
    /* The last message in the queue has been written: ks_rpc_stream_ready is true. May be NULL. */
    void (*on_writable)(void *user, struct ks_rpc_stream *stream);
    /*
     * Server only: the client sends no more. NULL: the stream ends with OK once the queue is
     * written. Otherwise it goes on until ks_rpc_stream_finish.
     */
    void (*on_half_close)(void *user, struct ks_rpc_stream *stream);
    /*
     * It is over: the last callback, exactly once. error is KS_OK after an orderly end (client:
     * the server's status; server: the client was told the status that finish gave). The stream
     * is gone after it, but for those who hold a ref.
     */
    void (*on_close)(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error);
};

/* The owner's pointer: the method row's user (server) or open's (client) until it is set. Loop. */
void ks_rpc_stream_set_user(struct ks_rpc_stream *stream, void *user);

/* Server: who opened it, borrowed until on_close has returned. Client: NULL. Any thread. */
const struct ks_rpc_peer *ks_rpc_stream_peer(const struct ks_rpc_stream *stream);

/* The loop that runs its callbacks. Any thread. */
struct ks_rpc_loop *ks_rpc_stream_loop(const struct ks_rpc_stream *stream);

/*
 * Sends a copy of message, after those sent before. Any thread, with a ref or inside a callback.
 * Fails: LIMIT_EXCEEDED (the queue is full; nothing was taken), UNAVAILABLE (it is over or was
 * finished; nothing was taken).
 */
KS_MUST_USE ks_result ks_rpc_stream_send(struct ks_rpc_stream *stream, ks_bytes message);

/*
 * The same without a copy: takes the bytes of message.
 * message  empty after a success, unchanged after a failure.
 * Fails: as ks_rpc_stream_send.
 */
KS_MUST_USE ks_result ks_rpc_stream_send_buffer(struct ks_rpc_stream *stream,
                                                struct ks_buffer *message);

/* Whether nothing is being written and nothing waits: what is sent now goes out at once. Any. */
bool ks_rpc_stream_ready(const struct ks_rpc_stream *stream);

/*
 * Nothing more will be sent. What waits is written first. Server: then the status goes out and
 * the stream ends; status NULL is OK. Client: the server sees a half-close, status must be NULL.
 * Any thread; a second call does nothing.
 */
void ks_rpc_stream_finish(struct ks_rpc_stream *stream, const struct ks_rpc_status *status);

/* Ends it at once; what waits is dropped. on_close follows. Any thread. */
void ks_rpc_stream_cancel(struct ks_rpc_stream *stream);

/* No further on_message until resume; the sender feels it by flow control. On the loop's thread. */
void ks_rpc_stream_pause(struct ks_rpc_stream *stream);
void ks_rpc_stream_resume(struct ks_rpc_stream *stream);

/*
 * For who may use it after on_close, from whatever thread: all of the above then does nothing or
 * fails. The owner's pointer, peer and loop are not to be asked for any more.
 */
struct ks_rpc_stream *ks_rpc_stream_ref(struct ks_rpc_stream *stream);
void ks_rpc_stream_unref(struct ks_rpc_stream *stream);
