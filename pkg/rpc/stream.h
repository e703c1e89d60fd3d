/*
 * stream: sends and receives messages on one call; the interface is the same for server and client.
 *
 * One message is written at a time. Messages that are sent meanwhile wait in order, up to a bound.
 * Large messages are much cheaper for each item, so a sender collects items:
 *
 *     add the item to my batch;
 *     if (ks_rpc_stream_ready(stream)) { send the batch; }        in any thread
 *     on_writable: if my batch is not empty, send it              on the loop's thread
 *
 * No item is left behind: either the stream was ready after the item had been added, or
 * on_writable comes after that. (Senders on several threads guard their batch with their own lock.)
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
     * The stream is open. On the server this comes first; if it fails, the stream is refused and no
     * other callback comes. On the client it tells that the server has answered; the return value
     * is ignored, and the client may send before. A server that refuses the stream may answer, too:
     * then on_close follows at once. If the server can't be reached, only on_close comes. NULL:
     * there is nothing to do.
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
     * The stream has ended. This is the last callback and comes exactly once. error->code is KS_OK
     * after an orderly end: on the client if the server's status was OK, on the server if the
     * client was told the status that finish gave. Afterwards only holders of a ref may use the
     * stream.
     */
    void (*on_close)(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error);
};

/*
 * Sets the user of the callbacks. Until then it is that of the method's row (server) or of open
 * (client). To be called on the loop's thread.
 */
void ks_rpc_stream_set_user(struct ks_rpc_stream *stream, void *user);

/*
 * Returns the peer that opened the stream (server), borrowed until on_close has returned, or NULL
 * (client). Any thread.
 */
const struct ks_rpc_peer *ks_rpc_stream_peer(const struct ks_rpc_stream *stream);

/* Returns the loop that runs the stream's callbacks. Any thread. */
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

/*
 * Returns whether nothing is being written and nothing waits, so that a message sent now goes out
 * at once. Any thread.
 */
bool ks_rpc_stream_ready(const struct ks_rpc_stream *stream);

/*
 * Tells that nothing more will be sent. The messages that wait are written first. On the server the
 * status is sent then, and the stream ends; status NULL means OK. On the client the server sees a
 * half-close; status must be NULL. Any thread. A second call does nothing.
 */
void ks_rpc_stream_finish(struct ks_rpc_stream *stream, const struct ks_rpc_status *status);

/* Ends the stream at once, and drops the messages that wait. on_close follows. Any thread. */
void ks_rpc_stream_cancel(struct ks_rpc_stream *stream);

/*
 * After a pause there is no further on_message until resume; flow control stops the sender. To be
 * called on the loop's thread.
 */
void ks_rpc_stream_pause(struct ks_rpc_stream *stream);
void ks_rpc_stream_resume(struct ks_rpc_stream *stream);

/*
 * A holder of a ref may use the stream after on_close, on any thread: the functions above then do
 * nothing or fail. It must not ask for peer and loop any more, nor set the user.
 */
struct ks_rpc_stream *ks_rpc_stream_ref(struct ks_rpc_stream *stream);
void ks_rpc_stream_unref(struct ks_rpc_stream *stream);
