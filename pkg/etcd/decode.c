#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "pkg/codec/utf8.h"
#include "pkg/codec/wire.h"
#include "pkg/etcd/answer.h"
#include "pkg/etcd/fields.h"
#include "pkg/etcd/wire.h"

/*
 * The shortest element of a list is a tag and the length 0, two bytes, and the largest struct that
 * it becomes takes 80 bytes with its alignment. An answer's own bytes come on top.
 */
#define ARENA_PER_BYTE 42U
#define ARENA_BASE     4096U

size_t ks_etcd_wire_arena_max(size_t len)
{
    assert(len < SIZE_MAX / ARENA_PER_BYTE - ARENA_BASE);

    return len * ARENA_PER_BYTE + ARENA_BASE;
}

/* The fields of a message, one after the other; the first failure stays and ends them. */
struct reader {
    ks_bytes rest;
    struct ks_wire_field field;
    ks_result result;
};

static bool next(struct reader *from)
{
    if (ks_failed(from->result) || from->rest.len == 0) {
        return false;
    }
    from->result = ks_wire_next(&from->rest, &from->field);
    return !ks_failed(from->result);
}

static bool is_of_type(struct reader *from, enum ks_wire_type type)
{
    if (from->field.type != type) {
        from->result = KS_RES(VALIDATION);
    }
    return from->field.type == type;
}

static void take_uint64(struct reader *from, uint64_t *ret)
{
    if (is_of_type(from, KS_WIRE_VARINT)) {
        *ret = from->field.value;
    }
}

static void take_int64(struct reader *from, int64_t *ret)
{
    if (is_of_type(from, KS_WIRE_VARINT)) {
        *ret = (int64_t)from->field.value;
    }
}

static void take_bool(struct reader *from, bool *ret)
{
    if (is_of_type(from, KS_WIRE_VARINT)) {
        *ret = from->field.value != 0;
    }
}

static void take_bytes(struct reader *from, ks_bytes *ret)
{
    if (is_of_type(from, KS_WIRE_BYTES)) {
        *ret = from->field.bytes;
    }
}

static void take_text(struct reader *from, ks_bytes *ret)
{
    take_bytes(from, ret);
    if (!ks_failed(from->result) && !ks_utf8_is_text(from->field.bytes)) {
        from->result = KS_RES(VALIDATION);
    }
}

/* Takes the first of a list of texts. */
static void take_first_text(struct reader *from, ks_bytes *ret)
{
    ks_bytes text = {0};
    take_text(from, &text);
    *ret = ret->len > 0 ? *ret : text;
}

/* A list's elements, zeroed: as many as the message has fields of this number. */
static ks_result alloc_list(struct ks_arena *arena, ks_bytes message, unsigned number, size_t size,
                            void *ret_elements_at, size_t *ret_count)
{
    struct reader from = {.rest = message};
    size_t count = 0;
    while (next(&from)) {
        count += from.field.number == number ? 1 : 0;
    }
    KS_TRY(from.result);
    void *elements = ks_arena_alloc(arena, count * size);
    if (!elements) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    memcpy(ret_elements_at, &elements, sizeof(elements));
    *ret_count = count;
    return KS_RES(OK);
}

/* Passes to the list's next element. Returns false between elements: at fields of other numbers. */
static bool is_element(struct reader *from, unsigned number)
{
    return from->field.number == number && is_of_type(from, KS_WIRE_BYTES);
}

static ks_result read_header(ks_bytes message, struct ks_etcd_header *ret)
{
    struct reader from = {.rest = message};
    while (next(&from)) {
        switch (from.field.number) {
        case HEADER_CLUSTER_ID:
            take_uint64(&from, &ret->cluster_id);
            break;
        case HEADER_MEMBER_ID:
            take_uint64(&from, &ret->member_id);
            break;
        case HEADER_REVISION:
            take_int64(&from, &ret->revision);
            break;
        case HEADER_RAFT_TERM:
            take_uint64(&from, &ret->raft_term);
            break;
        default:
            break;
        }
    }
    return from.result;
}

static void take_header(struct reader *from, struct ks_etcd_header *ret)
{
    if (is_of_type(from, KS_WIRE_BYTES)) {
        from->result = read_header(from->field.bytes, ret);
    }
}

static ks_result read_kv(ks_bytes message, struct ks_etcd_kv *ret)
{
    struct reader from = {.rest = message};
    while (next(&from)) {
        switch (from.field.number) {
        case KV_KEY:
            take_bytes(&from, &ret->key);
            break;
        case KV_VALUE:
            take_bytes(&from, &ret->value);
            break;
        case KV_CREATE_REVISION:
            take_int64(&from, &ret->create_revision);
            break;
        case KV_MOD_REVISION:
            take_int64(&from, &ret->mod_revision);
            break;
        case KV_VERSION:
            take_int64(&from, &ret->version);
            break;
        default:
            break;
        }
    }
    return from.result;
}

