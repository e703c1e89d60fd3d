/*
 * transport: gRPC calls over HTTP/2 and TLS, through one curl multi handle. For this folder only.
 *
 * A connection carries one call at a time. It is used again if that call was answered to its end,
 * and closed otherwise: so nobody waits on a connection that has been silent, and a call that is
 * given up disturbs no other. docs/decisions/0010-etcd-grpc.md says why calls do not share one.
 *
 * A transfer starts at the next run, and ends once: in on_end, or by being stopped. Callbacks are
 * made by ks_etcd_transport_run; they may start and stop any transfer.
 *
 * Threads: one; ks_etcd_transport_wake from any.
 */
#pragma once

#include "pkg/base/clock.h"
#include "pkg/etcd/etcd.h"
#include "pkg/etcd/trailer.h"

#define KS_ETCD_TRANSFERS_MAX (KS_ETCD_CALLS_MAX + KS_ETCD_WATCHES_MAX)

struct ks_etcd_transport;
struct ks_etcd_transfer;

enum ks_etcd_fate {
    KS_ETCD_FATE_ANSWERED, /* the answer came to its end, whatever it says */
    KS_ETCD_FATE_UNSENT,   /* it was certainly not sent: there was no connection to send on */
    KS_ETCD_FATE_BROKEN,   /* it may have been sent, and no whole answer came */
    KS_ETCD_FATE_REFUSED,  /* TLS: one side does not accept the other, or our files are bad */
};

struct ks_etcd_transfer_end {
    enum ks_etcd_fate fate;
    long http_status;                      /* ANSWERED */
    const struct ks_etcd_trailer *trailer; /* what gRPC says of the end; borrowed during on_end */
    const char *detail;                    /* what curl says; borrowed during on_end */
};

struct ks_etcd_post {
    const char *url;    /* copied */
    ks_bytes body;      /* the request's one message with its head; borrowed until the end */
    int64_t connect_ms; /* for TCP and TLS */
    int64_t total_ms;   /* told to the server as grpc-timeout; 0: no bound */
    bool is_repeatable; /* it only reads: curl may send it again on a new connection */
    /*
     * A piece of the answer's messages, borrowed; what comes with another HTTP status than 200 is
     * no message and is dropped. Returns false to end the transfer as BROKEN.
     */
    bool (*on_bytes)(void *user, ks_bytes bytes);
    /* The transfer has ended, and is freed already. end is borrowed. */
    void (*on_end)(void *user, const struct ks_etcd_transfer_end *end);
    void *user;
};

/*
 * Makes a transport, from the file names and the clock of options: the names are copied, the clock
 * is borrowed.
 * ret_transport  the caller's; free with ks_etcd_transport_free. Untouched after a failure.
 * Fails: INTERNAL (curl).
 */
KS_MUST_USE ks_result ks_etcd_transport_new(const struct ks_etcd_options *options,
                                            struct ks_etcd_transport **ret_transport);

/* Frees it; every transfer must have ended or been stopped. NULL is fine. */
void ks_etcd_transport_free(struct ks_etcd_transport *transport);

/*
 * Starts a transfer. Returns NULL, and makes no callback, if KS_ETCD_TRANSFERS_MAX are under way.
 * The transfer is the transport's, and valid until on_end was called or it was stopped.
 */
struct ks_etcd_transfer *ks_etcd_transport_post(struct ks_etcd_transport *transport,
                                                const struct ks_etcd_post *post);

/*
 * Stops a transfer, once: it makes no callback any more. post.body must last until the current turn
 * of ks_etcd_transport_run, if there is one, has ended.
 */
void ks_etcd_transfer_stop(struct ks_etcd_transfer *transfer);

/* Takes one turn: waits at most timeout_ms, moves bytes, and makes the callbacks that are due. */
void ks_etcd_transport_run(struct ks_etcd_transport *transport, int64_t timeout_ms);

/* Makes the present or the next ks_etcd_transport_run return early. */
void ks_etcd_transport_wake(struct ks_etcd_transport *transport);
