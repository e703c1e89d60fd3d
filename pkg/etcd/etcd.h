/*
 * etcd: an asynchronous client of one cell's etcd cluster, over its v3 API: gRPC, HTTP/2, TLS.
 *
 * Each call that was started ends exactly once, in a callback that ks_etcd_run (or ks_etcd_free)
 * makes; never within the call itself. Every function that starts a call fails only if the request
 * is too large or too much is under way, and then makes no callback. A callback may make calls,
 * start and stop watches; it may not run or free the client.
 *
 * Members: the first endpoint is the own zone's. A call goes to the member that worked last. A call
 * that could not be sent moves on to the next member within its time. After any failure of a member
 * the next calls go elsewhere, and a probe leads back to the first one when it is well again.
 * Nothing that may have been sent is ever sent twice, except what only reads.
 *
 * Threads: one, the owner's; only ks_etcd_wake may be called from any.
 * The process must ignore SIGPIPE: a member that closes a connection would end it otherwise.
 */
#pragma once

#include "pkg/base/clock.h"
#include "pkg/etcd/message.h"

#define KS_ETCD_ENDPOINTS_MAX   9U   /* members of a cell; etcd advises at most 7 */
#define KS_ETCD_CALLS_MAX       256U /* under way at a time */
#define KS_ETCD_WATCHES_MAX     16U
#define KS_ETCD_CALL_MS_DEFAULT 250 /* a call forwarded to a dead leader would hang for seconds */
#define KS_ETCD_ANSWER_MAX      (64U << 20)
#define KS_ETCD_REQUEST_MAX     (2U << 20) /* as the local installation has etcd take */

struct ks_etcd;
struct ks_etcd_watch;

/* Everything is copied by ks_etcd_new. */
struct ks_etcd_options {
    const char *const *endpoints; /* "https://127.0.0.1:2379"; the own zone's first */
    size_t endpoint_count;        /* 1 to KS_ETCD_ENDPOINTS_MAX */
    /* PEM files, read by each new connection; when one changes, old connections fall out of use. */
    const char *ca_file; /* the cell's etcd root: nothing else is trusted */
    const char *cert_file;
    const char *key_file;
    int64_t call_ms;       /* 0: KS_ETCD_CALL_MS_DEFAULT */
    int64_t probe_ms;      /* between probes of the first endpoint while another is used; 0: 2000 */
    size_t answer_len_max; /* bytes of an answer or a message of a watch; 0: KS_ETCD_ANSWER_MAX */
    const struct ks_clock *clock; /* borrowed; NULL: ks_clock_system */
};

/*
 * Makes a client, which connects with its first call.
 *
 * ret_client  the caller's; free with ks_etcd_free. Untouched after a failure.
 *
 * Fails: VALIDATION (no endpoint, too many, one that is not https or is too long, a file name is
 * missing, or a number is out of its bounds), INTERNAL (libcurl). That the files can be read shows
 * only when a connection is made: calls then end with cause REFUSED.
 */
KS_MUST_USE ks_result ks_etcd_new(const struct ks_etcd_options *options,
                                  struct ks_etcd **ret_client);

/*
 * Ends calls and watches that are under way with cause CLOSED, whose callbacks are made here, then
 * frees the client. Answers that were kept by a reference outlive it. NULL is fine.
 */
void ks_etcd_free(struct ks_etcd *client);

/* Cleanup for `KS_ETCD_AUTO *client`. */
void ks_etcd_free_at(struct ks_etcd **client);
#define KS_ETCD_AUTO KS_CLEANUP(ks_etcd_free_at) struct ks_etcd

/*
 * Takes one turn: waits until something can be done, at most timeout_ms (0: not at all), does it,
 * and makes the callbacks that are due. Returns early after ks_etcd_wake.
 */
void ks_etcd_run(struct ks_etcd *client, int64_t timeout_ms);

/* Makes the present or the next ks_etcd_run return early. Any thread, as long as client lives. */
void ks_etcd_wake(struct ks_etcd *client);

/* Returns how many of the owner's calls are under way; watches are not counted. */
size_t ks_etcd_pending(const struct ks_etcd *client);

/*
 * How a call ended: answer->cause says whether it worked, and answer->may_be_applied whether the
 * change may be done nevertheless. answer is borrowed during the callback; ks_etcd_answer_ref keeps
 * it.
 */
typedef void ks_etcd_done(void *user, const struct ks_etcd_answer *answer);

/* The callback in which a call ends, and what differs from the client's options. */
struct ks_etcd_call {
    ks_etcd_done *done;
    void *user;
    int64_t timeout_ms; /* from now to the callback; 0: the client's call_ms */
    unsigned pin;       /* only the n-th endpoint, counted from 1; 0: any */
};

/*
 * Each function from here to ks_etcd_members starts one call. Its arguments are borrowed until it
 * returns. Every function fails with THROTTLED (KS_ETCD_CALLS_MAX are under way, or the client is
 * being freed) or LIMIT_EXCEEDED (the request is over KS_ETCD_REQUEST_MAX or KS_ETCD_OPS_MAX).
 * After a failure nothing was sent and no callback is made; what etcd says comes in the callback.
 */

