/*
 * client: what the parts of a struct ks_etcd share. For this folder only.
 *
 * Threads: the owner's.
 */
#pragma once

#include "pkg/etcd/endpoints.h"
#include "pkg/etcd/etcd.h"
#include "pkg/etcd/transport.h"

#define KS_ETCD_URL_MAX 256U

struct call; /* one call under way, in call.c */

struct ks_etcd {
    struct ks_etcd_transport *transport;
    const struct ks_clock *clock;
    char *bases[KS_ETCD_ENDPOINTS_MAX]; /* owned; no slash at the end */
    struct ks_etcd_endpoints endpoints;
    int64_t call_ms;
    int64_t probe_ms;
    size_t answer_len_max;

    struct call *calls[KS_ETCD_CALLS_MAX];
    size_t call_count;
    struct ks_etcd_watch *watches[KS_ETCD_WATCHES_MAX];
    size_t watch_count;

    int64_t probe_at_ns; /* when the first endpoint is asked next, while another one is used */
    bool is_probing;
    bool is_closing; /* being freed: nothing new starts */
};

/* Returns nanoseconds of CLOCK_BOOTTIME by the client's clock. */
int64_t ks_etcd_now_ns(const struct ks_etcd *client);

/*
 * Writes the URL of a path at an endpoint, an index below endpoints.count. ret_url is always
 * written; endpoints that leave no room for a path were refused by ks_etcd_new.
 */
void ks_etcd_url(const struct ks_etcd *client, size_t endpoint, const char *path,
                 char ret_url[KS_ETCD_URL_MAX]);

/* Returns the milliseconds until at_ns, rounded up; 0 if it has passed. */
int64_t ks_etcd_ms_until(const struct ks_etcd *client, int64_t at_ns);

/* End every call, and every watch, with cause CLOSED; their callbacks are made here. */
void ks_etcd_close_calls(struct ks_etcd *client);
void ks_etcd_close_watches(struct ks_etcd *client);

/* Frees the watches that were stopped, and ends those that were silent for too long. */
void ks_etcd_check_watches(struct ks_etcd *client);

/* Returns the milliseconds until ks_etcd_check_watches has something to do, at most max_ms. */
int64_t ks_etcd_watches_wait_ms(const struct ks_etcd *client, int64_t max_ms);
