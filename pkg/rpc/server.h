/*
 * server: answers calls on a mutual-TLS listener from a table of methods.
 *
 * Whoever connects must chain to the listener's root (TLS) and pass the admit hook (SPIFFE path).
 * A handler of a unary method, or of a stream with one_request, runs when exactly one whole message
 * has come and the client has ended its side, and never otherwise, whatever ends the call. A call
 * that is ended with no message or a part of one is answered INTERNAL; one with a second message is
 * answered UNIMPLEMENTED, as gRPC's status codes say of a "request cardinality violation". (An end
 * in the middle of a second message looks like the end to us: the library drops such a rest.)
 * Other streams take any number of messages, each of them whole.
 *
 * Methods that are not in the table answer UNIMPLEMENTED. Health (grpc.health.v1) and reflection
 * (v1, v1alpha) are always there. Compressed requests are refused: what is sent here does not
 * compress, and a small message may inflate to gigabytes.
 *
 * Threads: handlers run on the threads of the loops that were given; calls are answered from any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/rpc/status.h"
#include "pkg/rpc/stream.h"
#include "pkg/rpc/tls.h"

#define KS_RPC_METHODS_MAX   128U
#define KS_RPC_LOOPS_MAX     16U
#define KS_RPC_HEALTH_MAX    16U   /* services with a health of their own */
#define KS_RPC_WATCHERS_MAX  256U  /* health watches at a time; over it RESOURCE_EXHAUSTED */
#define KS_RPC_METADATA_SIZE 8192U /* bytes of request metadata; over it the call is refused */

struct ks_rpc_loop;
struct ks_rpc_server;
struct ks_rpc_call;

/* Who is at the other end of a connection. Strings are never NULL. */
struct ks_rpc_peer {
    const char *spiffe;          /* its one SPIFFE URI; "" if it has none, or more than one URI */
    const char *certificate_pem; /* "" on the plaintext listener */
    const char *address;         /* "ipv4:127.0.0.1:40312" */
    void *session;               /* what admit left */
};

typedef void (*ks_rpc_unary_fn)(void *user, struct ks_rpc_call *call);

/* A row of the table; exactly one of unary and stream is set. */
struct ks_rpc_method {
    const char *path; /* "/keystead.kms.v1.KeyManagement/Encrypt" */
    ks_rpc_unary_fn unary;
    const struct ks_rpc_stream_callbacks *stream;
    /*
     * A stream whose client sends one message and answers come back: on_message is called once,
     * when the client has ended its side. on_half_close is not called.
     */
    bool one_request;
    void *user;               /* first argument of the handler, first user of the stream */
    size_t request_bytes_max; /* one message; 0: the server's message_bytes_max */
    /*
     * Learn of cancellation while the call is under way (costs about 1 us a call): for unary
     * methods that take longer than a hop. Otherwise ks_rpc_call_cancelled sees the deadline only.
     */
    bool watch_cancel;
};

/* {0} in a field with "default" means that default. */
struct ks_rpc_server_options {
    const char *address; /* "127.0.0.1:7001"; port 0: any, see ks_rpc_server_port */
    /* Plaintext, health only, for probes without a certificate. NULL: none. */
    const char *probe_address;
    struct ks_rpc_tls tls;
    struct ks_rpc_loop *const *loops; /* 1 to KS_RPC_LOOPS_MAX, which outlive the server */
    size_t loop_count;
    const struct ks_rpc_method *methods; /* borrowed as long as the server */
    size_t method_count;
    /*
     * Whether the peer may speak to this listener. Asked for each connection (at least once, on
     * each loop that it is seen on), not for each call: what can change while a connection lasts
     * is checked by the handlers. ret_session (NULL before) is kept as peer->session until forget.
     * Fails with what each call on the connection answers, usually ACCESS_DENIED. NULL: whoever
     * chains to the root.
     */
    ks_result (*admit)(void *user, const struct ks_rpc_peer *peer, void **ret_session);
    void (*forget)(void *user, void *session); /* NULL: nothing to free; not called for NULL */
    void *admit_user;
    /*
     * FileDescriptorSet for reflection, with all imports; borrowed as long as the server. Each
     * method of the table must be in it (that is asserted), unless it is empty. The built-in
     * services and the details of errors are described without it.
     */
    ks_bytes descriptors;

