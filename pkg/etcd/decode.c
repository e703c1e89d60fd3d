#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "pkg/etcd/answer.h"
#include "pkg/etcd/wire.h"
#include "pkg/json/base64.h"
#include "pkg/json/json.h"

/*
 * A transaction's answer nests nine brackets deep (transaction, responses, response, nested
 * transaction, responses, response, range, kvs, kv); twice that leaves room for what newer
 * versions of etcd may add.
 */
#define DEPTH_MAX 18U

/*
 * The shortest text of a value is "{}," and the largest struct that it becomes takes 96 bytes with
 * its alignment; keys and values take no more than their text and 16 bytes of alignment each.
 */
#define ARENA_PER_BYTE 32U
#define ARENA_BASE     4096U

size_t ks_etcd_wire_arena_max(size_t len)
{
    assert(len < SIZE_MAX / ARENA_PER_BYTE - ARENA_BASE);

    return len * ARENA_PER_BYTE + ARENA_BASE;
}

static ks_result parse(ks_bytes text, struct ks_json_doc **ret_doc)
{
    struct ks_json_limits limits = {.len_max = text.len + 1, .depth_max = DEPTH_MAX};
    KS_JSON_AUTO *doc = NULL;
    KS_TRY(ks_json_parse(text, limits, &doc));
    if (!ks_json_is_object(ks_json_root(doc))) {
        return KS_RES(VALIDATION);
    }
    *ret_doc = doc;
    doc = NULL;
    return KS_RES(OK);
}

/* Zeroed elements for an array of the document; absent and empty are one. */
static ks_result alloc_array(struct ks_arena *arena, const struct ks_json *array, size_t size,
                             void *ret_elements_at, size_t *ret_count)
{
    if (array && !ks_json_is_array(array)) {
        return KS_RES(VALIDATION);
    }
    size_t count = ks_json_count(array);
    void *elements = ks_arena_alloc(arena, count * size);
    if (!elements) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    memcpy(ret_elements_at, &elements, sizeof(elements));
    *ret_count = count;
    return KS_RES(OK);
}

static ks_result read_text(const struct ks_json *value, struct ks_arena *arena, ks_bytes *ret)
{
    ks_bytes text;
    KS_TRY(ks_json_text(value, &text));
    char *copy = ks_arena_dup(arena, text);
    if (!copy) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    *ret = (ks_bytes){(const uint8_t *)copy, text.len};
    return KS_RES(OK);
}

static ks_result read_bytes(const struct ks_json *value, struct ks_arena *arena, ks_bytes *ret)
{
    ks_bytes text;
    KS_TRY(ks_json_text(value, &text));
    uint8_t *bytes = ks_arena_alloc(arena, text.len / 4 * 3);
    if (!bytes) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    size_t len;
    KS_TRY(ks_base64_read(text, bytes, &len));
    *ret = (ks_bytes){bytes, len};
    return KS_RES(OK);
}

static ks_result read_header(const struct ks_json *header, struct ks_etcd_header *ret)
{
    KS_TRY(ks_json_uint64(ks_json_get(header, "cluster_id"), &ret->cluster_id));
    KS_TRY(ks_json_uint64(ks_json_get(header, "member_id"), &ret->member_id));
    KS_TRY(ks_json_int64(ks_json_get(header, "revision"), &ret->revision));
    return ks_json_uint64(ks_json_get(header, "raft_term"), &ret->raft_term);
}

static ks_result read_kv(const struct ks_json *json, struct ks_arena *arena, struct ks_etcd_kv *ret)
{
    KS_TRY(read_bytes(ks_json_get(json, "key"), arena, &ret->key));
    KS_TRY(read_bytes(ks_json_get(json, "value"), arena, &ret->value));
    KS_TRY(ks_json_int64(ks_json_get(json, "create_revision"), &ret->create_revision));
    KS_TRY(ks_json_int64(ks_json_get(json, "mod_revision"), &ret->mod_revision));
    return ks_json_int64(ks_json_get(json, "version"), &ret->version);
}

typedef ks_result read_op_fn(const struct ks_json *json, struct ks_arena *arena,
                             struct ks_etcd_op_answer *ret);

