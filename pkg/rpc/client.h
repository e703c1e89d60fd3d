/*
 * client: a channel to one server, over mutual TLS 1.3.
 *
 * A channel connects when it is first used, and again by itself after a loss. A call made while the
 * server cannot be reached fails with UNAVAILABLE at once; it does not wait. A call that the server
 * may have seen is never retried. (A call that crossed a server's goodbye was not seen; it is sent
 * again on the next connection.) The server must chain to the CA and its one SPIFFE URI must be the
 * expected one; both are checked in the handshake, before anything of a request is sent. Names and
 * addresses in its certificate do not count.
 *
 * Renewal: the channel looks at the files every KS_RPC_RENEW_MS. When they have changed, it makes a
 * second connection with them, which takes over once it is established. Until then, and if that
 * never happens, the old one is used. Calls and streams end on the connection on which they began.
 * A long stream moves to the new one when the server's connection_age_max_ms ends it, or when its
 * owner opens it anew.
 *
 * Threads: calls are started from any thread; callbacks run on the channel's loop.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/rpc/status.h"
#include "pkg/rpc/stream.h"
#include "pkg/rpc/tls.h"

#define KS_RPC_RENEW_MS 2000

struct ks_rpc_loop;
struct ks_rpc_channel;

struct ks_rpc_channel_options {
    const char *address; /* "127.0.0.1:7001" or "host:7001" */
    struct ks_rpc_tls tls;
    /*
     * The SPIFFE URI that the server must have. One that ends in '/' allows every longer URI that
     * begins with it: "spiffe://keystead/region/ap-seoul-1/keystore/".
     */
    const char *server_spiffe;
    struct ks_rpc_loop *loop; /* outlives the channel */
    size_t message_bytes_max; /* one message received; 0: 4 MiB */
};

/*
 * Makes a channel, which connects when it is first used. The files are read now.
 * ret_channel  free with ks_rpc_channel_free. Untouched after a failure.
 * Fails: VALIDATION (certificate files cannot be read), INTERNAL (the library refused).
 */
KS_MUST_USE ks_result ks_rpc_channel_new(const struct ks_rpc_channel_options *options,
                                         struct ks_rpc_channel **ret_channel);

/*
 * Cancels the calls and streams under way, and those that their callbacks begin, and waits until
 * all callbacks have returned. Not to be called on the loop's thread. NULL is fine.
 */
void ks_rpc_channel_free(struct ks_rpc_channel *channel);

/* How a unary call ended. Borrowed until the callback returns. */
struct ks_rpc_reply {
    ks_bytes response;          /* the message; wiped after the callback. Empty on failure */
    struct ks_rpc_error *error; /* NULL on success */
};

typedef void (*ks_rpc_reply_fn)(void *user, ks_code code, const struct ks_rpc_reply *reply);

/*
 * Sends request (copied) to method ("/package.Service/Method") and calls done(user, ...) exactly
 * once, later, on the channel's loop. method is borrowed until then. deadline_ms counts from now
 * and is above 0. Any thread.
 *
 * done's code is KS_OK, or what the server answered, or UNAVAILABLE, DEADLINE, CANCELLED: after
 * those three the server may have done what was asked.
 */
void ks_rpc_unary(struct ks_rpc_channel *channel, const char *method, ks_bytes request,
                  int64_t deadline_ms, ks_rpc_reply_fn done, void *user);

/* The same with its arguments in a struct, and without a copy. */
struct ks_rpc_unary_options {
    const char *method;
    struct ks_buffer *request; /* its bytes are taken; it is empty afterwards */
    int64_t deadline_ms;
    ks_rpc_reply_fn done;
    void *user;
};
void ks_rpc_unary_buffer(struct ks_rpc_channel *channel,
                         const struct ks_rpc_unary_options *options);

/*
 * Sends and waits: for commands, never on a loop's thread.
 *
 * ret_response  the response is appended to it, on success only.
 * reterr_error  what the callback would get; written on failure only. May be NULL.
 * Fails: what ks_rpc_unary's callback would get; LIMIT_EXCEEDED (ret_response is full).
 */
KS_MUST_USE ks_result ks_rpc_unary_wait(struct ks_rpc_channel *channel,
                                        const struct ks_rpc_unary_options *options,
                                        struct ks_buffer *ret_response,
                                        struct ks_rpc_error *reterr_error);

struct ks_rpc_stream_options {
    const char *method;                              /* borrowed as long as the stream */
    const struct ks_rpc_stream_callbacks *callbacks; /* borrowed as long as the stream */
    void *user;
    size_t queue_bytes_max; /* 0: KS_RPC_STREAM_QUEUE_BYTES */
    /*
     * If not NULL, the stream is written there before any callback, with a ref that the caller has
     * to unref. An owner on another thread needs this, because on_close may come before open
     * returns.
     */
    struct ks_rpc_stream **ret_ref;
};

/*
 * Opens a stream; never NULL. If it fails, on_close says so. The stream is borrowed until on_close
 * has returned (see ret_ref). Any thread.
 */
struct ks_rpc_stream *ks_rpc_stream_open(struct ks_rpc_channel *channel,
                                         const struct ks_rpc_stream_options *options);