/* etcd has no record without a key, nor one that was never written. */
static ks_result read_record(ks_bytes message, struct ks_etcd_kv *ret)
{
    KS_TRY(read_kv(message, ret));
    return ret->key.len > 0 && ret->mod_revision > 0 ? KS_RES(OK) : KS_RES(VALIDATION);
}

typedef ks_result read_op_fn(ks_bytes message, struct ks_arena *arena,
                             struct ks_etcd_op_answer *ret);

static ks_result read_put(ks_bytes message, struct ks_arena *arena, struct ks_etcd_op_answer *ret)
{
    (void)arena;
    (void)ret;
    struct reader from = {.rest = message};
    while (next(&from)) { /* nothing in it is of interest, but it must be a message */
    }
    return from.result;
}

static ks_result read_delete(ks_bytes message, struct ks_arena *arena,
                             struct ks_etcd_op_answer *ret)
{
    (void)arena;
    struct reader from = {.rest = message};
    while (next(&from)) {
        if (from.field.number == DELETE_ANSWER_DELETED) {
            take_int64(&from, &ret->count);
        }
    }
    return from.result;
}

static ks_result read_range(ks_bytes message, struct ks_arena *arena, struct ks_etcd_op_answer *ret)
{
    struct ks_etcd_kv *kvs;
    KS_TRY(alloc_list(arena, message, RANGE_ANSWER_KVS, sizeof(*kvs), &kvs, &ret->kv_count));
    struct reader from = {.rest = message};
    ret->kvs = kvs;
    while (next(&from)) {
        if (from.field.number == RANGE_ANSWER_MORE) {
            take_bool(&from, &ret->more);
        } else if (from.field.number == RANGE_ANSWER_COUNT) {
            take_int64(&from, &ret->count);
        } else if (is_element(&from, RANGE_ANSWER_KVS)) {
            from.result = read_record(from.field.bytes, kvs++);
        }
    }
    return from.result;
}

static ks_result read_txn(ks_bytes message, struct ks_arena *arena, read_op_fn *read_op,
                          struct ks_etcd_op_answer *ret)
{
    struct ks_etcd_op_answer *ops;
    KS_TRY(alloc_list(arena, message, TXN_ANSWER_RESPONSES, sizeof(*ops), &ops, &ret->op_count));
    struct reader from = {.rest = message};
    ret->ops = ops;
    while (next(&from)) {
        if (from.field.number == TXN_ANSWER_SUCCEEDED) {
            take_bool(&from, &ret->succeeded);
        } else if (is_element(&from, TXN_ANSWER_RESPONSES)) {
            from.result = read_op(from.field.bytes, arena, ops++);
        }
    }
    return from.result;
}

/* The one field of a ResponseOp that says of which kind it is: the last one, as proto3 has it. */
static ks_result find_op(ks_bytes message, struct ks_wire_field *ret_field)
{
    struct reader from = {.rest = message};
    bool is_found = false;
    while (next(&from)) {
        if (from.field.number <= OP_TXN && is_of_type(&from, KS_WIRE_BYTES)) {
            *ret_field = from.field;
            is_found = true;
        }
    }
    KS_TRY(from.result);
    return is_found ? KS_RES(OK) : KS_RES(VALIDATION);
}

static ks_result read_op_of(const struct ks_wire_field *field, struct ks_arena *arena,
                            struct ks_etcd_op_answer *ret)
{
    static const struct {
        enum ks_etcd_op_kind kind;
        read_op_fn *read;
    } kinds[OP_TXN] = {
        [OP_PUT] = {KS_ETCD_PUT, read_put},
        [OP_DELETE] = {KS_ETCD_DELETE, read_delete},
        [OP_RANGE] = {KS_ETCD_RANGE, read_range},
    };
    if (field->number >= OP_TXN || !kinds[field->number].read) {
        return KS_RES(VALIDATION);
    }
    ret->kind = kinds[field->number].kind;
    return kinds[field->number].read(field->bytes, arena, ret);
}

/* What the answer of a nested transaction may hold. */
static ks_result read_plain_op(ks_bytes message, struct ks_arena *arena,
                               struct ks_etcd_op_answer *ret)
{
    struct ks_wire_field field;
    KS_TRY(find_op(message, &field));
    return read_op_of(&field, arena, ret);
}

