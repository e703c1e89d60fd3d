/*
 * message: what is said to etcd and what it answers, as plain values. etcd v3 API: rpc.proto,
 * kv.proto of etcd 3.4.
 *
 * Keys and values are any bytes. Revisions and versions start at 1, so that 0 can mean "none".
 *
 * Threads: values; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

/* etcd's own bound on a request, in bytes of its binary form (--max-request-bytes 1572864). */
#define KS_ETCD_REQUEST_BINARY_MAX 1572864U

/* Entries that one transaction can carry on each of its three lists, counted by KS_ETCD_OPS_MAX. */
#define KS_ETCD_OPS_MAX 1024U

/* A condition: the key's mod_revision is this one; 0: the key is absent. */
struct ks_etcd_compare {
    ks_bytes key;
    int64_t mod_revision;
};

enum ks_etcd_op_kind { KS_ETCD_PUT, KS_ETCD_DELETE, KS_ETCD_RANGE, KS_ETCD_TXN, KS_ETCD_OP_COUNT };

/* The key at which a range of all keys begins, and the range_end that reaches past the last one. */
#define KS_ETCD_FIRST KS_LITERAL("\0")
#define KS_ETCD_LAST  KS_LITERAL("\0")

/*
 * One step of a transaction. Fields that a kind does not name are ignored.
 *   PUT     key, value (may be empty)
 *   DELETE  key, range_end
 *   RANGE   key, range_end, limit, revision, keys_only, serializable
 *   TXN     txn (one level: a nested one holds no TXN)
 */
struct ks_etcd_op {
    enum ks_etcd_op_kind kind;
    bool keys_only;
    bool serializable; /* answered by the member alone, perhaps from an older state */
    ks_bytes key;
    ks_bytes range_end; /* empty: the one key; else all keys in [key, range_end) */
    ks_bytes value;
    int64_t limit;    /* 0: none */
    int64_t revision; /* as it was then; 0: now */
    const struct ks_etcd_txn *txn;
};

/*
 * A transaction: etcd does `success` if every compare holds, otherwise `failure`. Everything is
 * borrowed during the call.
 */
struct ks_etcd_txn {
    const struct ks_etcd_compare *compares;
    size_t compare_count;
    const struct ks_etcd_op *success;
    size_t success_count;
    const struct ks_etcd_op *failure;
    size_t failure_count;
};

/* Which member answered, and etcd's revision then (after the transaction, if it wrote). */
struct ks_etcd_header {
    uint64_t cluster_id;
    uint64_t member_id;
    int64_t revision;
    uint64_t raft_term;
};

struct ks_etcd_kv {
    ks_bytes key;
    ks_bytes value;
    int64_t create_revision;
    int64_t mod_revision;
    int64_t version; /* 1 after creation, one more with each put */
};

/* The answer to one op, in the order of the ops that were done. */
struct ks_etcd_op_answer {
    enum ks_etcd_op_kind kind;
    bool more;                    /* RANGE: limit cut it short */
    int64_t count;                /* RANGE: keys in the range whatever the limit; DELETE: deleted */
    const struct ks_etcd_kv *kvs; /* RANGE */
    size_t kv_count;
    bool succeeded;                      /* TXN: which branch was done */
    const struct ks_etcd_op_answer *ops; /* TXN: its answers */
    size_t op_count;
};

/* Maintenance.Status: the state of the member that was asked. */
struct ks_etcd_status {
    ks_bytes version;    /* "3.4.23" */
    int64_t db_len;      /* bytes of the file, free pages included */
    int64_t db_used_len; /* bytes in use */
    uint64_t leader_id;  /* 0: it knows none */
    bool is_leader;
    uint64_t raft_index;
    uint64_t raft_applied_index;
    bool is_learner;
    bool has_no_space; /* it knows of a NO_SPACE alarm, of any member */
    bool has_corrupt;  /* it knows of a CORRUPT alarm */
};

enum ks_etcd_alarm_kind { KS_ETCD_ALARM_NONE, KS_ETCD_ALARM_NO_SPACE, KS_ETCD_ALARM_CORRUPT };

struct ks_etcd_alarm {
    uint64_t member_id;
    enum ks_etcd_alarm_kind kind;
};

struct ks_etcd_member {
    uint64_t id;
    ks_bytes name;       /* empty: it never started */
    ks_bytes client_url; /* the first one; empty: it never started */
    ks_bytes peer_url;   /* the first one */
    bool is_learner;
};

/*
 * Why a call ended as it did. One row per cause on which a caller can act:
 *   name, result, whether the change may be applied (now or later) nevertheless, text
 *
 * etcd 3.4 applies the change that crosses its quota, and answers NO_SPACE all the same
 * (etcdserver/apply.go, quotaApplierV3.Txn).
 */
