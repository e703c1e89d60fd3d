#include <assert.h>
#include <string.h>

#include "pkg/codec/wire.h"
#include "pkg/etcd/fields.h"
#include "pkg/etcd/wire.h"

/* A length of up to 32 bits takes up to so many bytes. */
#define LENGTH_LEN_MAX 5U

/* The first failure stays, so that it is looked at once, at the end. */
struct encoder {
    struct ks_buffer *buffer;
    ks_result result;
};

static void put_number(struct encoder *to, unsigned field, uint64_t number)
{
    if (!ks_failed(to->result)) {
        to->result = ks_wire_put_varint(field, number, to->buffer);
    }
}

static void put_bytes(struct encoder *to, unsigned field, ks_bytes bytes)
{
    if (!ks_failed(to->result)) {
        to->result = ks_wire_put_bytes(field, bytes, to->buffer);
    }
}

/* As proto3 does: what is 0 or empty is left out. */
static void put_number_if(struct encoder *to, unsigned field, int64_t number)
{
    if (number > 0) {
        put_number(to, field, (uint64_t)number);
    }
}

static void put_bytes_if(struct encoder *to, unsigned field, ks_bytes bytes)
{
    if (bytes.len > 0) {
        put_bytes(to, field, bytes);
    }
}

/*
 * Begins a message within the message. Its length stands before it and is not known yet, so room
 * is left for the longest head. Returns where the head begins, for end_message.
 */
static size_t begin_message(struct encoder *to)
{
    static const uint8_t room[1 + LENGTH_LEN_MAX] = {0};
    size_t start = to->buffer->len;
    if (!ks_failed(to->result)) {
        to->result = ks_buffer_append(to->buffer, (ks_bytes){room, sizeof(room)});
    }
    return start;
}

/* Writes the head, and moves the message up to it. */
static void end_message(struct encoder *to, unsigned field, size_t start)
{
    struct ks_buffer *buffer = to->buffer;
    if (ks_failed(to->result)) {
        return;
    }
    size_t len = buffer->len - start - (1 + LENGTH_LEN_MAX);
    uint8_t *message = buffer->ptr + start + 1 + LENGTH_LEN_MAX;
    size_t head_len = ks_wire_head_len(field, len);
    assert(head_len <= 1 + LENGTH_LEN_MAX);

    memmove(buffer->ptr + start + head_len, message, len);
    buffer->len = start;
    to->result = ks_wire_put_head(field, len, buffer);
    assert(!ks_failed(to->result)); /* there was room for a longer one */
    buffer->len += len;
}

static void put_put(struct encoder *to, const struct ks_etcd_op *op)
{
    put_bytes(to, PUT_KEY, op->key);
    put_bytes_if(to, PUT_VALUE, op->value);
}

static void put_delete(struct encoder *to, const struct ks_etcd_op *op)
{
    put_bytes(to, DELETE_KEY, op->key);
    put_bytes_if(to, DELETE_RANGE_END, op->range_end);
}

static void put_range(struct encoder *to, const struct ks_etcd_op *op)
{
    put_bytes(to, RANGE_KEY, op->key);
    put_bytes_if(to, RANGE_RANGE_END, op->range_end);
    put_number_if(to, RANGE_LIMIT, op->limit);
    put_number_if(to, RANGE_REVISION, op->revision);
    put_number_if(to, RANGE_SERIALIZABLE, op->serializable);
    put_number_if(to, RANGE_KEYS_ONLY, op->keys_only);
}

typedef void put_op_fn(struct encoder *to, const struct ks_etcd_op *op);

static void put_ops(struct encoder *to, unsigned field, const struct ks_etcd_op *ops, size_t count,
                    put_op_fn *put_op)
{
    for (size_t i = 0; i < count; i++) {
        size_t start = begin_message(to);
        put_op(to, &ops[i]);
        end_message(to, field, start);
    }
}