static ks_result read_outer_op(ks_bytes message, struct ks_arena *arena,
                               struct ks_etcd_op_answer *ret)
{
    struct ks_wire_field field;
    KS_TRY(find_op(message, &field));
    if (field.number != OP_TXN) {
        return read_op_of(&field, arena, ret);
    }
    ret->kind = KS_ETCD_TXN;
    return read_txn(field.bytes, arena, read_plain_op, ret);
}

typedef ks_result read_answer_fn(ks_bytes message, struct ks_arena *arena,
                                 struct ks_etcd_answer *answer);

/* What an answer's header must say, so that something can rest on the answer. */
enum header_need {
    NO_HEADER,   /* etcd sends none */
    NO_REVISION, /* there is one, and its revision is not filled in */
    REVISION,    /* there is one, and it says which revision the answer is of */
};

/*
 * The header, which etcd puts into every answer that anything rests on. A message without it is no
 * answer of etcd: an empty one would be a transaction whose compares did not hold, at revision 0.
 */
static ks_result read_answer_header(ks_bytes message, enum header_need need,
                                    struct ks_etcd_header *ret)
{
    struct reader from = {.rest = message};
    bool is_there = false;
    while (next(&from)) {
        if (from.field.number == ANSWER_HEADER) {
            take_header(&from, ret);
            is_there = true;
        }
    }
    KS_TRY(from.result);
    bool is_enough = need == NO_HEADER || (is_there && (need == NO_REVISION || ret->revision > 0));
    return is_enough ? KS_RES(OK) : KS_RES(VALIDATION);
}

/* Nothing but the header is of interest. */
static ks_result read_header_answer(ks_bytes message, struct ks_arena *arena,
                                    struct ks_etcd_answer *answer)
{
    (void)message;
    (void)arena;
    (void)answer;
    return KS_RES(OK);
}

static ks_result read_txn_answer(ks_bytes message, struct ks_arena *arena,
                                 struct ks_etcd_answer *answer)
{
    struct ks_etcd_op_answer txn = {0};
    KS_TRY(read_txn(message, arena, read_outer_op, &txn));
    answer->ops = txn.ops;
    answer->op_count = txn.op_count;
    answer->succeeded = txn.succeeded;
    return KS_RES(OK);
}

static ks_result read_range_answer(ks_bytes message, struct ks_arena *arena,
                                   struct ks_etcd_answer *answer)
{
    struct ks_etcd_op_answer *op = ks_arena_alloc(arena, sizeof(*op));
    if (!op) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    op->kind = KS_ETCD_RANGE;
    answer->ops = op;
    answer->op_count = 1;
    return read_range(message, arena, op);
}

/* A member tells alarms as texts: "memberID:93725 alarm:NOSPACE ". maintenance.go of 3.4. */
static void take_status_error(struct reader *from, struct ks_etcd_status *status)
{
    static const char no_space[] = "alarm:NOSPACE";
    static const char corrupt[] = "alarm:CORRUPT";
    ks_bytes text = {0};
    take_text(from, &text);
    if (text.len > 0) {
        bool is_full = memmem(text.ptr, text.len, no_space, sizeof(no_space) - 1) != NULL;
        bool is_damaged = memmem(text.ptr, text.len, corrupt, sizeof(corrupt) - 1) != NULL;
        status->has_no_space = status->has_no_space || is_full;
        status->has_corrupt = status->has_corrupt || is_damaged;
    }
}

static void take_status_field(struct reader *from, struct ks_etcd_status *status)
{
    switch (from->field.number) {
    case STATUS_VERSION:
        take_text(from, &status->version);
        break;
    case STATUS_DB_SIZE:
        take_int64(from, &status->db_len);
        break;
    case STATUS_ERRORS:
        take_status_error(from, status);
        break;
    case STATUS_DB_SIZE_IN_USE:
        take_int64(from, &status->db_used_len);
        break;
    case STATUS_LEADER:
        take_uint64(from, &status->leader_id);
        break;
    case STATUS_RAFT_INDEX:
        take_uint64(from, &status->raft_index);
        break;
    case STATUS_RAFT_APPLIED_INDEX:
        take_uint64(from, &status->raft_applied_index);
        break;
    case STATUS_IS_LEARNER:
        take_bool(from, &status->is_learner);
        break;
    default:
        break;
    }
}

static ks_result read_status_answer(ks_bytes message, struct ks_arena *arena,
                                    struct ks_etcd_answer *answer)
{
    (void)arena;
    struct ks_etcd_status *status = &answer->status;
    struct reader from = {.rest = message};
    while (next(&from)) {
        take_status_field(&from, status);
    }
    status->is_leader = status->leader_id != 0 && status->leader_id == answer->header.member_id;
    return from.result;
}

