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
 * A reader takes a view, which is a snapshot of the local copy. Code that answers clients takes the
 * view with ks_store_serve, which looks at the serving window first (window.h). Before the answer
 * goes out, it calls ks_store_settle with the revision that the answer rests on. These two calls
 * keep promise 2 of the design; tests/model/serving-windows.pml is the model of the rule.
 *
 * Outputs are written on success only.
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
#define KS_STORE_PREFIXES_MAX  4U    /* of one mutation */
#define KS_STORE_PENDING_MAX   4096U /* mutations under way; beyond: THROTTLED */
#define KS_STORE_KEYSTORES_MAX 16U   /* on the list of a cell */
#define KS_STORE_WINDOW_MS     2000U /* D of the design */
#define KS_STORE_QUOTA_BYTES   (4ULL << 30)

struct ks_store;

/* ---- The guard: which changes the copy makes ---- */

/*
 * The copy in the middle of a change, for a guard to look at. A guard is asked about each change of
 * a record before the copy makes it: by a mutation (embedded), by the log, or while the copy is
 * loaded anew, in any order then. It decides by what it is given alone, so that every copy of the
 * cell decides alike.
 *
 * For each record whose guard says so the copy remembers an ordinal, and keeps it when it is loaded
 * anew from the same epoch: somebody who writes etcd can have a copy loaded anew at any time. It is
 * lost when the copy is thrown away.
 */
struct ks_store_held;

/* Returns whether the copy is being loaded: records that a record belongs to may come later. */
bool ks_store_held_is_loading(const struct ks_store_held *held);

/* Returns the ordinal that is remembered for a record; 0: none is. */
uint64_t ks_store_held_ordinal(const struct ks_store_held *held, ks_bytes key);

/*
 * Looks a record up as the change so far has left it.
 * ret_value  borrowed until the copy is changed; untouched after a failure.
 * Fails: NOT_FOUND, CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_store_held_get(const struct ks_store_held *held, ks_bytes key,
                                        ks_bytes *ret_value);

/*
 * Removes a record and its ordinal together with the change that is asked about. The guard is not
 * asked about this one. Fails: as ks_store_held_get; an absent record is fine.
 */
KS_MUST_USE ks_result ks_store_held_remove(struct ks_store_held *held, ks_bytes key);

/*
 * Returns whether the copy makes a change: value {NULL, 0} deletes. If not, on_refused is called,
 * and the record stays as it is in the copy; while the copy is loaded, a record that can't be read
 * takes its place, so that nobody takes it for absent. A mutation of the embedded engine fails with
 * UNAVAILABLE.
 *
 * ret_ordinal  to be remembered for a record that is put; 0, which it is before: none.
 */
typedef bool ks_store_guard(struct ks_store_held *held, ks_bytes key, ks_bytes value,
                            uint64_t *ret_ordinal);

/*
 * Returns the ordinal that the guard gives for a record with this key and value; 0: none, or it can't
 * be read. Pure. A record that is read with a lower ordinal than the process remembers is CORRUPT:
 * somebody has written the copy's file.
 */
typedef uint64_t ks_store_ordinal_fn(ks_bytes key, ks_bytes value);

/*
 * Is told what is remembered of a record, whose key is borrowed for the call. Returns false to stop.
 * revision  of the record's last change; 0: it is not there
 */
typedef bool ks_store_ordinal_each(void *user, ks_bytes key, uint64_t ordinal, int64_t revision);

enum ks_store_engine { KS_STORE_EMBEDDED, KS_STORE_REPLICATED };

/* What the copy is doing, for status and health. */
enum ks_store_state {
    KS_STORE_STARTING,  /* nothing applied yet */
    KS_STORE_LOADING,   /* the copy is being loaded anew */
    KS_STORE_FOLLOWING, /* the watch is on */
    KS_STORE_REFUSED,   /* it can't go on; ks_store_status says what to do */
};

/*
 * Returns when somebody must see to a record (milliseconds of wall time, above 0), as its key and
 * value say; 0: never. Pure: the same arguments give the same time in every version of the program,
 * because an index is kept of it.
 */
typedef int64_t ks_store_due_fn(ks_bytes key, ks_bytes value);

struct ks_store_options {
    enum ks_store_engine engine;
    const char *folder; /* of the local copy; made if absent, locked while the store lives */
    uint64_t database_bytes_max;  /* 0: 16 GiB. A full copy refuses commits with LIMIT_EXCEEDED */
    const struct ks_clock *clock; /* NULL: ks_clock_system */

    ks_store_due_fn *due_ms; /* NULL: no record is ever due */

