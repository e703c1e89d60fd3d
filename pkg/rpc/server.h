/*
 * server: answers calls on a mutual-TLS listener from a table of methods.
 *
 * A client's certificate must chain to the listener's root (TLS) and pass the admit hook (SPIFFE
 * path). A handler of a unary method, or of a stream with one_request, runs when exactly one whole
 * message has come and the client has ended its side, and never otherwise, whatever ends the call.
 * A call that is ended with no message or a part of one is answered INTERNAL; one with a second
 * message is answered UNIMPLEMENTED, as gRPC's status codes say of a "request cardinality
 * violation". (If the client ends in the middle of a second message, the library drops that part
 * and tells us only of the end.) Other streams take any number of messages, each of them whole.
 *
 * Methods that are not in the table answer UNIMPLEMENTED. Health (grpc.health.v1) and reflection
 * (v1, v1alpha) are always there. Compressed requests are refused: a small message could inflate to
 * gigabytes, and the API's messages hardly compress.
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
    int64_t not_after_s;         /* of the certificate, since 1970; 0: not known */
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
     * Whether ks_rpc_call_cancelled learns that the client has gone while the call is under way. It
     * costs about 1 us a call, and is worth it for unary methods that take long. Without it only
     * the deadline is seen.
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
     * Decides whether the peer may use this listener. It is called for each connection, once on
     * each loop that sees the connection or more often, but not for each call: handlers check what
     * can change while a connection lasts. ret_session (NULL before) is kept as peer->session until
     * forget. Fails with the code that each call on the connection is answered with, usually
     * ACCESS_DENIED. NULL: every peer that chains to the root is admitted.
     */
    ks_result (*admit)(void *user, const struct ks_rpc_peer *peer, void **ret_session);
    void (*forget)(void *user, void *session); /* NULL: nothing to free; not called for NULL */
    void *admit_user;
    /*
     * Reads when a certificate (PEM) ends, in seconds since 1970; 0: it can't be read. From then on
     * calls and new streams of a connection that stands are answered UNAUTHENTICATED, and a stream on
     * which a message comes is ended. NULL: the handshake alone checks.
     */
    int64_t (*not_after_s)(const char *certificate_pem);
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

/* Return the ports that were bound. Any thread. */
int ks_rpc_server_port(const struct ks_rpc_server *server);
int ks_rpc_server_probe_port(const struct ks_rpc_server *server);

/*
 * Stops without losing calls. It tells everyone that watches health NOT_SERVING, and serves on for
 * notice_ms so that clients move away. Then it takes no new calls, and waits up to grace_ms for
 * those in progress before it cancels them. (The library's own shutdown loses calls that arrive
 * before the client has seen it: they end CANCELLED, which no retry policy repeats.) It blocks for
 * as long as that takes, so it must not be called on a loop's thread. To be called once.
 */
void ks_rpc_server_drain(struct ks_rpc_server *server, int64_t notice_ms, int64_t grace_ms);

/*
 * Cancels what is left (drains with no notice and no grace if that was not done), waits until every
 * call was answered and every stream closed, and frees. Not from a loop's thread. NULL is fine.
 */
void ks_rpc_server_free(struct ks_rpc_server *server);

/*
 * Sets a service's health; "" is the whole server. There may be KS_RPC_HEALTH_MAX names. Any
 * thread.
 */
void ks_rpc_health_set(struct ks_rpc_server *server, const char *service, bool serving);

/* The unary call: lasts until it is answered, by whatever thread. */

/* Returns the request message, borrowed until the answer; it is wiped then. */
ks_bytes ks_rpc_call_request(const struct ks_rpc_call *call);
/* Returns when the client stops waiting, in ns of CLOCK_BOOTTIME; INT64_MAX: never. */
int64_t ks_rpc_call_deadline_ns(const struct ks_rpc_call *call);
/*
 * Returns whether the client has gone (with watch_cancel) or its deadline has passed. Any thread.
 */
bool ks_rpc_call_cancelled(const struct ks_rpc_call *call);
/* Returns the peer that calls; borrowed until the answer. */
const struct ks_rpc_peer *ks_rpc_call_peer(const struct ks_rpc_call *call);
/* Returns the loop on which the call came in. */
struct ks_rpc_loop *ks_rpc_call_loop(const struct ks_rpc_call *call);
/* Returns the row of the table that the call is for. */
const struct ks_rpc_method *ks_rpc_call_method(const struct ks_rpc_call *call);

/* Exactly one of these answers the call; it is gone after that. Any thread. */

/* Answers with success and a copy of response. */
void ks_rpc_call_reply(struct ks_rpc_call *call, ks_bytes response);
/*
 * Answers with success and without a copy: takes the bytes of response, which is empty afterwards.
 */
void ks_rpc_call_reply_buffer(struct ks_rpc_call *call, struct ks_buffer *response);
/* Answers with a failure; status->code is not KS_OK. */
void ks_rpc_call_fail(struct ks_rpc_call *call, const struct ks_rpc_status *status);
/* Answers with a failure and the text of its row in KS_RESULTS. */
void ks_rpc_call_fail_code(struct ks_rpc_call *call, ks_code code);