static ks_result read_put(const struct ks_json *json, struct ks_arena *arena,
                          struct ks_etcd_op_answer *ret)
{
    (void)arena;
    (void)ret;
    return ks_json_is_object(json) ? KS_RES(OK) : KS_RES(VALIDATION);
}

static ks_result read_delete(const struct ks_json *json, struct ks_arena *arena,
                             struct ks_etcd_op_answer *ret)
{
    (void)arena;
    return ks_json_int64(ks_json_get(json, "deleted"), &ret->count);
}

static ks_result read_range(const struct ks_json *json, struct ks_arena *arena,
                            struct ks_etcd_op_answer *ret)
{
    struct ks_etcd_kv *kvs;
    KS_TRY(ks_json_bool(ks_json_get(json, "more"), &ret->more));
    KS_TRY(ks_json_int64(ks_json_get(json, "count"), &ret->count));
    const struct ks_json *array = ks_json_get(json, "kvs");
    KS_TRY(alloc_array(arena, array, sizeof(*kvs), &kvs, &ret->kv_count));
    for (size_t i = 0; i < ret->kv_count; i++) {
        KS_TRY(read_kv(ks_json_at(array, i), arena, &kvs[i]));
    }
    ret->kvs = kvs;
    return KS_RES(OK);
}

static ks_result read_ops(const struct ks_json *array, struct ks_arena *arena, read_op_fn *read_op,
                          struct ks_etcd_op_answer *ret_txn)
{
    struct ks_etcd_op_answer *ops;
    KS_TRY(alloc_array(arena, array, sizeof(*ops), &ops, &ret_txn->op_count));
    for (size_t i = 0; i < ret_txn->op_count; i++) {
        KS_TRY(read_op(ks_json_at(array, i), arena, &ops[i]));
    }
    ret_txn->ops = ops;
    return KS_RES(OK);
}

/* What the answer of a nested transaction may hold. */
static ks_result read_plain_op(const struct ks_json *json, struct ks_arena *arena,
                               struct ks_etcd_op_answer *ret)
{
    static const struct {
        const char *name;
        read_op_fn *read;
    } kinds[KS_ETCD_TXN] = {
        [KS_ETCD_PUT] = {"response_put", read_put},
        [KS_ETCD_DELETE] = {"response_delete_range", read_delete},
        [KS_ETCD_RANGE] = {"response_range", read_range},
    };
    for (size_t kind = 0; kind < KS_COUNT(kinds); kind++) {
        const struct ks_json *op = ks_json_get(json, kinds[kind].name);
        if (op) {
            ret->kind = (enum ks_etcd_op_kind)kind;
            return kinds[kind].read(op, arena, ret);
        }
    }
    return KS_RES(VALIDATION);
}

static ks_result read_outer_op(const struct ks_json *json, struct ks_arena *arena,
                               struct ks_etcd_op_answer *ret)
{
    const struct ks_json *nested = ks_json_get(json, "response_txn");
    if (!nested) {
        return read_plain_op(json, arena, ret);
    }
    ret->kind = KS_ETCD_TXN;
    KS_TRY(ks_json_bool(ks_json_get(nested, "succeeded"), &ret->succeeded));
    return read_ops(ks_json_get(nested, "responses"), arena, read_plain_op, ret);
}

static ks_result read_nothing(const struct ks_json *root, struct ks_arena *arena,
                              struct ks_etcd_answer *answer)
{
    (void)root;
    (void)arena;
    (void)answer;
    return KS_RES(OK);
}

static ks_result read_txn_answer(const struct ks_json *root, struct ks_arena *arena,
                                 struct ks_etcd_answer *answer)
{
    struct ks_etcd_op_answer txn = {0};
    KS_TRY(read_ops(ks_json_get(root, "responses"), arena, read_outer_op, &txn));
    answer->ops = txn.ops;
    answer->op_count = txn.op_count;
    return ks_json_bool(ks_json_get(root, "succeeded"), &answer->succeeded);
}