    /* Replicated only. */
    const char *prefix;           /* of all keys in etcd, e.g. "/keystead/ap-seoul-1/" */
    const char *const *endpoints; /* "https://host:port", this zone's first */
    size_t endpoint_count;
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
    const char *name; /* of this keystore, e.g. "keystore-ap-seoul-1a" */
    const char *zone;
    const char *address;       /* where peers reach it; its record in the cell's list says so */
    uint32_t window_ms;        /* D; 0: KS_STORE_WINDOW_MS */
    uint64_t etcd_quota_bytes; /* --quota-backend-bytes of the members; 0: KS_STORE_QUOTA_BYTES */
    bool serve_by_log; /* `serving: log` of the design, which is not built yet: UNSUPPORTED */

    /*
     * Callbacks, on the store's thread; each may be NULL. What they are given is borrowed for the
     * call.
     * on_applied: the copy has applied everything up to `revision`, and a record has changed since
     *             the last call. Tell the peers (they call ks_store_peer_applied), under the
     *             keystore_id that the status shows now, which changes when the epoch does. Before
     *             that change this is called with 0: tell the peers nothing until the next call.
     * on_change:  a record has changed, and its revision can be read. Value {NULL, 0}: deleted.
     * on_reload:  the copy was loaded anew, up to `revision`, without an on_change for what
     *             differs: read what you need.
     */
    void (*on_applied)(void *user, int64_t revision);
    void (*on_change)(void *user, ks_bytes key, ks_bytes value, int64_t revision);
    void (*on_reload)(void *user, int64_t revision);
    /*
     * Something that an operator should find in the log, as a sentence: "the copy is loaded anew"
     */
    void (*on_notice)(void *user, const char *sentence);
    /*
     * The guard has refused a change of this record, or the copy was loaded anew and the record is
     * missing: somebody else than a keystore has written etcd. Or a record was read from the copy
     * that is older than the one which was put there: somebody has written the disk. On any thread.
     */
    void (*on_refused)(void *user, ks_bytes key);
    void *user;

    ks_store_guard *guard;           /* NULL: every change is made */
    ks_store_ordinal_fn *ordinal_of; /* if there is a guard */
    /* Replicated only: the copy serves nothing before ks_store_release is called. */
    bool is_held;
};

/*
 * Opens the copy and starts the store's thread. Strings of options are copied; options->clock and
 * options->user are borrowed as long as the store lives. Callbacks may come before this returns.
 *
 * ret_store  the caller's; free with ks_store_free. Untouched after a failure.
 *
 * Fails: CONFLICT (another process holds the folder), CORRUPT (embedded: the database is damaged,
 * and is left as it is. Replicated: an etcd was refused for good, and what it lacked can't be read
 * any more, see docs/operations/etcd-went-back.md; a damaged copy is thrown away and loaded anew),
 * VALIDATION (prefix, endpoints or names have no right form), UNSUPPORTED (serve_by_log),
 * INTERNAL (the folder can't be made or written, or the system has no thread left).
 */
KS_MUST_USE ks_result ks_store_new(const struct ks_store_options *options,
                                   struct ks_store **ret_store);

/*
 * Ends the thread and frees the store. Mutations and settlements that are under way are answered
 * UNAVAILABLE before this returns. Every view must have been closed. NULL is fine.
 */
void ks_store_free(struct ks_store *store);

/* ---- Reading ---- */

/*
 * A snapshot of the copy, which its owner closes with ks_store_view_close, on any thread. It holds
 * one of a bounded number of LMDB readers, and keeps old pages from being reused: close it soon.
 */
struct ks_store_view {
    void *snapshot;
    int64_t revision;      /* that the copy had applied */
    int64_t data_revision; /* newest revision that changed a record */
};

struct ks_store_record {
    ks_bytes key;     /* borrowed until the view is closed */
    ks_bytes value;   /* borrowed until the view is closed */
    int64_t revision; /* of its last change: its mod revision */
};

/*
 * Opens a view that may answer a request that came in before this call.
 *
 * ret_view  the caller's to close; untouched after a failure.
 *
 * Fails: UNAVAILABLE (no serving window is open, the copy is being loaded, too many views are open,
 * cell time is not known yet, or the store is held), CORRUPT, INTERNAL. The request must not be answered from this copy then.
 */
KS_MUST_USE ks_result ks_store_serve(struct ks_store *store, struct ks_store_view *ret_view);

