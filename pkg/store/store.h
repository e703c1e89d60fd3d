/*
 * store: the records of a cell, replicated and linearizable. Two engines behind one interface:
 *
 *   embedded    LMDB alone, for one node: a commit is on this disk when it is acknowledged
 *   replicated  etcd's log is the truth, LMDB this node's copy: a commit is on a majority of the
 *               members' disks, and no keystore serves the old state, when it is acknowledged
 *
 * A record is a key (printable ASCII, at most KS_STORE_KEY_LEN_MAX bytes), a value and the revision
 * of its last change. Revisions are those of etcd (embedded: counted here): each transaction gets
 * the next one, and a reader sees all of a revision or nothing of it.
 *
 * Reading takes a view, a snapshot of the local copy. Who answers clients takes it with
 * ks_store_serve, which looks at the serving window first (window.h), and passes what the answer
 * rests on to ks_store_settle before the answer goes out. That, and nothing else, is promise 2 of
 * the design; the rule is modelled in tests/model/serving-windows.pml.
 *
 * Threads: a store has one thread of its own, on which all callbacks run; they must not block.
 * Everything else may be called from any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/clock.h"
#include "pkg/base/mem.h"
#include "pkg/base/result.h"

#define KS_STORE_KEY_LEN_MAX   400U           /* LMDB's limit is 511 bytes */
#define KS_STORE_VALUE_LEN_MAX (256U * 1024U) /* a key record with policy and materials is 40 KiB */
#define KS_STORE_COMPARES_MAX  8U
#define KS_STORE_OPS_MAX       8U    /* of one mutation */
#define KS_STORE_PENDING_MAX   4096U /* mutations under way; beyond: THROTTLED */
#define KS_STORE_KEYSTORES_MAX 16U   /* on the list of a cell */
#define KS_STORE_WINDOW_MS     2000U /* D of the design */

struct ks_store;

enum ks_store_engine { KS_STORE_EMBEDDED, KS_STORE_REPLICATED };

/* What the copy is doing, for status and health. */
enum ks_store_state {
    KS_STORE_STARTING,  /* nothing applied yet */
    KS_STORE_LOADING,   /* the copy is being loaded anew */
    KS_STORE_FOLLOWING, /* the watch is on */
    KS_STORE_REFUSED,   /* it can't go on; ks_store_status says what to do */
};

struct ks_store_options {
    enum ks_store_engine engine;
    const char *folder; /* of the local copy; made if absent, locked while the store lives */
    uint64_t database_bytes_max;  /* 0: 16 GiB. A full copy refuses commits with LIMIT_EXCEEDED */
    const struct ks_clock *clock; /* NULL: ks_clock_system */

    /* Replicated only. */
    const char *prefix;           /* of all keys in etcd, e.g. "/keystead/ap-seoul-1/" */
    const char *const *endpoints; /* "https://host:port", this zone's first */
    size_t endpoint_count;
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
    const char *name; /* of this keystore, e.g. "keystore-ap-seoul-1a" */
    const char *zone;
    const char *address; /* where peers reach it; stands in its record */
    uint32_t window_ms;  /* D; 0: KS_STORE_WINDOW_MS */
    bool serve_by_log;   /* `serving: log` of the design; not there yet: UNSUPPORTED */

    /*
     * Callbacks, on the store's thread; each may be NULL.
     * on_applied: the copy has applied everything up to `revision`, and a record has changed since
     *             the last time. Tell the peers (they call ks_store_peer_applied), under the
     *             keystore_id that the status shows now: it changes with the epoch. Before it
     *             changes, this is called with 0: tell nobody anything until the next call.
     * on_change:  a record changed, after its revision can be read; value {NULL, 0} is a deletion.
     *             After a copy was loaded anew, on_reload is called instead: read what you need.
     */
    void (*on_applied)(void *user, int64_t revision);
    void (*on_change)(void *user, ks_bytes key, ks_bytes value, int64_t revision);
    void (*on_reload)(void *user, int64_t revision);
    /* Something that an operator should find in the log, as a sentence: a copy thrown away, ... */
    void (*on_notice)(void *user, const char *sentence);
    void *user;
};