static ks_result read_range_answer(const struct ks_json *root, struct ks_arena *arena,
                                   struct ks_etcd_answer *answer)
{
    struct ks_etcd_op_answer *op = ks_arena_alloc(arena, sizeof(*op));
    if (!op) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    op->kind = KS_ETCD_RANGE;
    answer->ops = op;
    answer->op_count = 1;
    return read_range(root, arena, op);
}

static ks_result read_status_answer(const struct ks_json *root, struct ks_arena *arena,
                                    struct ks_etcd_answer *answer)
{
    struct ks_etcd_status *status = &answer->status;
    KS_TRY(read_text(ks_json_get(root, "version"), arena, &status->version));
    KS_TRY(ks_json_int64(ks_json_get(root, "dbSize"), &status->db_len));
    KS_TRY(ks_json_int64(ks_json_get(root, "dbSizeInUse"), &status->db_used_len));
    KS_TRY(ks_json_uint64(ks_json_get(root, "leader"), &status->leader_id));
    KS_TRY(ks_json_uint64(ks_json_get(root, "raftIndex"), &status->raft_index));
    KS_TRY(ks_json_uint64(ks_json_get(root, "raftAppliedIndex"), &status->raft_applied_index));
    KS_TRY(ks_json_bool(ks_json_get(root, "isLearner"), &status->is_learner));
    status->is_leader = status->leader_id != 0 && status->leader_id == answer->header.member_id;
    return KS_RES(OK);
}

static ks_result read_alarm(const struct ks_json *json, struct ks_etcd_alarm *ret)
{
    ks_bytes name;
    KS_TRY(ks_json_uint64(ks_json_get(json, "memberID"), &ret->member_id));
    KS_TRY(ks_json_text(ks_json_get(json, "alarm"), &name));
    if (ks_bytes_equal(name, KS_LITERAL("NOSPACE"))) {
        ret->kind = KS_ETCD_ALARM_NO_SPACE;
    } else if (ks_bytes_equal(name, KS_LITERAL("CORRUPT"))) {
        ret->kind = KS_ETCD_ALARM_CORRUPT;
    }
    return KS_RES(OK);
}

static ks_result read_alarms_answer(const struct ks_json *root, struct ks_arena *arena,
                                    struct ks_etcd_answer *answer)
{
    struct ks_etcd_alarm *alarms;
    const struct ks_json *array = ks_json_get(root, "alarms");
    KS_TRY(alloc_array(arena, array, sizeof(*alarms), &alarms, &answer->alarm_count));
    for (size_t i = 0; i < answer->alarm_count; i++) {
        KS_TRY(read_alarm(ks_json_at(array, i), &alarms[i]));
    }
    answer->alarms = alarms;
    return KS_RES(OK);
}

static ks_result read_member(const struct ks_json *json, struct ks_arena *arena,
                             struct ks_etcd_member *ret)
{
    const struct ks_json *client_urls = ks_json_get(json, "clientURLs");
    const struct ks_json *peer_urls = ks_json_get(json, "peerURLs");
    KS_TRY(ks_json_uint64(ks_json_get(json, "ID"), &ret->id));
    KS_TRY(ks_json_bool(ks_json_get(json, "isLearner"), &ret->is_learner));
    KS_TRY(read_text(ks_json_get(json, "name"), arena, &ret->name));
    KS_TRY(read_text(ks_json_at(client_urls, 0), arena, &ret->client_url));
    return read_text(ks_json_at(peer_urls, 0), arena, &ret->peer_url);
}

static ks_result read_members_answer(const struct ks_json *root, struct ks_arena *arena,
                                     struct ks_etcd_answer *answer)
{
    struct ks_etcd_member *members;
    const struct ks_json *array = ks_json_get(root, "members");
    KS_TRY(alloc_array(arena, array, sizeof(*members), &members, &answer->member_count));
    for (size_t i = 0; i < answer->member_count; i++) {
        KS_TRY(read_member(ks_json_at(array, i), arena, &members[i]));
    }
    answer->members = members;
    return KS_RES(OK);
}

