/*
 * etcd: an asynchronous client of one cell's etcd cluster, over its v3 JSON API (HTTPS, HTTP/1.1).
 *
 * Each call ends exactly once, in a callback that ks_etcd_run (or ks_etcd_free) makes; never within
 * the call itself. A callback may make calls, start and stop watches; it may not run or free.
 *
 * Members: the first endpoint is the own zone's. A call goes to the member that worked last; one
 * that could not be sent moves on to the next within its time; after any failure of a member the
 * next calls go elsewhere, and a probe leads back to the first one when it is well again.
 * Nothing that may have been sent is ever sent twice, except what only reads.
 *
 * Threads: one, the owner's; ks_etcd_wake alone may be called from any.
 * The process ignores SIGPIPE.
 */
#pragma once

#include "pkg/base/clock.h"
#include "pkg/etcd/message.h"

#define KS_ETCD_ENDPOINTS_MAX   9U   /* members of a cell; etcd advises at most 7 */
#define KS_ETCD_CALLS_MAX       256U /* under way at a time */
#define KS_ETCD_WATCHES_MAX     16U
#define KS_ETCD_CALL_MS_DEFAULT 250 /* a call forwarded to a dead leader would hang for seconds */
#define KS_ETCD_ANSWER_MAX      (64U << 20)
#define KS_ETCD_REQUEST_MAX     (4U << 20) /* JSON of 1.5 MiB binary is about 2.1 MiB */

struct ks_etcd;
struct ks_etcd_watch;

/* Everything is copied by ks_etcd_new. */
struct ks_etcd_options {
    const char *const *endpoints; /* "https://127.0.0.1:2379"; the own zone's first */
    size_t endpoint_count;        /* 1 to KS_ETCD_ENDPOINTS_MAX */
    /* PEM files, read by each new connection; when one changes, old connections fall out of use. */
    const char *ca_file;   /* the cell's etcd root: nothing else is trusted */
    const char *cert_file; /* without a CN, as the JSON gateway may refuse one */
    const char *key_file;
    int64_t call_ms;       /* 0: KS_ETCD_CALL_MS_DEFAULT */
    int64_t probe_ms;      /* between probes of the first endpoint while another is used; 0: 2000 */
    size_t answer_len_max; /* bytes of an answer or a line of a watch; 0: KS_ETCD_ANSWER_MAX */
    const struct ks_clock *clock; /* borrowed; NULL: ks_clock_system */
};

/*
 * A client that has not connected yet.
 *
 * ret_client  the caller's; ks_etcd_free.
 *
 * Fails: VALIDATION (no endpoint, too many, one that is not https, a file name is missing),
 * INTERNAL (libcurl).
 */
KS_MUST_USE ks_result ks_etcd_new(const struct ks_etcd_options *options,
                                  struct ks_etcd **ret_client);

/* Ends what is under way (cause CLOSED, callbacks made here), then frees. NULL is fine. */
void ks_etcd_free(struct ks_etcd *client);
void ks_etcd_free_at(struct ks_etcd **client);
#define KS_ETCD_AUTO KS_CLEANUP(ks_etcd_free_at) struct ks_etcd

/*
 * One turn: waits until something can be done, at most timeout_ms (0: not at all), does it and
 * makes the callbacks that are due. Returns early after ks_etcd_wake.
 */
void ks_etcd_run(struct ks_etcd *client, int64_t timeout_ms);

/* Makes the present or the next ks_etcd_run return early. Any thread, as long as client lives. */
void ks_etcd_wake(struct ks_etcd *client);

/* Calls under way, watches not counted. */
size_t ks_etcd_pending(const struct ks_etcd *client);

/* answer is borrowed during the callback; ks_etcd_answer_ref keeps it. */
typedef void ks_etcd_done(void *user, const struct ks_etcd_answer *answer);

/* Where a call ends, and what differs from the client's options. */
struct ks_etcd_call {
    ks_etcd_done *done;
    void *user;
    int64_t timeout_ms; /* from now to the callback; 0: the client's call_ms */
    unsigned pin;       /* the n-th endpoint and no other, counted from 1; 0: any */
};

/*
 * Each of the following starts one call. The arguments are borrowed until it returns.
 *
 * Fails, and then makes no callback: THROTTLED (KS_ETCD_CALLS_MAX are under way),
 * LIMIT_EXCEEDED (the request is over KS_ETCD_REQUEST_MAX or KS_ETCD_OPS_MAX).
 */

/* One transaction; answer: header, succeeded, ops. */
KS_MUST_USE ks_result ks_etcd_txn(struct ks_etcd *client, const struct ks_etcd_txn *txn,
                                  const struct ks_etcd_call *options);

/*
 * One range (op->kind is RANGE), cheaper than a transaction; answer: header, ops[0].
 * For pages at one state: revision = header.revision of the first page, key = last key and a NUL.
 */
