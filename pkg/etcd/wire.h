/*
 * wire: etcd's messages, both ways: requests into a buffer, answers and what a watch brings into
 * values. Field numbers are etcd's (fields.h); fields that we do not know are passed over.
 *
 * Threads: pure over the arguments; any.
 */
#pragma once

#include "pkg/base/arena.h"
#include "pkg/etcd/message.h"

/*
 * Append a request to buffer, without the head that gRPC puts before it.
 * Fails: LIMIT_EXCEEDED (the buffer's len_max, or more entries than KS_ETCD_OPS_MAX); the buffer
 * may then hold a part of it.
 */
KS_MUST_USE ks_result ks_etcd_wire_txn(struct ks_buffer *buffer, const struct ks_etcd_txn *txn);
KS_MUST_USE ks_result ks_etcd_wire_range(struct ks_buffer *buffer, const struct ks_etcd_op *op);
KS_MUST_USE ks_result ks_etcd_wire_compact(struct ks_buffer *buffer, int64_t revision);
KS_MUST_USE ks_result ks_etcd_wire_disarm(struct ks_buffer *buffer,
                                          const struct ks_etcd_alarm *alarm);
KS_MUST_USE ks_result ks_etcd_wire_watch(struct ks_buffer *buffer, ks_bytes from, ks_bytes to,
                                         int64_t start_revision);

/*
 * What an answer is. NOTHING: etcd 3.4 says nothing in it, not even a header (Defragment). HEADER:
 * only the header is of interest. ALARMS: it has no header either, so that an empty message means
 * "no alarms"; what is to be relied on is in STATUS.
 */
enum ks_etcd_wire_kind {
    KS_ETCD_WIRE_HEADER,
    KS_ETCD_WIRE_TXN,
    KS_ETCD_WIRE_RANGE,
    KS_ETCD_WIRE_STATUS,
    KS_ETCD_WIRE_ALARMS,
    KS_ETCD_WIRE_MEMBERS,
    KS_ETCD_WIRE_NOTHING,
    KS_ETCD_WIRE_KIND_COUNT,
};

/*
 * Returns an answer that says cause and is otherwise empty; never NULL. It has one reference, the
 * caller's to unref.
 * detail  goes to its detail field: cut to what fits, with a dot for each byte that is not
 *         printable.
 */
struct ks_etcd_answer *ks_etcd_answer_new(enum ks_etcd_cause cause, ks_bytes detail);

/*
 * Reads an answer's message.
 *
 * ret_answer  has cause DONE and one reference, the caller's to unref. It holds a copy of what it
 *             needs of the message. Untouched after a failure.
 *
 * Fails: VALIDATION (not of this form; without the header, or without the revision in it, that etcd
 * sends in each answer of this kind: an empty message is no answer), LIMIT_EXCEEDED (more than
 * ks_etcd_wire_arena_max allows).
 */
KS_MUST_USE ks_result ks_etcd_wire_answer(enum ks_etcd_wire_kind kind, ks_bytes message,
                                          struct ks_etcd_answer **ret_answer);

/* What a watch brought: a message, or its end. */
struct ks_etcd_wire_watched {
    struct ks_etcd_watch_message message; /* unless is_end */
    bool is_part; /* events of the last revision may be missing yet: the next message has them */
    bool is_end;
    enum ks_etcd_cause cause; /* is_end, as the next two */
    int64_t compact_revision;
    ks_bytes detail;
};

/*
 * Reads one message of a watch.
 *
 * ret_watched  borrowed from arena and message; untouched after a failure.
 *
 * Fails: VALIDATION (not of this form; without etcd's revision, unless it is the end; a part without
 * events; revisions that go back),
 * LIMIT_EXCEEDED (arena's cap).
 */
KS_MUST_USE ks_result ks_etcd_wire_watch_message(ks_bytes message, struct ks_arena *arena,
                                                 struct ks_etcd_wire_watched *ret_watched);

/*
 * Appends the events of one revision of such a message to buffer, in a form that makes one message
 * with the next one when that is appended.
 * Fails: VALIDATION (not of this form), LIMIT_EXCEEDED (the buffer's len_max); the buffer may then
 * hold a part of them.
 */
KS_MUST_USE ks_result ks_etcd_wire_watch_rest(ks_bytes message, int64_t revision,
                                              struct ks_buffer *buffer);

/* Returns the len_max for an arena that takes what a message of len bytes may say. */
size_t ks_etcd_wire_arena_max(size_t len);
