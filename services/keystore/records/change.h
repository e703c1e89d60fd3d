/*
 * change: a mutation of the store while it is put together, with the memory that it points to.
 *
 * {0} is an empty one. The first failure stays in `result` and is looked at once, at the end.
 * Threads: values; one thread at a time.
 */
#pragma once

#include <stdint.h>

#include "keystead/storage/v1/storage.pb-c.h"
#include "pkg/base/arena.h"
#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/store/store.h"

struct ks_change {
    struct ks_store_mutation mutation; /* its keys and values stand in the arena */
    struct ks_arena arena;
    ks_result result; /* LIMIT_EXCEEDED: a value is too long to be stored */
};

/* All keys are copied. More compares or ops than a mutation takes are a programmer error. */

/* The record's mod revision must be this one; 0: it must not exist. */
void ks_change_compare(struct ks_change *change, ks_bytes key, int64_t revision);

void ks_change_put(struct ks_change *change, ks_bytes key, const ProtobufCMessage *record);
void ks_change_delete(struct ks_change *change, ks_bytes key);

/* The record of exactly-once that goes with the mutation. */
void ks_change_request(struct ks_change *change, ks_bytes key, const ProtobufCMessage *record);

void ks_change_done(struct ks_change *change);
#define KS_CHANGE_AUTO KS_CLEANUP(ks_change_done) struct ks_change