/* Does one transaction. The answer has header, succeeded and ops. */
KS_MUST_USE ks_result ks_etcd_txn(struct ks_etcd *client, const struct ks_etcd_txn *txn,
                                  const struct ks_etcd_call *options);

/*
 * Reads one range (op->kind is RANGE), cheaper than a transaction. The answer has header and
 * ops[0]. To read pages of one state, ask with revision = header.revision of the first page and key
 * = the last key that came and a NUL.
 */
KS_MUST_USE ks_result ks_etcd_range(struct ks_etcd *client, const struct ks_etcd_op *op,
                                    const struct ks_etcd_call *options);

/*
 * Has etcd forget history below revision, which itself is kept. Cause COMPACTED: that was done
 * before. The space is free some time after the answer.
 */
KS_MUST_USE ks_result ks_etcd_compact(struct ks_etcd *client, int64_t revision,
                                      const struct ks_etcd_call *options);

/*
 * Asks one member for its state, so pin it. The answer has header and status, as that member sees
 * them: it may be behind.
 */
KS_MUST_USE ks_result ks_etcd_status(struct ks_etcd *client, const struct ks_etcd_call *options);

/*
 * Asks for the alarms that are raised. The answer has alarms. etcd writes the question to its log,
 * like a change; ks_etcd_status tells the alarms that a member knows of for nothing.
 */
KS_MUST_USE ks_result ks_etcd_alarms(struct ks_etcd *client, const struct ks_etcd_call *options);

/*
 * Takes back one alarm, as ks_etcd_alarms names it. Take NO_SPACE back after compaction and
 * defragmentation of the member; if there is still no room, etcd raises it again at the next write.
 */
KS_MUST_USE ks_result ks_etcd_disarm(struct ks_etcd *client, const struct ks_etcd_alarm *alarm,
                                     const struct ks_etcd_call *options);

/*
 * Gives free pages of one member (pin it) back to its disk. The member answers no request until it
 * is done, so give the call a long timeout_ms.
 */
KS_MUST_USE ks_result ks_etcd_defragment(struct ks_etcd *client,
                                         const struct ks_etcd_call *options);

/*
 * Asks for the members of the cluster, as the member that answers knows them. The answer has
 * members.
 */
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
     * The watch ends when not a byte came for so long; 0: never. Set it where something is written
     * all the time: an idle watch brings signs of life only every 10 minutes, or as often as etcd's
     * --experimental-watch-progress-notify-interval says.
     */
    int64_t idle_ms;
    /*
     * In place of idle_ms, if it is more, while events are known to be missing yet: etcd searches
     * its whole history behind the last event for the next thousand revisions, which may take long.
     */
    int64_t behind_ms;
    unsigned pin; /* as in ks_etcd_call */
    /* message is borrowed during the callback. */
    void (*on_message)(void *user, const struct ks_etcd_watch_message *message);
    /*
     * Called once, unless the watch was stopped, and no callback comes after it. The watch is freed
     * when it returns. It may start the next watch.
     */
    void (*on_end)(void *user, const struct ks_etcd_watch_end *end);
    void *user;
};

/*
 * Starts a watch; options are copied, and options->from and to with them. A watch that has ended
 * does not begin again by itself: the owner knows the last revision that it applied, and starts the
 * next watch from there. An end makes the client choose another member for the next one.
 *
 * ret_watch  the client's; valid until on_end was called or ks_etcd_watch_stop returned. Untouched
 *            after a failure.
 *
 * Fails: THROTTLED (KS_ETCD_WATCHES_MAX are open, or the client is being freed), LIMIT_EXCEEDED
 * (the keys are too long); no callback is made then.
 */
KS_MUST_USE ks_result ks_etcd_watch_start(struct ks_etcd *client,
                                          const struct ks_etcd_watch_options *options,
                                          struct ks_etcd_watch **ret_watch);

/* Ends the watch without a callback, and frees it. The watch's own callbacks may call it. */
void ks_etcd_watch_stop(struct ks_etcd_watch *watch);

/*
 * Make one call, and run the client until it has ended; other callbacks are made meanwhile. They
 * are for tools and tests.
 *
 *     KS_ETCD_ANSWER_AUTO *answer = ks_etcd_txn_wait(client, &txn, NULL);
 *
 * options may be NULL; its done and user are not used. They return the answer, which is the
 * caller's to unref and never NULL: a call that could not be started has cause TOO_LARGE or
 * TOO_MANY.
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

/*
 * Does the same for calls that have no arguments of their own: ks_etcd_wait(client, ks_etcd_status,
 * &options).
 */
typedef ks_result ks_etcd_start(struct ks_etcd *client, const struct ks_etcd_call *options);
struct ks_etcd_answer *ks_etcd_wait(struct ks_etcd *client, ks_etcd_start *start,
                                    const struct ks_etcd_call *options);