KS_MUST_USE ks_result ks_etcd_range(struct ks_etcd *client, const struct ks_etcd_op *op,
                                    const struct ks_etcd_call *options);

/*
 * Forgets history below revision (itself it keeps). Cause COMPACTED: it was done before. The
 * space is given back in the background, some time after the answer.
 */
KS_MUST_USE ks_result ks_etcd_compact(struct ks_etcd *client, int64_t revision,
                                      const struct ks_etcd_call *options);

/* The state of one member, so pin it; answer: header, status. Not linearizable. */
KS_MUST_USE ks_result ks_etcd_status(struct ks_etcd *client, const struct ks_etcd_call *options);

/* The alarms that are raised; answer: alarms. */
KS_MUST_USE ks_result ks_etcd_alarms(struct ks_etcd *client, const struct ks_etcd_call *options);

/*
 * Takes back one alarm, as ks_etcd_alarms names it. NO_SPACE: after compaction and defragmentation
 * of the member; etcd raises it again at the next write if there is still no room.
 */
KS_MUST_USE ks_result ks_etcd_disarm(struct ks_etcd *client, const struct ks_etcd_alarm *alarm,
                                     const struct ks_etcd_call *options);

/* Gives free pages of one member (pin it) back to its disk; it answers nobody meanwhile. */
KS_MUST_USE ks_result ks_etcd_defragment(struct ks_etcd *client,
                                         const struct ks_etcd_call *options);

/* The members of the cluster, as the member asked knows them; answer: members. */
KS_MUST_USE ks_result ks_etcd_members(struct ks_etcd *client, const struct ks_etcd_call *options);

/* Why a watch ended. */
struct ks_etcd_watch_end {
    enum ks_etcd_cause cause; /* ENDED, UNSENT, COMPACTED, REFUSED, BAD_ANSWER, INVALID, CLOSED */
    int64_t compact_revision; /* COMPACTED: history begins here; else 0 */
    const char *detail;       /* for logs; borrowed during the callback */
};

struct ks_etcd_watch_options {
    ks_bytes from; /* keys in [from, to); to empty: the one key */
    ks_bytes to;
    int64_t start_revision; /* the first to be delivered; 0: what comes after the created message */
    /*
     * Ends when not a byte came for so long; 0: never. For where something is written all the
     * time: an idle watch brings signs of life only every 10 minutes, or as often as etcd's
     * --experimental-watch-progress-notify-interval says.
     */
    int64_t idle_ms;
    unsigned pin; /* as in ks_etcd_call */
    /* message is borrowed during the callback. */
    void (*on_message)(void *user, const struct ks_etcd_watch_message *message);
    /* Once, and nothing after it; the watch is freed when it returns. Start anew from there. */
    void (*on_end)(void *user, const struct ks_etcd_watch_end *end);
    void *user;
};

/*
 * Starts a watch; options are copied. It does not reconnect by itself: the owner knows the last
 * revision it applied, and starts the next watch from there. An end makes the client choose
 * another member for the next one.
 *
 * ret_watch  the client's; valid until on_end was called or ks_etcd_watch_stop returned.
 *
 * Fails: THROTTLED (KS_ETCD_WATCHES_MAX are open).
 */
KS_MUST_USE ks_result ks_etcd_watch_start(struct ks_etcd *client,
                                          const struct ks_etcd_watch_options *options,
                                          struct ks_etcd_watch **ret_watch);

/* Ends it without a callback. May be called by its own callbacks. */
void ks_etcd_watch_stop(struct ks_etcd_watch *watch);

/*
 * For tools and tests: run the client until the one call has ended. Other callbacks are made
 * meanwhile.
 *
 *     KS_ETCD_ANSWER_AUTO *answer = ks_etcd_txn_wait(client, &txn, NULL);
 *
 * options may be NULL; its done and user are not used. Never NULL: a call that could not start has
 * cause TOO_LARGE or TOO_MANY. The caller's to unref.
 */
struct ks_etcd_answer *ks_etcd_txn_wait(struct ks_etcd *client, const struct ks_etcd_txn *txn,
                                        const struct ks_etcd_call *options);
struct ks_etcd_answer *ks_etcd_range_wait(struct ks_etcd *client, const struct ks_etcd_op *op,
                                          const struct ks_etcd_call *options);
struct ks_etcd_answer *ks_etcd_compact_wait(struct ks_etcd *client, int64_t revision,
                                            const struct ks_etcd_call *options);
struct ks_etcd_answer *ks_etcd_disarm_wait(struct ks_etcd *client,
                                           const struct ks_etcd_alarm *alarm,
                                           const struct ks_etcd_call *options);

/* The calls without arguments of their own: ks_etcd_wait(client, ks_etcd_status, &options). */
typedef ks_result ks_etcd_start(struct ks_etcd *client, const struct ks_etcd_call *options);
struct ks_etcd_answer *ks_etcd_wait(struct ks_etcd *client, ks_etcd_start *start,
                                    const struct ks_etcd_call *options);