static ks_result read_alarm(ks_bytes message, struct ks_etcd_alarm *ret)
{
    struct reader from = {.rest = message};
    uint64_t kind = 0;
    while (next(&from)) {
        if (from.field.number == ALARM_MEMBER_MEMBER_ID) {
            take_uint64(&from, &ret->member_id);
        } else if (from.field.number == ALARM_MEMBER_ALARM) {
            take_uint64(&from, &kind);
        }
    }
    bool is_known = kind == KS_ETCD_ALARM_NO_SPACE || kind == KS_ETCD_ALARM_CORRUPT;
    ret->kind = is_known ? (enum ks_etcd_alarm_kind)kind : KS_ETCD_ALARM_NONE;
    return from.result;
}

static ks_result read_alarms_answer(ks_bytes message, struct ks_arena *arena,
                                    struct ks_etcd_answer *answer)
{
    struct ks_etcd_alarm *alarms;
    KS_TRY(
        alloc_list(arena, message, ALARMS_ALARMS, sizeof(*alarms), &alarms, &answer->alarm_count));
    struct reader from = {.rest = message};
    answer->alarms = alarms;
    while (next(&from)) {
        if (is_element(&from, ALARMS_ALARMS)) {
            from.result = read_alarm(from.field.bytes, alarms++);
        }
    }
    return from.result;
}

static ks_result read_member(ks_bytes message, struct ks_etcd_member *ret)
{
    struct reader from = {.rest = message};
    while (next(&from)) {
        switch (from.field.number) {
        case MEMBER_ID:
            take_uint64(&from, &ret->id);
            break;
        case MEMBER_NAME:
            take_text(&from, &ret->name);
            break;
        case MEMBER_PEER_URLS:
            take_first_text(&from, &ret->peer_url);
            break;
        case MEMBER_CLIENT_URLS:
            take_first_text(&from, &ret->client_url);
            break;
        case MEMBER_IS_LEARNER:
            take_bool(&from, &ret->is_learner);
            break;
        default:
            break;
        }
    }
    return from.result;
}

static ks_result read_members_answer(ks_bytes message, struct ks_arena *arena,
                                     struct ks_etcd_answer *answer)
{
    struct ks_etcd_member *members;
    KS_TRY(alloc_list(arena, message, MEMBERS_MEMBERS, sizeof(*members), &members,
                      &answer->member_count));
    struct reader from = {.rest = message};
    answer->members = members;
    while (next(&from)) {
        if (is_element(&from, MEMBERS_MEMBERS)) {
            from.result = read_member(from.field.bytes, members++);
        }
    }
    return from.result;
}

ks_result ks_etcd_wire_answer(enum ks_etcd_wire_kind kind, ks_bytes message,
                              struct ks_etcd_answer **ret_answer)
{
    static const struct {
        read_answer_fn *read;
        enum header_need need;
    } kinds[KS_ETCD_WIRE_KIND_COUNT] = {
        [KS_ETCD_WIRE_NOTHING] = {read_header_answer, NO_HEADER},
        [KS_ETCD_WIRE_HEADER] = {read_header_answer, REVISION},
        [KS_ETCD_WIRE_TXN] = {read_txn_answer, REVISION},
        [KS_ETCD_WIRE_RANGE] = {read_range_answer, REVISION},
        [KS_ETCD_WIRE_STATUS] = {read_status_answer, REVISION},
        /* Of etcd 3.4: api/v3rpc/maintenance.go and, with ids and term alone, member.go. */
        [KS_ETCD_WIRE_ALARMS] = {read_alarms_answer, NO_HEADER},
        [KS_ETCD_WIRE_MEMBERS] = {read_members_answer, NO_REVISION},
    };
    assert(kind < KS_ETCD_WIRE_KIND_COUNT);

    KS_ETCD_ANSWER_AUTO *answer = ks_etcd_answer_new(KS_ETCD_DONE, (ks_bytes){0});
    struct ks_arena *arena = ks_etcd_answer_arena(answer);
    arena->len_max = ks_etcd_wire_arena_max(message.len);
    /* The answer's parts lie within this copy, which lasts as long as it. */
    char *copy = ks_arena_dup(arena, message);
    if (!copy) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    const ks_bytes whole = {(const uint8_t *)copy, message.len};
    KS_TRY(read_answer_header(whole, kinds[kind].need, &answer->header));
    KS_TRY(kinds[kind].read(whole, arena, answer));
    *ret_answer = answer;
    answer = NULL;
    return KS_RES(OK);
}