#define KS_ETCD_CAUSES(ROW)                                                                        \
    ROW(DONE, OK, false, "done")                                                                   \
    ROW(UNSENT, UNAVAILABLE, false, "no etcd member could be reached; nothing was sent")           \
    ROW(UNKNOWN, UNAVAILABLE, true, "no answer in time, or the connection broke; it may be done")  \
    ROW(NO_LEADER, UNAVAILABLE, true, "etcd has no leader, lost it, or is overtaxed")              \
    ROW(TOO_MANY, UNAVAILABLE, false, "etcd refuses for now: too many requests")                   \
    ROW(NO_SPACE, LIMIT_EXCEEDED, true,                                                            \
        "etcd's database is full: compact, defragment each member, then disarm the alarm, or "     \
        "raise --quota-backend-bytes")                                                             \
    ROW(COMPACTED, CONFLICT, false, "that revision is compacted; load anew from a newer one")      \
    ROW(FUTURE, CONFLICT, false, "that revision does not exist yet")                               \
    ROW(TOO_LARGE, LIMIT_EXCEEDED, false, "over --max-request-bytes or --max-txn-ops of etcd")     \
    ROW(REFUSED, ACCESS_DENIED, false,                                                             \
        "etcd and we do not accept each other's certificates, or etcd denies permission")          \
    ROW(INVALID, VALIDATION, false, "etcd does not accept the form of the request")                \
    ROW(DAMAGED, CORRUPT, false, "etcd's CORRUPT alarm is raised: replace the member it names")    \
    ROW(BAD_ANSWER, INTERNAL, true, "etcd's answer is malformed or longer than we allow")          \
    ROW(ENDED, UNAVAILABLE, false, "etcd ended the watch, or it was silent for too long")          \
    ROW(CLOSED, CANCELLED, true, "the client was freed while the call was under way")

#define KS_ETCD_CAUSE_ENUM(name, result, may_be_applied, text) KS_ETCD_##name,

enum ks_etcd_cause { KS_ETCD_CAUSES(KS_ETCD_CAUSE_ENUM) KS_ETCD_CAUSE_COUNT };

#undef KS_ETCD_CAUSE_ENUM

/*
 * Return the columns of the cause's row: the result, whether the change may be applied nevertheless
 * (true: now or later), and the text, which is static and tells an operator what to do.
 */
ks_result ks_etcd_cause_result(enum ks_etcd_cause cause);
bool ks_etcd_cause_may_be_applied(enum ks_etcd_cause cause);
const char *ks_etcd_cause_text(enum ks_etcd_cause cause);

/*
 * The end of one call. When cause is not DONE only the first three fields count; the others are
 * zero. Answers are counted: code that needs one after the callback takes a reference. What the
 * answer points to is freed with it.
 */
struct ks_etcd_answer {
    enum ks_etcd_cause cause;
    bool may_be_applied; /* false: not applied, unless cause is DONE. True: now, later or never */
    char detail[128];    /* what etcd or curl said, for logs only; NUL-terminated */
    struct ks_etcd_header header;

    /* ks_etcd_txn */
    bool succeeded;
    const struct ks_etcd_op_answer *ops; /* ks_etcd_txn: of the branch done; ks_etcd_range: one */
    size_t op_count;

    struct ks_etcd_status status;       /* ks_etcd_status */
    const struct ks_etcd_alarm *alarms; /* ks_etcd_alarms */
    size_t alarm_count;
    const struct ks_etcd_member *members; /* ks_etcd_members */
    size_t member_count;
};

/* Takes a reference, which the caller drops with ks_etcd_answer_unref. Returns the same answer. */
struct ks_etcd_answer *ks_etcd_answer_ref(const struct ks_etcd_answer *answer);

/*
 * Drops a reference; the last one frees the answer. Counting is atomic, so any thread may drop it.
 * NULL is fine.
 */
void ks_etcd_answer_unref(struct ks_etcd_answer *answer);

/* Returns the cause's result: OK only for DONE. */
ks_result ks_etcd_answer_result(const struct ks_etcd_answer *answer);

/* Cleanup for `KS_ETCD_ANSWER_AUTO *answer`. */
void ks_etcd_answer_unref_at(struct ks_etcd_answer **answer);
#define KS_ETCD_ANSWER_AUTO KS_CLEANUP(ks_etcd_answer_unref_at) struct ks_etcd_answer

struct ks_etcd_event {
    bool is_delete; /* then kv has key, mod_revision and nothing else */
    struct ks_etcd_kv kv;
};

/*
 * One message of a watch. Events are in order and revisions are whole: all events of one revision
 * are in one message, though etcd sends a long one in parts. A message without events is a sign of life: everything up to header.revision
 * has been delivered. In the first message `created` is true, and nothing has been delivered yet.
 */
struct ks_etcd_watch_message {
    struct ks_etcd_header header;
    bool created;
    const struct ks_etcd_event *events;
    size_t event_count;
};
