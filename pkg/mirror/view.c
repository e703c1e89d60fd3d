/* The reading half of mirror.h. */
#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/form/form.h"
#include "pkg/mirror/mirror.h"
#include "pkg/mirror/state.h"

struct ks_mirror_view {
    const struct ks_mirror_db *mirror;
    struct ks_lmdb_read *read;
    struct ks_mirror_state state;
};

struct ks_mirror_walk {
    struct ks_lmdb_walk *walk;
};

static ks_result read_state(struct ks_mirror_view *view)
{
    ks_bytes stored;
    ks_result got = ks_lmdb_get(view->read, view->mirror->meta, KS_MIRROR_STATE_KEY, &stored);
    if (got.code == KS_NOT_FOUND) {
        return KS_RES(OK);
    }
    KS_TRY(got);
    return ks_mirror_state_read(stored, &view->state);
}

ks_result ks_mirror_view_open(struct ks_mirror_db *mirror, struct ks_mirror_view **ret_view)
{
    struct ks_lmdb_read *read = NULL;
    ks_result begun = ks_lmdb_read_begin(mirror->env, &read);
    if (ks_failed(begun)) {
        return begun.code == KS_LIMIT_EXCEEDED ? KS_RES(UNAVAILABLE) : begun;
    }
    struct ks_mirror_view *view = ks_alloc(1, sizeof(*view));
    view->mirror = mirror;
    view->read = read;
    ks_result opened = read_state(view);
    if (ks_failed(opened)) {
        ks_mirror_view_close(view);
        return opened;
    }
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

void ks_mirror_view_close_at(struct ks_mirror_view **view)
{
    ks_mirror_view_close(*view);
}

const struct ks_head *ks_mirror_view_head(const struct ks_mirror_view *view)
{
    return view->state.head.number > 0 ? &view->state.head : NULL;
}

ks_bytes ks_mirror_view_head_bytes(const struct ks_mirror_view *view)
{
    return (ks_bytes){view->state.head_bytes, view->state.head_len};
}

int64_t ks_mirror_view_floor(const struct ks_mirror_view *view)
{
    return view->state.floor;
}

struct ks_mirror_place ks_mirror_after(int64_t revision)
{
    assert(revision >= 0 && revision < INT64_MAX);

    struct ks_mirror_place place = {.len = 0};
    struct ks_writer writer = {.ptr = place.bytes, .capacity = sizeof(place.bytes)};
    ks_write_u64(&writer, (uint64_t)revision + 1);
    place.len = writer.len;
    return place;
}

/* The record or tombstone that an entry of the log names. */
static ks_result record_at(const struct ks_mirror_view *view, ks_bytes index,
                           struct ks_mirror_record *ret_record)
{
    struct ks_reader reader = {.rest = index};
    uint64_t revision = ks_read_u64(&reader);
    enum ks_mirror_kind kind;
    ks_bytes entry;
    if (reader.bad || reader.rest.len == 0 || index.len > 8 + KS_MIRROR_KEY_LEN_MAX) {
        return KS_RES(CORRUPT);
    }
    ks_bytes key = reader.rest;
    ks_result got = ks_lmdb_get(view->read, view->mirror->data[view->state.active], key, &entry);
    if (got.code == KS_NOT_FOUND) {
        return KS_RES(CORRUPT);
    }
    KS_TRY(got);
    KS_TRY(ks_mirror_entry_read(key, entry, &kind, ret_record));
    return (uint64_t)ret_record->revision == revision ? KS_RES(OK) : KS_RES(CORRUPT);
}

ks_result ks_mirror_view_changes(const struct ks_mirror_view *view, struct ks_mirror_place *place,
                                 bool (*each)(void *user, const struct ks_mirror_record *record),
                                 void *user, bool *ret_end)
{
    KS_LMDB_WALK_AUTO *walk = NULL;
    const struct ks_lmdb_span span = {.start = {place->bytes, place->len}, .after_start = true};
    KS_TRY(ks_lmdb_walk_begin(view->read, view->mirror->log[view->state.active], &span, &walk));
    for (;;) {
        ks_bytes index;
        ks_bytes kind;
        struct ks_mirror_record record;
        ks_result next = ks_lmdb_walk_next(walk, &index, &kind);
        if (next.code == KS_NOT_FOUND) {
            *ret_end = true;
            return KS_RES(OK);
        }
        KS_TRY(next);
        KS_TRY(record_at(view, index, &record));
        if (!each(user, &record)) {
            *ret_end = false;
            return KS_RES(OK);
        }
        memcpy(place->bytes, index.ptr, index.len);
        place->len = index.len;
    }
}

ks_result ks_mirror_view_get(const struct ks_mirror_view *view, ks_bytes key,
                             struct ks_mirror_record *ret_record)
{
    ks_bytes entry;
    enum ks_mirror_kind kind;
    struct ks_mirror_record record;
    KS_TRY(ks_lmdb_get(view->read, view->mirror->data[view->state.active], key, &entry));
    KS_TRY(ks_mirror_entry_read(key, entry, &kind, &record));
    if (kind == KS_MIRROR_GONE) {
        return KS_RES(NOT_FOUND);
    }
    *ret_record = record;
    return KS_RES(OK);
}

ks_result ks_mirror_walk_begin(const struct ks_mirror_view *view, struct ks_mirror_walk **ret_walk)
{
    struct ks_lmdb_walk *inner = NULL;
    const struct ks_lmdb_span all = {.after_start = false};
    KS_TRY(ks_lmdb_walk_begin(view->read, view->mirror->data[view->state.active], &all, &inner));
    struct ks_mirror_walk *walk = ks_alloc(1, sizeof(*walk));
    walk->walk = inner;
    *ret_walk = walk;
    return KS_RES(OK);
}

ks_result ks_mirror_walk_next(struct ks_mirror_walk *walk, struct ks_mirror_record *ret_record)
{
    for (;;) {
        ks_bytes key;
        ks_bytes entry;
        enum ks_mirror_kind kind;
        struct ks_mirror_record record;
        KS_TRY(ks_lmdb_walk_next(walk->walk, &key, &entry));
        KS_TRY(ks_mirror_entry_read(key, entry, &kind, &record));
        if (kind == KS_MIRROR_LIVE) {
            *ret_record = record;
            return KS_RES(OK);
        }
    }
}

void ks_mirror_walk_end(struct ks_mirror_walk *walk)
{
    if (walk) {
        ks_lmdb_walk_end(walk->walk);
        ks_free(walk);
    }
}

void ks_mirror_walk_end_at(struct ks_mirror_walk **walk)
{
    ks_mirror_walk_end(*walk);
}
