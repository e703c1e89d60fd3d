#include "pkg/store/copy/mirror_db.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/lmdb/lmdb.h"
#include "pkg/store/copy/stored.h"

#define READERS_MAX  256U
#define PAGE_LEN     4096U
#define EPOCH_SIZE   40U
#define STORED_MAX   (KS_STORE_VALUE_LEN_MAX + KS_STORED_HEAD_LEN)
#define POSITION_KEY KS_LITERAL("position")

struct ks_mirror_db {
    struct ks_lmdb *env;
    ks_lmdb_db data; /* as the copy's "data", revision 0 */
    ks_lmdb_db meta; /* "position" -> the same form: the value is the epoch */
};

struct ks_mirror_view {
    struct ks_mirror_db *mirror;
    struct ks_lmdb_read *read;
};

ks_result ks_mirror_db_open(const char *folder, uint64_t bytes_max,
                            struct ks_mirror_db **ret_mirror)
{
    struct ks_lmdb_options options = {
        .folder = folder,
        .map_len_max = (size_t)(bytes_max / PAGE_LEN * PAGE_LEN),
        .readers_max = READERS_MAX,
    };
    KS_LMDB_AUTO *env = NULL;
    ks_lmdb_db data;
    ks_lmdb_db meta;
    KS_TRY(ks_lmdb_open(&options, &env));
    KS_TRY(ks_lmdb_database(env, "data", &data));
    KS_TRY(ks_lmdb_database(env, "meta", &meta));
    struct ks_mirror_db *mirror = ks_alloc(1, sizeof(*mirror));
    *mirror = (struct ks_mirror_db){env, data, meta};
    env = NULL;
    *ret_mirror = mirror;
    return KS_RES(OK);
}

void ks_mirror_db_close(struct ks_mirror_db *mirror)
{
    if (mirror) {
        ks_lmdb_close(mirror->env);
        ks_free(mirror);
    }
}

static ks_result put(struct ks_lmdb_write *write, ks_lmdb_db db,
                     const struct ks_store_record *record)
{
    KS_BUFFER_AUTO stored = {.len_max = STORED_MAX};
    KS_TRY(ks_stored_encode(record, &stored));
    return ks_lmdb_put(write, db, record->key, ks_buffer_bytes(&stored));
}

static ks_result apply_op(struct ks_mirror_db *mirror, struct ks_lmdb_write *write,
                          const struct ks_store_op *op)
{
    if (op->value.ptr) {
        struct ks_store_record record = {op->key, op->value, 0};
        return put(write, mirror->data, &record);
    }
    ks_result deleted = ks_lmdb_delete(write, mirror->data, op->key);
    return deleted.code == KS_NOT_FOUND ? KS_RES(OK) : deleted;
}

ks_result ks_mirror_db_apply(struct ks_mirror_db *mirror, const struct ks_mirror_change *change)
{
    assert(strlen(change->epoch) < EPOCH_SIZE);

    KS_LMDB_WRITE_AUTO *write = NULL;
    KS_TRY(ks_lmdb_write_begin(mirror->env, &write));
    if (change->snapshot) {
        KS_TRY(ks_lmdb_clear(write, mirror->data));
    }
    for (size_t i = 0; i < change->op_count; i++) {
        KS_TRY(apply_op(mirror, write, &change->ops[i]));
    }
    struct ks_store_record position = {POSITION_KEY, ks_bytes_of(change->epoch), change->revision};
    KS_TRY(put(write, mirror->meta, &position));
    struct ks_lmdb_write *whole = write;
    write = NULL;
    return ks_lmdb_commit(whole);
}

ks_result ks_mirror_view_open(struct ks_mirror_db *mirror, struct ks_mirror_view **ret_view)
{
    struct ks_lmdb_read *read = NULL;
    ks_result begun = ks_lmdb_read_begin(mirror->env, &read);
    if (ks_failed(begun)) {
        return begun.code == KS_LIMIT_EXCEEDED ? KS_RES(UNAVAILABLE) : begun;
    }
    struct ks_mirror_view *view = ks_alloc(1, sizeof(*view));
    *view = (struct ks_mirror_view){mirror, read};
    *ret_view = view;
    return KS_RES(OK);
}

void ks_mirror_view_close(struct ks_mirror_view *view)
{
    if (view) {
        ks_lmdb_read_end(view->read);
        ks_free(view);
    }
}

void ks_mirror_view_position(const struct ks_mirror_view *view, char ret_epoch[40],
                             int64_t *ret_revision)
{
    ks_bytes stored;
    struct ks_store_record position;
    memset(ret_epoch, 0, EPOCH_SIZE);
    *ret_revision = 0;
    if (ks_failed(ks_lmdb_get(view->read, view->mirror->meta, POSITION_KEY, &stored)) ||
        ks_failed(ks_stored_decode(POSITION_KEY, stored, &position)) ||
        position.value.len >= EPOCH_SIZE) {
        return;
    }
    if (position.value.len > 0) {
        memcpy(ret_epoch, position.value.ptr, position.value.len);
    }
    *ret_revision = position.revision;
}

ks_result ks_mirror_view_scan(const struct ks_mirror_view *view, ks_bytes prefix,
                              bool (*each)(void *user, const struct ks_store_record *record),
                              void *user)
{
    struct ks_lmdb_span span = {.prefix = prefix};
    KS_LMDB_WALK_AUTO *walk = NULL;
    KS_TRY(ks_lmdb_walk_begin(view->read, view->mirror->data, &span, &walk));
    for (;;) {
        ks_bytes key;
        ks_bytes stored;
        struct ks_store_record record;
        ks_result next = ks_lmdb_walk_next(walk, &key, &stored);
        if (next.code == KS_NOT_FOUND) {
            return KS_RES(OK);
        }
        KS_TRY(next);
        KS_TRY(ks_stored_decode(key, stored, &record));
        if (!each(user, &record)) {
            return KS_RES(OK);
        }
    }
}