    size_t message_bytes_max;      /* default 4 MiB: one message received */
    size_t calls_max;              /* default 4096 unary calls in progress; over it THROTTLED */
    size_t streams_max;            /* default 1024 streams in progress; over it THROTTLED */
    size_t connection_streams_max; /* default 1024 calls at a time on one connection; more wait */
    size_t stream_queue_bytes_max; /* default KS_RPC_STREAM_QUEUE_BYTES */
    size_t memory_bytes_max;       /* default 512 MiB of the library's buffers */
    int64_t connection_age_max_ms; /* default none; then it is told to reconnect, plus 10 s grace */
};

/*
 * Binds, reads the certificates and starts to serve. Health is NOT_SERVING until it is set.
 *
 * ret_server  free with ks_rpc_server_free. Untouched after a failure.
 *
 * Fails: VALIDATION (certificate files cannot be read or do not fit), CONFLICT (the address cannot
 * be bound), INTERNAL (the library refused).
 */
KS_MUST_USE ks_result ks_rpc_server_new(const struct ks_rpc_server_options *options,
                                        struct ks_rpc_server **ret_server);

/* The port that was bound. Any thread. */
int ks_rpc_server_port(const struct ks_rpc_server *server);
int ks_rpc_server_probe_port(const struct ks_rpc_server *server);

/*
 * Stops without losing calls: says NOT_SERVING to everyone who watches, goes on serving for
 * notice_ms so that clients move away, takes no new calls, and lets those in progress end for up
 * to grace_ms before it cancels them. (The library's own shutdown alone loses calls that arrive
 * before the client has seen it; they end CANCELLED, and no retry policy catches that.)
 * Blocks for as long as that takes; not from a loop's thread. Once.
 */
void ks_rpc_server_drain(struct ks_rpc_server *server, int64_t notice_ms, int64_t grace_ms);

/*
 * Cancels what is left (drains with no notice and no grace if that was not done), waits until every
 * call was answered and every stream closed, and frees. Not from a loop's thread. NULL is fine.
 */
void ks_rpc_server_free(struct ks_rpc_server *server);

/* The service's health: "" is the whole server. At most KS_RPC_HEALTH_MAX names. Any thread. */
void ks_rpc_health_set(struct ks_rpc_server *server, const char *service, bool serving);

/* The unary call: lasts until it is answered, by whatever thread. */

/* The request message, borrowed until the answer; wiped after it. */
ks_bytes ks_rpc_call_request(const struct ks_rpc_call *call);
/* When the client stops waiting, on CLOCK_BOOTTIME; INT64_MAX: never. Nanoseconds. */
int64_t ks_rpc_call_deadline_ns(const struct ks_rpc_call *call);
/* Whether the client has gone (with watch_cancel) or its deadline has passed. Any thread. */
bool ks_rpc_call_cancelled(const struct ks_rpc_call *call);
/* Who asks; borrowed until the answer. */
const struct ks_rpc_peer *ks_rpc_call_peer(const struct ks_rpc_call *call);
/* The loop it came in on. */
struct ks_rpc_loop *ks_rpc_call_loop(const struct ks_rpc_call *call);
/* The row it was sent to. */
const struct ks_rpc_method *ks_rpc_call_method(const struct ks_rpc_call *call);

/* Exactly one of these answers the call; it is gone after that. Any thread. */

/* Success with a copy of response. */
void ks_rpc_call_reply(struct ks_rpc_call *call, ks_bytes response);
/* Success without a copy: takes the bytes of response, which is empty afterwards. */
void ks_rpc_call_reply_buffer(struct ks_rpc_call *call, struct ks_buffer *response);
/* Failure; status->code is not KS_OK. */
void ks_rpc_call_fail(struct ks_rpc_call *call, const struct ks_rpc_status *status);
/* Failure with the row's text. */
void ks_rpc_call_fail_code(struct ks_rpc_call *call, ks_code code);
