/*
 * wire: etcd's v3 JSON, both ways: requests into a buffer, answers and watch lines into values.
 *
 * What proto3's JSON is like: 64-bit integers are strings, bytes are base64, a field that is
 * false, 0 or empty is left out. Fields that we do not know are passed over.
 * Threads: pure over the arguments.
 */
#pragma once

#include "pkg/base/arena.h"
#include "pkg/etcd/message.h"

/* Requests: append the body. Fails: LIMIT_EXCEEDED (buffer's cap, or KS_ETCD_OPS_MAX). */
KS_MUST_USE ks_result ks_etcd_wire_txn(struct ks_buffer *buffer, const struct ks_etcd_txn *txn);
KS_MUST_USE ks_result ks_etcd_wire_range(struct ks_buffer *buffer, const struct ks_etcd_op *op);
KS_MUST_USE ks_result ks_etcd_wire_compact(struct ks_buffer *buffer, int64_t revision);
KS_MUST_USE ks_result ks_etcd_wire_disarm(struct ks_buffer *buffer,
                                          const struct ks_etcd_alarm *alarm);
KS_MUST_USE ks_result ks_etcd_wire_watch(struct ks_buffer *buffer, ks_bytes from, ks_bytes to,
                                         int64_t start_revision);

/* What an answer's body is. HEADER: nothing but the header is of interest. */
enum ks_etcd_wire_kind {
    KS_ETCD_WIRE_HEADER,
    KS_ETCD_WIRE_TXN,
    KS_ETCD_WIRE_RANGE,
    KS_ETCD_WIRE_STATUS,
    KS_ETCD_WIRE_ALARMS,
    KS_ETCD_WIRE_MEMBERS,
    KS_ETCD_WIRE_KIND_COUNT,
};

/*
 * An answer with one reference that says cause, and nothing else.
 * detail  for its detail field; copied, cut, made printable.
 */
struct ks_etcd_answer *ks_etcd_answer_new(enum ks_etcd_cause cause, ks_bytes detail);

/*
 * Reads the body of an answer with status 200.
 *
 * ret_answer  cause DONE, one reference, the caller's.
 *
 * Fails: VALIDATION (not JSON, or not of this form), LIMIT_EXCEEDED (too deep).
 */
KS_MUST_USE ks_result ks_etcd_wire_answer(enum ks_etcd_wire_kind kind, ks_bytes body,
                                          struct ks_etcd_answer **ret_answer);

/*
 * What the body of an answer with another status means. Any bytes are fine.
 *
 * ret_detail  etcd's text, borrowed from arena; empty if there is none.
 */
enum ks_etcd_cause ks_etcd_wire_error(long http_status, ks_bytes body, struct ks_arena *arena,
                                      ks_bytes *ret_detail);

/* One line of a watch: a message, or (is_end) its end. */
struct ks_etcd_wire_line {
    struct ks_etcd_watch_message message;
    bool is_end;
    enum ks_etcd_cause cause;
    int64_t compact_revision;
    ks_bytes detail;
};

/*
 * Reads one line, without its line end. What it gives out is borrowed from arena.
 *
 * Fails: VALIDATION (not of this form; part of a revision only; revisions that go back),
 * LIMIT_EXCEEDED (too deep, arena's cap).
 */
KS_MUST_USE ks_result ks_etcd_wire_watch_line(ks_bytes line, struct ks_arena *arena,
                                              struct ks_etcd_wire_line *ret_line);

/* The cap for an arena that takes what a text of len bytes may say. */
size_t ks_etcd_wire_arena_max(size_t len);