ks_result ks_etcd_wire_answer(enum ks_etcd_wire_kind kind, ks_bytes body,
                              struct ks_etcd_answer **ret_answer)
{
    static ks_result (*const readers[KS_ETCD_WIRE_KIND_COUNT])(
        const struct ks_json *, struct ks_arena *, struct ks_etcd_answer *) = {
        [KS_ETCD_WIRE_HEADER] = read_nothing,       [KS_ETCD_WIRE_TXN] = read_txn_answer,
        [KS_ETCD_WIRE_RANGE] = read_range_answer,   [KS_ETCD_WIRE_STATUS] = read_status_answer,
        [KS_ETCD_WIRE_ALARMS] = read_alarms_answer, [KS_ETCD_WIRE_MEMBERS] = read_members_answer,
    };
    assert(kind < KS_ETCD_WIRE_KIND_COUNT);

    KS_JSON_AUTO *doc = NULL;
    KS_TRY(parse(body, &doc));
    const struct ks_json *root = ks_json_root(doc);
    KS_ETCD_ANSWER_AUTO *answer = ks_etcd_answer_new(KS_ETCD_DONE, (ks_bytes){0});
    struct ks_arena *arena = ks_etcd_answer_arena(answer);
    arena->len_max = ks_etcd_wire_arena_max(body.len);
    KS_TRY(read_header(ks_json_get(root, "header"), &answer->header));
    KS_TRY(readers[kind](root, arena, answer));
    *ret_answer = answer;
    answer = NULL;
    return KS_RES(OK);
}

static ks_result read_event(const struct ks_json *json, struct ks_arena *arena,
                            struct ks_etcd_event *ret)
{
    ks_bytes type;
    KS_TRY(ks_json_text(ks_json_get(json, "type"), &type));
    ret->is_delete = ks_bytes_equal(type, KS_LITERAL("DELETE"));
    if (!ret->is_delete && type.len > 0 && !ks_bytes_equal(type, KS_LITERAL("PUT"))) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(read_kv(ks_json_get(json, "kv"), arena, &ret->kv));
    return ret->kv.key.len > 0 && ret->kv.mod_revision > 0 ? KS_RES(OK) : KS_RES(VALIDATION);
}

static ks_result read_events(const struct ks_json *array, struct ks_arena *arena,
                             struct ks_etcd_watch_message *ret)
{
    struct ks_etcd_event *events;
    KS_TRY(alloc_array(arena, array, sizeof(*events), &events, &ret->event_count));
    for (size_t i = 0; i < ret->event_count; i++) {
        KS_TRY(read_event(ks_json_at(array, i), arena, &events[i]));
        if (i > 0 && events[i].kv.mod_revision < events[i - 1].kv.mod_revision) {
            return KS_RES(VALIDATION);
        }
    }
    ret->events = events;
    return KS_RES(OK);
}

/* A cancelled watch: compacted history has a revision, anything else has a reason in words. */
static ks_result read_cancel(const struct ks_json *result, struct ks_arena *arena,
                             struct ks_etcd_wire_line *ret)
{
    ret->is_end = true;
    KS_TRY(ks_json_int64(ks_json_get(result, "compact_revision"), &ret->compact_revision));
    KS_TRY(read_text(ks_json_get(result, "cancel_reason"), arena, &ret->detail));
    ret->cause = ret->compact_revision > 0 ? KS_ETCD_COMPACTED : KS_ETCD_ENDED;
    return KS_RES(OK);
}

static ks_result read_result(const struct ks_json *result, struct ks_arena *arena,
                             struct ks_etcd_wire_line *ret)
{
    bool is_part;
    bool is_cancelled;
    KS_TRY(read_header(ks_json_get(result, "header"), &ret->message.header));
    KS_TRY(ks_json_bool(ks_json_get(result, "created"), &ret->message.created));
    KS_TRY(ks_json_bool(ks_json_get(result, "fragment"), &is_part));
    KS_TRY(ks_json_bool(ks_json_get(result, "canceled"), &is_cancelled));
    if (is_part) {
        return KS_RES(VALIDATION);
    }
    if (is_cancelled) {
        return read_cancel(result, arena, ret);
    }
    return read_events(ks_json_get(result, "events"), arena, &ret->message);
}

