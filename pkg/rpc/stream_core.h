/*
 * stream_core: makes a stream of a call, for the server and the client, and declares what the two
 * halves of a stream share: stream.c has its life and its reading, stream_send.c its queue and its
 * end.
 *
 *     open --(closed by the library, nothing pending)--> over: on_close, call given back
 *
 * Each batch that is handed to the library is counted in pending until its event comes. When the
 * closing event has come and nothing is pending, no event can touch the call any more.
 *
 * Private to pkg/rpc. Threads: the stream's loop, unless said otherwise.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <grpc/grpc.h>

#include "pkg/rpc/status_wire.h"
#include "pkg/rpc/stream.h"
#include "pkg/rpc/tag.h"

struct ks_rpc_stream_setup {
    grpc_call *call; /* taken */
    struct ks_rpc_loop *loop;
    const struct ks_rpc_stream_callbacks *callbacks;
    void *user;
    const struct ks_rpc_peer *peer; /* NULL: this is a client's */
    size_t message_bytes_max;       /* of a message received */
    size_t queue_bytes_max;
    bool one_request; /* server: see ks_rpc_method */
    /* Called after on_close, when the call is gone, so that the maker frees what it has. */
    void (*gone)(void *owner, struct ks_rpc_stream *stream);
    void *owner;
};

/* A message that waits for its turn. */
struct ks_rpc_waiting {
    struct ks_rpc_waiting *next;
    grpc_byte_buffer *raw;
    size_t len;
};

struct ks_rpc_stream {
    atomic_uint refs;
    struct ks_rpc_stream_setup setup;
    void *user; /* loop */

    /* Guards what follows, up to `busy`: senders are on any thread, the library's events on one. */
    pthread_mutex_t lock;
    grpc_call *call; /* NULL: over */
    size_t pending;  /* batches under way */
    struct ks_rpc_waiting *first;
    struct ks_rpc_waiting *last;
    size_t waiting_bytes;
    size_t waiting_count;
    grpc_byte_buffer *writing; /* the message that is being written; NULL: none */
    bool finish_asked;         /* no more sends */
    bool finish_started;
    struct ks_rpc_sent_status finish;

    /* writing is set; on its own so that ks_rpc_stream_ready needs no lock. */
    atomic_bool busy;

    /* The loop's thread only. */
    struct ks_rpc_tag on_head, on_read, on_write, on_finish, on_closed;
    bool opened;
    bool reading;
    bool paused;
    bool finish_sent;
    bool closed; /* the library's last event is here */
    grpc_byte_buffer *received;
    grpc_byte_buffer *held; /* with one_request: the message, until the client's end */
    grpc_metadata_array head;
    grpc_metadata_array trailing;
    grpc_status_code status;
    grpc_slice status_text;
    int cancelled;
};

/*
 * Makes the stream, with a ref that ends when gone is called. Nothing is under way yet. Any thread.
 */
struct ks_rpc_stream *ks_rpc_stream_new(const struct ks_rpc_stream_setup *setup);

/* Accept a stream on the server (on_open is called, then reading begins), or refuse it. */
void ks_rpc_stream_accept(struct ks_rpc_stream *stream);
void ks_rpc_stream_refuse(struct ks_rpc_stream *stream, const struct ks_rpc_status *status);

/* Starts a stream on the client: sends the head and begins to read. Any thread. */
void ks_rpc_stream_start(struct ks_rpc_stream *stream);

/* What stream.c and stream_send.c use of each other. */

/* Returns whether this is the server's side of the stream. */
bool ks_rpc_stream_is_server(const struct ks_rpc_stream *stream);
/* Hands operations to the library; the caller has counted them in pending as one. */
void ks_rpc_stream_batch(struct ks_rpc_stream *stream, const grpc_op *ops, size_t count,
                         struct ks_rpc_tag *tag);
/* Notes that a batch is done. After the last one the stream ends, and may be freed. */
void ks_rpc_stream_batch_done(struct ks_rpc_stream *stream);
/* Drops what waits. Under the lock. */
void ks_rpc_stream_drop_waiting(struct ks_rpc_stream *stream);
/* The steps of the tags of the sending half. */
void ks_rpc_stream_step_write(void *owner, bool ok);
void ks_rpc_stream_step_finish(void *owner, bool ok);
