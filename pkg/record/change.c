#include "pkg/record/change.h"

#include <assert.h>

#include "pkg/record/record.h"

/* Keys and values of one mutation; a value may have KS_STORE_VALUE_LEN_MAX. */
#define ARENA_LEN_MAX (4U * KS_STORE_VALUE_LEN_MAX)

static ks_bytes keep(struct ks_change *change, ks_bytes bytes)
{
    change->arena.len_max = ARENA_LEN_MAX;
    const char *copy = ks_arena_dup(&change->arena, bytes);
    if (!copy) {
        change->result = KS_RES(LIMIT_EXCEEDED);
        return (ks_bytes){0};
    }
    return (ks_bytes){(const uint8_t *)copy, bytes.len};
}

static ks_bytes keep_record(struct ks_change *change, const ProtobufCMessage *record)
{
    KS_BUFFER_AUTO value = {.len_max = KS_STORE_VALUE_LEN_MAX};
    ks_result result = ks_record_write(record, &value);
    if (ks_failed(result)) {
        change->result = result;
        return (ks_bytes){0};
    }
    return keep(change, ks_buffer_bytes(&value));
}

static struct ks_store_op *add_op(struct ks_change *change)
{
    struct ks_store_mutation *mutation = &change->mutation;
    assert(mutation->op_count < KS_STORE_OPS_MAX);
    return &mutation->ops[mutation->op_count++];
}

void ks_change_compare(struct ks_change *change, ks_bytes key, int64_t revision)
{
    struct ks_store_mutation *mutation = &change->mutation;
    assert(mutation->compare_count < KS_STORE_COMPARES_MAX);
    struct ks_store_compare *compare = &mutation->compares[mutation->compare_count++];
    *compare = (struct ks_store_compare){keep(change, key), revision};
}

void ks_change_put(struct ks_change *change, ks_bytes key, const ProtobufCMessage *record)
{
    struct ks_store_op *op = add_op(change);
    op->key = keep(change, key);
    op->value = keep_record(change, record);
}

void ks_change_put_bytes(struct ks_change *change, ks_bytes key, ks_bytes value)
{
    struct ks_store_op *op = add_op(change);
    op->key = keep(change, key);
    op->value = value.len > KS_STORE_VALUE_LEN_MAX ? (ks_bytes){0} : keep(change, value);
    if (value.len > KS_STORE_VALUE_LEN_MAX) {
        change->result = KS_RES(LIMIT_EXCEEDED);
    }
}

void ks_change_delete(struct ks_change *change, ks_bytes key)
{
    add_op(change)->key = keep(change, key);
}

void ks_change_delete_prefix(struct ks_change *change, ks_bytes prefix)
{
    struct ks_store_mutation *mutation = &change->mutation;
    assert(mutation->prefix_count < KS_STORE_PREFIXES_MAX);
    mutation->prefixes[mutation->prefix_count++] = keep(change, prefix);
}

void ks_change_request(struct ks_change *change, ks_bytes key, const ProtobufCMessage *record)
{
    change->mutation.request_key = keep(change, key);
    change->mutation.request_value = keep_record(change, record);
}

void ks_change_done(struct ks_change *change)
{
    ks_arena_done(&change->arena);
}