ks_result ks_etcd_wire_watch_line(ks_bytes line, struct ks_arena *arena,
                                  struct ks_etcd_wire_line *ret_line)
{
    KS_JSON_AUTO *doc = NULL;
    KS_TRY(parse(line, &doc));
    const struct ks_json *root = ks_json_root(doc);
    const struct ks_json *result = ks_json_get(root, "result");
    const struct ks_json *error = ks_json_get(root, "error");
    struct ks_etcd_wire_line out = {0};
    if (ks_json_is_object(result) && !error) {
        KS_TRY(read_result(result, arena, &out));
    } else if (error && !result) {
        out.is_end = true;
        out.cause = ks_etcd_wire_error(0, line, arena, &out.detail);
    } else {
        return KS_RES(VALIDATION);
    }
    *ret_line = out;
    return KS_RES(OK);
}

/* Where words and gRPC code are found: {"error":"words","code":N} or {"error":{"message":..}}. */
static ks_result read_error(ks_bytes body, struct ks_arena *arena, ks_bytes *ret_words,
                            int64_t *ret_code)
{
    KS_JSON_AUTO *doc = NULL;
    KS_TRY(parse(body, &doc));
    const struct ks_json *root = ks_json_root(doc);
    const struct ks_json *error = ks_json_get(root, "error");
    bool is_stream = ks_json_is_object(error);
    const struct ks_json *words = is_stream ? ks_json_get(error, "message") : error;
    const struct ks_json *code =
        is_stream ? ks_json_get(error, "grpc_code") : ks_json_get(root, "code");
    KS_TRY(read_text(words, arena, ret_words));
    return ks_json_int64(code, ret_code);
}

/* By etcd's words (rpctypes/error.go of 3.4), since several errors share one gRPC code. */
static const struct {
    const char *words;
    enum ks_etcd_cause cause;
} by_words[] = {
    {"database space exceeded", KS_ETCD_NO_SPACE},
    {"required revision has been compacted", KS_ETCD_COMPACTED},
    {"required revision is a future revision", KS_ETCD_FUTURE},
    {"too many requests", KS_ETCD_TOO_MANY},
    {"request is too large", KS_ETCD_TOO_LARGE},
    {"too many operations in txn request", KS_ETCD_TOO_LARGE},
    {"larger than max", KS_ETCD_TOO_LARGE},
    {"corrupt cluster", KS_ETCD_DAMAGED},
};

/* By gRPC code, for the rest; what has no row is unknown. */
static const struct {
    int64_t code;
    enum ks_etcd_cause cause;
} by_code[] = {
    {3, KS_ETCD_INVALID},    /* INVALID_ARGUMENT */
    {7, KS_ETCD_REFUSED},    /* PERMISSION_DENIED */
    {9, KS_ETCD_INVALID},    /* FAILED_PRECONDITION: authentication or version of the cluster */
    {12, KS_ETCD_INVALID},   /* UNIMPLEMENTED */
    {14, KS_ETCD_NO_LEADER}, /* UNAVAILABLE: no leader, leader changed, timed out, stopping */
    {15, KS_ETCD_DAMAGED},   /* DATA_LOSS */
    {16, KS_ETCD_REFUSED},   /* UNAUTHENTICATED */
};

enum ks_etcd_cause ks_etcd_wire_error(long http_status, ks_bytes body, struct ks_arena *arena,
                                      ks_bytes *ret_detail)
{
    ks_bytes words = {0};
    int64_t code = 0;
    *ret_detail = (ks_bytes){0};
    if (ks_failed(read_error(body, arena, &words, &code))) {
        return http_status == 401 || http_status == 403 ? KS_ETCD_REFUSED : KS_ETCD_UNKNOWN;
    }
    *ret_detail = words;
    for (size_t i = 0; i < KS_COUNT(by_words); i++) {
        const char *known = by_words[i].words;
        if (words.len > 0 && memmem(words.ptr, words.len, known, strlen(known))) {
            return by_words[i].cause;
        }
    }
    for (size_t i = 0; i < KS_COUNT(by_code); i++) {
        if (by_code[i].code == code) {
            return by_code[i].cause;
        }
    }
    return KS_ETCD_UNKNOWN;
}