static ks_result read_event(ks_bytes message, struct ks_etcd_event *ret)
{
    struct reader from = {.rest = message};
    uint64_t type = EVENT_TYPE_PUT;
    while (next(&from)) {
        if (from.field.number == EVENT_TYPE) {
            take_uint64(&from, &type);
        } else if (from.field.number == EVENT_KV && is_of_type(&from, KS_WIRE_BYTES)) {
            from.result = read_kv(from.field.bytes, &ret->kv);
        }
    }
    KS_TRY(from.result);
    ret->is_delete = type == EVENT_TYPE_DELETE;
    bool is_whole = type <= EVENT_TYPE_DELETE && ret->kv.key.len > 0 && ret->kv.mod_revision > 0;
    return is_whole ? KS_RES(OK) : KS_RES(VALIDATION);
}

static ks_result read_events(ks_bytes message, struct ks_arena *arena,
                             struct ks_etcd_watch_message *ret)
{
    struct ks_etcd_event *events;
    KS_TRY(alloc_list(arena, message, WATCH_ANSWER_EVENTS, sizeof(*events), &events,
                      &ret->event_count));
    struct reader from = {.rest = message};
    size_t i = 0;
    while (next(&from)) {
        if (!is_element(&from, WATCH_ANSWER_EVENTS)) {
            continue;
        }
        KS_TRY(read_event(from.field.bytes, &events[i]));
        if (i > 0 && events[i].kv.mod_revision < events[i - 1].kv.mod_revision) {
            return KS_RES(VALIDATION);
        }
        i++;
    }
    ret->events = events;
    return from.result;
}

/* What a watch's message says besides its events. */
struct watch_flags {
    bool is_part;
    bool is_cancelled;
    int64_t compact_revision;
    ks_bytes reason;
};

static ks_result read_watch_flags(ks_bytes message, struct ks_etcd_watch_message *ret_message,
                                  struct watch_flags *ret_flags)
{
    struct reader from = {.rest = message};
    while (next(&from)) {
        switch (from.field.number) {
        case ANSWER_HEADER:
            take_header(&from, &ret_message->header);
            break;
        case WATCH_ANSWER_CREATED:
            take_bool(&from, &ret_message->created);
            break;
        case WATCH_ANSWER_CANCELED:
            take_bool(&from, &ret_flags->is_cancelled);
            break;
        case WATCH_ANSWER_COMPACT_REVISION:
            take_int64(&from, &ret_flags->compact_revision);
            break;
        case WATCH_ANSWER_CANCEL_REASON:
            take_text(&from, &ret_flags->reason);
            break;
        case WATCH_ANSWER_FRAGMENT:
            take_bool(&from, &ret_flags->is_part);
            break;
        default:
            break;
        }
    }
    return from.result;
}

ks_result ks_etcd_wire_watch_message(ks_bytes message, struct ks_arena *arena,
                                     struct ks_etcd_wire_watched *ret_watched)
{
    struct ks_etcd_wire_watched out = {0};
    struct watch_flags flags = {0};
    KS_TRY(read_watch_flags(message, &out.message, &flags));
    bool is_of_etcd = out.message.header.revision > 0 || flags.is_cancelled;
    if (!is_of_etcd) {
        return KS_RES(VALIDATION); /* etcd says its revision always */
    }
    if (flags.is_cancelled) {
        /* Compacted history has a revision, anything else has a reason in words. */
        out.is_end = true;
        out.compact_revision = flags.compact_revision;
        out.detail = flags.reason;
        out.cause = flags.compact_revision > 0 ? KS_ETCD_COMPACTED : KS_ETCD_ENDED;
    } else {
        KS_TRY(read_events(message, arena, &out.message));
        out.is_part = flags.is_part;
    }
    if (out.is_part && out.message.event_count == 0) {
        return KS_RES(VALIDATION);
    }
    *ret_watched = out;
    return KS_RES(OK);
}

/* Appends the event as it came, if it is of the revision. */
static ks_result keep_event(ks_bytes bytes, int64_t revision, struct ks_buffer *buffer)
{
    struct ks_etcd_event event = {0};
    KS_TRY(read_event(bytes, &event));
    return event.kv.mod_revision == revision ? ks_wire_put_bytes(WATCH_ANSWER_EVENTS, bytes, buffer)
                                             : KS_RES(OK);
}

ks_result ks_etcd_wire_watch_rest(ks_bytes message, int64_t revision, struct ks_buffer *buffer)
{
    struct reader from = {.rest = message};
    while (next(&from)) {
        if (is_element(&from, WATCH_ANSWER_EVENTS)) {
            from.result = keep_event(from.field.bytes, revision, buffer);
        }
    }
    return from.result;
}