/*
 * Opens the copy and starts the store's thread. Strings of options are copied.
 * ret_store  free with ks_store_free.
 *
 * Fails: CONFLICT (another process holds the folder), CORRUPT (embedded only: the database is
 * damaged; nothing is changed; a damaged copy of a replicated store is thrown away and loaded
 * anew), VALIDATION (prefix, endpoints or names have no right form), UNSUPPORTED (serve_by_log),
 * INTERNAL (the folder can't be made or written).
 */
KS_MUST_USE ks_result ks_store_new(const struct ks_store_options *options,
                                   struct ks_store **ret_store);

/* Ends the thread; mutations under way are answered UNAVAILABLE. NULL is fine. */
void ks_store_free(struct ks_store *store);

/* ---- Reading ---- */

/* A snapshot of the copy. Holds an LMDB reader: close it soon, on any thread. */
struct ks_store_view {
    void *snapshot;
    int64_t revision;      /* that the copy had applied */
    int64_t data_revision; /* newest revision that changed a record: what an absence rests on */
};

struct ks_store_record {
    ks_bytes key;     /* borrowed until the view is closed */
    ks_bytes value;   /* borrowed until the view is closed */
    int64_t revision; /* of its last change: its mod revision */
};

/*
 * A view that may answer a request that came in before this call.
 * Fails: UNAVAILABLE (no serving window is open; embedded: never).
 */
KS_MUST_USE ks_result ks_store_serve(struct ks_store *store, struct ks_store_view *ret_view);

/*
 * A view that may be old: for the process's own use and to prepare a mutation whose compares name
 * all that it rests on. Fails: UNAVAILABLE (nothing was loaded yet).
 */
KS_MUST_USE ks_result ks_store_peek(struct ks_store *store, struct ks_store_view *ret_view);

/* Closes; the zero value is fine. */
void ks_store_view_close(struct ks_store_view *view);
#define KS_STORE_VIEW_AUTO KS_CLEANUP(ks_store_view_close) struct ks_store_view

/* One record. Fails: NOT_FOUND, CORRUPT. */
KS_MUST_USE ks_result ks_store_get(const struct ks_store_view *view, ks_bytes key,
                                   struct ks_store_record *ret_record);

/*
 * The records whose keys start with prefix, in order of their keys, beginning after `after` (empty:
 * with the first one). `each` returns false to stop.
 * Fails: CORRUPT.
 */
KS_MUST_USE ks_result ks_store_scan(const struct ks_store_view *view, ks_bytes prefix,
                                    ks_bytes after,
                                    bool (*each)(void *user, const struct ks_store_record *record),
                                    void *user);

/*
 * Makes sure that no keystore serves a state older than `revision` any more, then calls done: OK,
 * or UNAVAILABLE. done is called at once, on the caller's thread, when that is known already (the
 * usual case); otherwise later on the store's thread.
 *
 * revision  the newest mod revision among the records that the answer rests on; the view's
 *           data_revision when it rests on an absence or on a list.
 */
void ks_store_settle(struct ks_store *store, int64_t revision,
                     void (*done)(void *user, ks_result result), void *user);

/* ---- Changing ---- */

struct ks_store_compare {
    ks_bytes key;
    int64_t revision; /* the record's mod revision; 0: it does not exist */
};

struct ks_store_op {
    ks_bytes key;
    ks_bytes value; /* {NULL, 0}: delete */
};

/*
 * One mutation: all of its compares hold and all of its ops are done, in one revision, or nothing
 * is. A key stands at most once among the ops.
 */
struct ks_store_mutation {
    struct ks_store_compare compares[KS_STORE_COMPARES_MAX];
    size_t compare_count;
    struct ks_store_op ops[KS_STORE_OPS_MAX];
    size_t op_count;
    /*
     * The record of exactly-once: put with the mutation if no such record stands; if one stands,
     * nothing else is looked at and it is the answer. Empty key: none (the process's own records,
     * whose compares make repetition harmless).
     */
    ks_bytes request_key;
    ks_bytes request_value;
};