/*
 * Opens a view that may be old. It is for the process's own use, and to prepare a mutation whose
 * compares name all that it rests on; it may not answer a client.
 *
 * ret_view  the caller's to close; untouched after a failure.
 *
 * Fails: UNAVAILABLE (nothing was loaded yet, the copy is being loaded, or too many views are
 * open), CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_store_peek(struct ks_store *store, struct ks_store_view *ret_view);

/* Closes a view and makes it the zero value, for which a close does nothing. */
void ks_store_view_close(struct ks_store_view *view);
#define KS_STORE_VIEW_AUTO KS_CLEANUP(ks_store_view_close) struct ks_store_view

/*
 * Looks up one record.
 *
 * ret_record  borrowed until the view is closed (its key from `key`); untouched after a failure.
 *
 * Fails: NOT_FOUND (an answer that rests on that settles the newest revision that
 * ks_store_prefix gives for a prefix of the key, or else view->data_revision), CORRUPT (the record
 * does not match its checksum: it is never served, and the replicated engine loads the copy anew),
 * INTERNAL.
 */
KS_MUST_USE ks_result ks_store_get(const struct ks_store_view *view, ks_bytes key,
                                   struct ks_store_record *ret_record);

/*
 * Calls `each` for the records whose keys start with prefix, in order of their keys, beginning
 * after the key `after` (empty: with the first one), until it returns false. A record is borrowed
 * until the view is closed.
 * Fails: CORRUPT (a record does not match its checksum), INTERNAL; `each` was then called for the
 * records before it.
 */
KS_MUST_USE ks_result ks_store_scan(const struct ks_store_view *view, ks_bytes prefix,
                                    ks_bytes after,
                                    bool (*each)(void *user, const struct ks_store_record *record),
                                    void *user);

/*
 * Tells what is known of the records whose keys start with prefix, from an index and not by a scan.
 * An absence or a list rests on the newest revision, so that it waits for changes under its prefix
 * only, and a quota on the count.
 *
 * prefix      ends a path level that the table of copy/index.c names, e.g. "key/<account>/"; any
 *             other one is a programmer's error, which stops the process
 * ret_newest  no record under prefix was put or deleted after this revision
 * ret_count   how many records there are
 *
 * Fails: CORRUPT (the index does not match its checksum; the replicated engine loads the copy
 * anew), INTERNAL. The outputs are untouched then.
 */
KS_MUST_USE ks_result ks_store_prefix(const struct ks_store_view *view, ks_bytes prefix,
                                      int64_t *ret_newest, uint64_t *ret_count);

/*
 * Calls `each` for the records below root, e.g. "request/", that options->due_ms says are due at
 * until_ms or before, the earliest first, until it returns false. It looks at no other record. A
 * record is borrowed for the call.
 * Fails: CORRUPT, INTERNAL; `each` was then called for those before.
 */
KS_MUST_USE ks_result
ks_store_scan_due(const struct ks_store_view *view, ks_bytes root, int64_t until_ms,
                  bool (*each)(void *user, const struct ks_store_record *record), void *user);

/*
 * Makes sure that no keystore serves a state older than `revision` any more, then calls done once.
 * Its result is OK, or UNAVAILABLE (that can't be known now, or too much is under way): the answer
 * must not go out then. done is called within this call, on the caller's thread, when the result is
 * known already, which is the usual case; otherwise later on the store's thread.
 *
 * revision  the newest mod revision among the records that the answer rests on; where it rests on
 *           an absence or on a list, that which ks_store_prefix gives, or the view's data_revision.
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
 * What a mutation does to the room that is left in the cell's etcd, which decides who is refused
 * when it gets scarce (log/space.h).
 */
enum ks_store_room {
    KS_STORE_CHANGES,   /* what is there is changed */
    KS_STORE_GROWS,     /* records come to stay: refused first */
    KS_STORE_WITHDRAWS, /* takes a permission or a record away: never refused for lack of room */
};

/*
 * One mutation: if all of its compares hold, all of its ops are done, and all of its prefixes deleted,
 * in one revision; otherwise nothing is. Each op has another key.
 */
struct ks_store_mutation {
    struct ks_store_compare compares[KS_STORE_COMPARES_MAX];
    size_t compare_count;
    struct ks_store_op ops[KS_STORE_OPS_MAX];
    size_t op_count;
    enum ks_store_room room;
    /*
     * All records whose keys start with one of these are deleted, too. A prefix is a directory or
     * goes on from one: "grant/<account>/<key>/", or what else the table of copy/index.c calls so.
     * No op, and no other prefix, may be about a record there. Each record that goes is told by
     * on_change.
     */
    ks_bytes prefixes[KS_STORE_PREFIXES_MAX];
    size_t prefix_count;
    /*
     * The record that makes a request happen once. It is put with the mutation if there is none
     * under request_key; if there is one, nothing else is looked at, and that record is the answer.
     * Empty key: no such record, for mutations whose compares make repetition harmless.
     */
    ks_bytes request_key;
    ks_bytes request_value;
};

