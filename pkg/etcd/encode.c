#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "pkg/etcd/wire.h"
#include "pkg/json/base64.h"

/* The first failure stays, so that it is looked at once, at the end. */
struct encoder {
    struct ks_buffer *buffer;
    ks_result result;
};

static void put(struct encoder *to, ks_bytes text)
{
    if (!ks_failed(to->result)) {
        to->result = ks_buffer_append(to->buffer, text);
    }
}

/* Every text is a literal of ours: nothing in it needs an escape. */
#define PUT(to, text) put((to), KS_LITERAL(text))

static void put_base64(struct encoder *to, ks_bytes bytes)
{
    PUT(to, "\"");
    if (!ks_failed(to->result)) {
        to->result = ks_base64_append(to->buffer, bytes);
    }
    PUT(to, "\"");
}

static void put_int64(struct encoder *to, int64_t number)
{
    char digits[32];
    int len = snprintf(digits, sizeof(digits), "\"%" PRId64 "\"", number);
    put(to, (ks_bytes){(const uint8_t *)digits, (size_t)len});
}

/* "key" and, if there is one, "range_end": the first members of their object. */
static void put_keys(struct encoder *to, ks_bytes key, ks_bytes range_end)
{
    PUT(to, "\"key\":");
    put_base64(to, key);
    if (range_end.len > 0) {
        PUT(to, ",\"range_end\":");
        put_base64(to, range_end);
    }
}

static void put_put(struct encoder *to, const struct ks_etcd_op *op)
{
    PUT(to, "{");
    put_keys(to, op->key, (ks_bytes){0});
    PUT(to, ",\"value\":");
    put_base64(to, op->value);
    PUT(to, "}");
}

static void put_delete(struct encoder *to, const struct ks_etcd_op *op)
{
    PUT(to, "{");
    put_keys(to, op->key, op->range_end);
    PUT(to, "}");
}

static void put_range(struct encoder *to, const struct ks_etcd_op *op)
{
    PUT(to, "{");
    put_keys(to, op->key, op->range_end);
    if (op->limit > 0) {
        PUT(to, ",\"limit\":");
        put_int64(to, op->limit);
    }
    if (op->revision > 0) {
        PUT(to, ",\"revision\":");
        put_int64(to, op->revision);
    }
    if (op->keys_only) {
        PUT(to, ",\"keys_only\":true");
    }
    if (op->serializable) {
        PUT(to, ",\"serializable\":true");
    }
    PUT(to, "}");
}

typedef void put_op_fn(struct encoder *to, const struct ks_etcd_op *op);

static void put_ops(struct encoder *to, const struct ks_etcd_op *ops, size_t count,
                    put_op_fn *put_op)
{
    PUT(to, "[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            PUT(to, ",");
        }
        put_op(to, &ops[i]);
    }
    PUT(to, "]");
}

static void put_compare(struct encoder *to, const struct ks_etcd_compare *compare)
{
    PUT(to, "{\"target\":\"MOD\",\"result\":\"EQUAL\",");
    put_keys(to, compare->key, (ks_bytes){0});
    PUT(to, ",\"mod_revision\":");
    put_int64(to, compare->mod_revision);
    PUT(to, "}");
}

static void put_txn_of(struct encoder *to, const struct ks_etcd_txn *txn, put_op_fn *put_op)
{
    if (txn->compare_count > KS_ETCD_OPS_MAX || txn->success_count > KS_ETCD_OPS_MAX ||
        txn->failure_count > KS_ETCD_OPS_MAX) {
        to->result = KS_RES(LIMIT_EXCEEDED);
        return;
    }
    PUT(to, "{\"compare\":[");
    for (size_t i = 0; i < txn->compare_count; i++) {
        if (i > 0) {
            PUT(to, ",");
        }
        put_compare(to, &txn->compares[i]);
    }
    PUT(to, "],\"success\":");
    put_ops(to, txn->success, txn->success_count, put_op);
    PUT(to, ",\"failure\":");
    put_ops(to, txn->failure, txn->failure_count, put_op);
    PUT(to, "}");
}

/* What a nested transaction may hold. */
static void put_plain_op(struct encoder *to, const struct ks_etcd_op *op)
{
    static const struct {
        const char *name;
        put_op_fn *put;
    } kinds[KS_ETCD_TXN] = {
        [KS_ETCD_PUT] = {"{\"request_put\":", put_put},
        [KS_ETCD_DELETE] = {"{\"request_delete_range\":", put_delete},
        [KS_ETCD_RANGE] = {"{\"request_range\":", put_range},
    };
    assert(op->kind < KS_ETCD_TXN);

    put(to, ks_bytes_of(kinds[op->kind].name));
    kinds[op->kind].put(to, op);
    PUT(to, "}");
}

static void put_outer_op(struct encoder *to, const struct ks_etcd_op *op)
{
    if (op->kind != KS_ETCD_TXN) {
        put_plain_op(to, op);
        return;
    }
    assert(op->txn);
    PUT(to, "{\"request_txn\":");
    put_txn_of(to, op->txn, put_plain_op);
    PUT(to, "}");
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
    PUT(&to, "{\"revision\":");
    put_int64(&to, revision);
    PUT(&to, "}");
    return to.result;
}

ks_result ks_etcd_wire_disarm(struct ks_buffer *buffer, const struct ks_etcd_alarm *alarm)
{
    struct encoder to = {.buffer = buffer};
    char digits[32];
    assert(alarm->kind != KS_ETCD_ALARM_NONE);

    snprintf(digits, sizeof(digits), "\"%" PRIu64 "\"", alarm->member_id);
    PUT(&to, "{\"action\":\"DEACTIVATE\",\"memberID\":");
    put(&to, ks_bytes_of(digits));
    PUT(&to, ",\"alarm\":");
    put(&to, alarm->kind == KS_ETCD_ALARM_NO_SPACE ? KS_LITERAL("\"NOSPACE\"")
                                                   : KS_LITERAL("\"CORRUPT\""));
    PUT(&to, "}");
    return to.result;
}

ks_result ks_etcd_wire_watch(struct ks_buffer *buffer, ks_bytes from, ks_bytes to_key,
                             int64_t start_revision)
{
    struct encoder to = {.buffer = buffer};
    PUT(&to, "{\"create_request\":{");
    put_keys(&to, from, to_key);
    if (start_revision > 0) {
        PUT(&to, ",\"start_revision\":");
        put_int64(&to, start_revision);
    }
    PUT(&to, ",\"progress_notify\":true}}");
    return to.result;
}