/* mod_revision is one of several things to compare with, so that it is written if it is 0, too. */
static void put_compare(struct encoder *to, const struct ks_etcd_compare *compare)
{
    size_t start = begin_message(to);
    put_number(to, COMPARE_TARGET, COMPARE_TARGET_MOD);
    put_bytes(to, COMPARE_KEY, compare->key);
    put_number(to, COMPARE_MOD_REVISION, (uint64_t)compare->mod_revision);
    end_message(to, TXN_COMPARE, start);
}

static void put_txn_of(struct encoder *to, const struct ks_etcd_txn *txn, put_op_fn *put_op)
{
    if (txn->compare_count > KS_ETCD_OPS_MAX || txn->success_count > KS_ETCD_OPS_MAX ||
        txn->failure_count > KS_ETCD_OPS_MAX) {
        to->result = KS_RES(LIMIT_EXCEEDED);
        return;
    }
    for (size_t i = 0; i < txn->compare_count; i++) {
        put_compare(to, &txn->compares[i]);
    }
    put_ops(to, TXN_SUCCESS, txn->success, txn->success_count, put_op);
    put_ops(to, TXN_FAILURE, txn->failure, txn->failure_count, put_op);
}

/* What a nested transaction may hold. */
static void put_plain_op(struct encoder *to, const struct ks_etcd_op *op)
{
    static const struct {
        unsigned field;
        put_op_fn *put;
    } kinds[KS_ETCD_TXN] = {
        [KS_ETCD_PUT] = {OP_PUT, put_put},
        [KS_ETCD_DELETE] = {OP_DELETE, put_delete},
        [KS_ETCD_RANGE] = {OP_RANGE, put_range},
    };
    assert(op->kind < KS_ETCD_TXN);

    size_t start = begin_message(to);
    kinds[op->kind].put(to, op);
    end_message(to, kinds[op->kind].field, start);
}

static void put_outer_op(struct encoder *to, const struct ks_etcd_op *op)
{
    if (op->kind != KS_ETCD_TXN) {
        put_plain_op(to, op);
        return;
    }
    assert(op->txn);
    size_t start = begin_message(to);
    put_txn_of(to, op->txn, put_plain_op);
    end_message(to, OP_TXN, start);
}

ks_result ks_etcd_wire_txn(struct ks_buffer *buffer, const struct ks_etcd_txn *txn)
{
    struct encoder to = {.buffer = buffer};
    put_txn_of(&to, txn, put_outer_op);
    return to.result;
}

ks_result ks_etcd_wire_range(struct ks_buffer *buffer, const struct ks_etcd_op *op)
{
    assert(op->kind == KS_ETCD_RANGE);

    struct encoder to = {.buffer = buffer};
    put_range(&to, op);
    return to.result;
}

ks_result ks_etcd_wire_compact(struct ks_buffer *buffer, int64_t revision)
{
    assert(revision > 0);

    struct encoder to = {.buffer = buffer};
    put_number(&to, COMPACTION_REVISION, (uint64_t)revision);
    return to.result;
}

ks_result ks_etcd_wire_disarm(struct ks_buffer *buffer, const struct ks_etcd_alarm *alarm)
{
    assert(alarm->kind != KS_ETCD_ALARM_NONE);

    struct encoder to = {.buffer = buffer};
    put_number(&to, ALARM_ACTION, ALARM_ACTION_DEACTIVATE);
    put_number(&to, ALARM_MEMBER_ID, alarm->member_id);
    put_number(&to, ALARM_ALARM, (uint64_t)alarm->kind); /* our numbers are etcd's */
    return to.result;
}

ks_result ks_etcd_wire_watch(struct ks_buffer *buffer, ks_bytes from, ks_bytes to_key,
                             int64_t start_revision)
{
    struct encoder to = {.buffer = buffer};
    size_t start = begin_message(&to);
    put_bytes(&to, WATCH_CREATE_KEY, from);
    put_bytes_if(&to, WATCH_CREATE_RANGE_END, to_key);
    put_number_if(&to, WATCH_CREATE_START_REVISION, start_revision);
    put_number(&to, WATCH_CREATE_PROGRESS_NOTIFY, 1);
    put_number(&to, WATCH_CREATE_FRAGMENT, 1);
    end_message(&to, WATCH_CREATE, start);
    return to.result;
}