struct ks_store_outcome {
    /*
     * OK              the mutation is done and settled: acknowledge it
     * CONFLICT        a compare does not hold, and nothing was done: read again and decide anew
     * ALREADY_EXISTS  the request was done before; `stored` is its record, which is settled
     * LIMIT_EXCEEDED  this disk is full, the cell's etcd has no room left for such a mutation, or
     *                 it is over the limits above; nothing was done
     * THROTTLED       too many mutations are under way; nothing was done
     * UNAVAILABLE     it may have been done or not: the client retries with the same request_id
     */
    ks_result result;
    int64_t revision; /* OK: of the mutation. ALREADY_EXISTS: of the record's change */
    ks_bytes stored;  /* ALREADY_EXISTS: the request's record; borrowed during the callback */
};

/*
 * Commits a mutation and settles it, then calls done once, on the store's thread; the outcome is
 * borrowed during that call, and says what became of a failure. Several mutations are put into one
 * transaction (group commit). A transaction whose outcome is unknown is repeated unchanged until it
 * is known, or until deadline_ns (CLOCK_BOOTTIME; 0: 10 s from now) has passed: UNAVAILABLE.
 * Everything in mutation is copied before this returns.
 */
void ks_store_commit(struct ks_store *store, const struct ks_store_mutation *mutation,
                     int64_t deadline_ns,
                     void (*done)(void *user, const struct ks_store_outcome *outcome), void *user);

/* ---- Peers and status ---- */

/*
 * Notes that a peer has said, over its own certified connection, that it has applied revision. The
 * embedded engine has no peers and ignores it. An id that is empty, or longer than any keystore's,
 * is ignored, too.
 */
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
    uint64_t database_bytes; /* of its file */
    uint64_t used_bytes;     /* of that, what is not free */
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

/* Copies the status as it was within the last second. ret_status is always written as a whole. */
void ks_store_get_status(struct ks_store *store, struct ks_store_status *ret_status);

/*
 * Returns whether this keystore is the one on duty, which does the cell's housekeeping: compaction,
 * expiry, deletion. For a moment two keystores may be, or none.
 */
bool ks_store_on_duty(struct ks_store *store);

/* ---- What the guard has remembered, compared with another keystore ---- */

/*
 * Calls `each` for every record of which an ordinal is remembered, also if the record is not there,
 * in order of their keys, until it returns false.
 * Fails: CORRUPT, INTERNAL; `each` was then called for those before.
 */
KS_MUST_USE ks_result ks_store_scan_ordinals(const struct ks_store_view *view,
                                             ks_store_ordinal_each *each, void *user);

/*
 * Notes that another keystore remembers this ordinal of a record, and returns whether it is higher
 * than what was remembered here; a lower one changes nothing. If the record that stands in the copy
 * has a lower one, it is CORRUPT from now on.
 */
bool ks_store_raise_ordinal(struct ks_store *store, ks_bytes key, uint64_t ordinal);

/* Returns the ordinal that is remembered of a record; 0: none is. */
uint64_t ks_store_ordinal(struct ks_store *store, ks_bytes key);

/* Has the copy loaded anew soon, by the guard and all that is remembered. Embedded: nothing. */
void ks_store_doubt(struct ks_store *store);

/* Lets the store serve that options->is_held has kept from it. Once is enough. */
void ks_store_release(struct ks_store *store);

/* Returns whether the store serves nothing because it was not released yet. */
bool ks_store_is_held(struct ks_store *store);

/* ---- Time ---- */

/*
 * Returns a clock whose boot_ns is that of options->clock, and whose wall_ms is the cell's
 * withdrawal time (pkg/celltime): what is stored, and whatever permits or forbids by time, goes by
 * it and by no machine's own clock. It never goes back. It lasts as long as the store.
 */
const struct ks_clock *ks_store_clock(const struct ks_store *store);

/*
 * Returns whether cell time is known, as it soon is and then stays. Until then the clock's wall_ms
 * is that of this machine, and ks_store_serve fails.
 */
bool ks_store_knows_time(const struct ks_store *store);

/*
 * Gives the time that what can't be undone goes by: a key's deletion, the removal of records. It is
 * the least of the listed keystores' wall clocks.
 * Fails: UNAVAILABLE (they differ by more than a minute, or the only one is in doubt; the status
 * has an alarm then): nothing may be destroyed now. ret_ms is untouched.
 */
KS_MUST_USE ks_result ks_store_destruction_time(struct ks_store *store, int64_t *ret_ms);
