/*
 * transport: HTTPS POSTs through one curl multi handle. For this folder only.
 *
 * A transfer starts at the next run, and ends once: in on_end, or by being stopped. Callbacks are
 * made by ks_etcd_transport_run; they may start and stop any transfer.
 * Threads: one; wake from any.
 */
#pragma once

#include "pkg/base/clock.h"
#include "pkg/etcd/etcd.h"

#define KS_ETCD_TRANSFERS_MAX (KS_ETCD_CALLS_MAX + KS_ETCD_WATCHES_MAX)

struct ks_etcd_transport;
struct ks_etcd_transfer;

enum ks_etcd_fate {
    KS_ETCD_FATE_ANSWERED, /* whole, whatever its status */
    KS_ETCD_FATE_UNSENT,   /* for certain: there was no connection to send on */
    KS_ETCD_FATE_BROKEN,   /* sent, or perhaps; no whole answer came */
    KS_ETCD_FATE_REFUSED,  /* TLS: one side does not accept the other, or our files are bad */
};

struct ks_etcd_transfer_end {
    enum ks_etcd_fate fate;
    long http_status;   /* ANSWERED */
    const char *detail; /* what curl says; borrowed during on_end */
};

struct ks_etcd_post {
    const char *url;    /* copied */
    ks_bytes body;      /* borrowed until the end */
    int64_t connect_ms; /* for TCP and TLS */
    int64_t total_ms;   /* 0: no bound */
    bool is_repeatable; /* it only reads: curl may send it again on a new connection */
    /* False: the transfer fails. bytes are borrowed. */
    bool (*on_bytes)(void *user, long http_status, ks_bytes bytes);
    /* The transfer is gone when it returns. */
    void (*on_end)(void *user, const struct ks_etcd_transfer_end *end);
    void *user;
};

/* Fails: INTERNAL (curl). options' files are copied. */
KS_MUST_USE ks_result ks_etcd_transport_new(const struct ks_etcd_options *options,
                                            struct ks_etcd_transport **ret_transport);

/* Every transfer has ended or was stopped. NULL is fine. */
void ks_etcd_transport_free(struct ks_etcd_transport *transport);

/* NULL if KS_ETCD_TRANSFERS_MAX are under way. Lasts until on_end or stop. */
struct ks_etcd_transfer *ks_etcd_transport_post(struct ks_etcd_transport *transport,
                                                const struct ks_etcd_post *post);

/* No callback any more; post.body is not used any more after the current turn of run. */
void ks_etcd_transfer_stop(struct ks_etcd_transfer *transfer);

void ks_etcd_transport_run(struct ks_etcd_transport *transport, int64_t timeout_ms);
void ks_etcd_transport_wake(struct ks_etcd_transport *transport);