struct ks_store_outcome {
    /*
     * OK           done, and settled: acknowledge it
     * CONFLICT     a compare does not hold; nothing was done: read again and decide anew
     * ALREADY_EXISTS  the request's record stands already; `stored` is it, and is settled
     * LIMIT_EXCEEDED  the store is full (etcd's quota or this disk); nothing was done
     * THROTTLED    too many mutations are under way; nothing was done
     * UNAVAILABLE  it may have been done or not: the client retries with the same request_id
     */
    ks_result result;
    int64_t revision; /* OK: of the mutation. ALREADY_EXISTS: of the record's change */
    ks_bytes stored;  /* ALREADY_EXISTS: the request's record; borrowed during the call */
};

/*
 * Commits a mutation and settles it, then calls done once, on the store's thread. Several mutations
 * are put into one transaction (group commit). A transaction whose outcome is unknown is repeated
 * unchanged until it is known or deadline_ns (CLOCK_BOOTTIME; 0: 10 s) has passed.
 * Everything in mutation is copied before this returns.
 */
void ks_store_commit(struct ks_store *store, const struct ks_store_mutation *mutation,
                     int64_t deadline_ns,
                     void (*done)(void *user, const struct ks_store_outcome *outcome), void *user);

/* ---- Peers and status ---- */

/* A peer says (over its own certified connection) that it has applied revision. */
void ks_store_peer_applied(struct ks_store *store, const char *keystore_id, int64_t revision);

struct ks_store_peer {
    char keystore_id[40];
    char name[64];
    char zone[64];
    char address[64];
    int64_t applied_revision;
};

struct ks_store_member {
    char endpoint[128];
    bool reachable;
    bool leader;
    int64_t revision;
    uint64_t database_bytes;
    uint64_t raft_term;
    char version[16];
};

struct ks_store_status {
    enum ks_store_state state;
    char keystore_id[40]; /* of the data folder */
    uint64_t life;
    int64_t applied_revision;
    int64_t settled_revision;
    int64_t window_left_ms;  /* 0: none open. Embedded: always window_ms */
    uint64_t database_bytes; /* of the copy */
    char epoch[40];
    char alarm[256]; /* empty, or a sentence that says what is wrong and what to do */
    struct ks_store_peer listed[KS_STORE_KEYSTORES_MAX]; /* this keystore, too */
    size_t listed_count;
    struct ks_store_member members[8];
    size_t member_count;
};

/* A copy of the status as it was within the last second. */
void ks_store_get_status(struct ks_store *store, struct ks_store_status *ret_status);

/* Whether this keystore is the one on duty (housekeeping: compaction, expiry, deletion). */
bool ks_store_on_duty(struct ks_store *store);

/* ---- The mirror: records of another store, in a database of their own beside the copy ---- */

/*
 * Replaces (snapshot) or changes records of the mirror, in one step with the source's epoch and
 * revision. They can be read with ks_store_mirror_get/scan, survive restarts, and are not sent to
 * etcd. Synchronous; called from one thread.
 * Fails: LIMIT_EXCEEDED (disk full), CORRUPT.
 */
KS_MUST_USE ks_result ks_store_mirror_apply(struct ks_store *store, bool snapshot,
                                            const char *epoch, int64_t revision,
                                            const struct ks_store_op *ops, size_t op_count);

/* The mirror's source epoch ("" when empty) and revision as of the view. */
void ks_store_mirror_position(const struct ks_store_view *view, char ret_epoch[40],
                              int64_t *ret_revision);

/* As ks_store_scan, of the mirror. A record's revision is 0. */
KS_MUST_USE ks_result ks_store_mirror_scan(const struct ks_store_view *view, ks_bytes prefix,
                                           bool (*each)(void *user,
                                                        const struct ks_store_record *record),
                                           void *user);
