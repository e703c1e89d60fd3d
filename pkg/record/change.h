/*
 * change: a mutation of the store while it is put together, with the memory that it points to.
 *
 * {0} is an empty one. A failure stays in `result`, which is looked at once, at the end; a change
 * that has failed must not be committed.
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
    struct ks_store_mutation mutation; /* its keys and values are in the arena */
    struct ks_arena arena;
    ks_result result; /* LIMIT_EXCEEDED: a value is too long to be stored */
};

/*
 * Keys and records are copied. More compares or ops than a mutation takes are a programmer error. A
 * function that fails leaves its reason in change->result: LIMIT_EXCEEDED.
 */

/*
 * Adds a compare: the mutation is done only if the record's last change is this revision, or if
 * there is no record (0).
 */
void ks_change_compare(struct ks_change *change, ks_bytes key, int64_t revision);

/* Puts a record in the place of whatever is under its key. */
void ks_change_put(struct ks_change *change, ks_bytes key, const ProtobufCMessage *record);

/* Puts bytes that are a record already. */
void ks_change_put_bytes(struct ks_change *change, ks_bytes key, ks_bytes value);

/* Deletes the record; one that does not exist is fine. */
void ks_change_delete(struct ks_change *change, ks_bytes key);

/* Deletes all records whose keys start with prefix (struct ks_store_mutation says which may be). */
void ks_change_delete_prefix(struct ks_change *change, ks_bytes prefix);

/* Adds the record of exactly-once (struct ks_store_mutation). */
void ks_change_request(struct ks_change *change, ks_bytes key, const ProtobufCMessage *record);

/* Frees what the change holds; the zero value is fine. */
void ks_change_done(struct ks_change *change);
#define KS_CHANGE_AUTO KS_CLEANUP(ks_change_done) struct ks_change
