#include "pkg/store/copy/index.h"

#include <assert.h>
#include <string.h>

#include "pkg/store/copy/stored.h"

#define COUNT_LEN     8U
#define REVISION_LEN  8U
#define DUE_LEN       8U
#define FORGOTTEN_MAX 2U /* of one change: twice what it can have emptied */

/* The prefix that ends with the depth-th slash of the keys that start with root. */
struct level {
    const char *root;
    size_t depth;
    bool is_directory;
};

static const struct level levels[] = {
    {"key/", 1, false},     /* how many keys the cell has */
    {"key/", 2, false},     /* an account's keys */
    {"alias/", 2, false},   /* an account's aliases */
    {"keyalias/", 3, true}, /* a key's aliases */
    {"grant/", 3, true},    /* a key's grants */
    {"grantee/", 3, true},  /* a grantee's grants */
    {"material/", 3, true}, /* a key's older materials */
};

/* Gives the prefix of key at a level; false: it has none, or is no longer than it. */
static bool prefix_at(ks_bytes key, const struct level *level, ks_bytes *ret_prefix)
{
    size_t slashes = 0;
    if (!ks_bytes_starts_with(key, ks_bytes_of(level->root))) {
        return false;
    }
    for (size_t i = 0; i < key.len; i++) {
        slashes += key.ptr[i] == '/';
        if (slashes == level->depth) {
            *ret_prefix = (ks_bytes){key.ptr, i + 1};
            return true;
        }
    }
    return false;
}

size_t ks_index_prefixes_of(ks_bytes key, ks_bytes ret_prefixes[KS_INDEX_LEVELS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < KS_COUNT(levels); i++) {
        ks_bytes prefix;
        if (prefix_at(key, &levels[i], &prefix) && prefix.len < key.len) {
            assert(count < KS_INDEX_LEVELS_MAX);
            ret_prefixes[count++] = prefix;
        }
    }
    return count;
}

bool ks_index_keeps(ks_bytes prefix)
{
    for (size_t i = 0; i < KS_COUNT(levels); i++) {
        ks_bytes found;
        if (prefix_at(prefix, &levels[i], &found) && found.len == prefix.len) {
            return true;
        }
    }
    return false;
}

bool ks_index_directory(ks_bytes key, ks_bytes *ret_directory)
{
    for (size_t i = 0; i < KS_COUNT(levels); i++) {
        if (levels[i].is_directory && prefix_at(key, &levels[i], ret_directory)) {
            return true;
        }
    }
    return false;
}

ks_result ks_index_open(struct ks_lmdb *env, struct ks_index *ret_index)
{
    struct ks_index index;
    KS_TRY(ks_lmdb_database(env, "prefix", &index.prefixes));
    KS_TRY(ks_lmdb_database(env, "empty", &index.empty));
    KS_TRY(ks_lmdb_database(env, "due", &index.due));
    *ret_index = index;
    return KS_RES(OK);
}

ks_result ks_index_clear(const struct ks_index *index, struct ks_lmdb_write *write)
{
    KS_TRY(ks_lmdb_clear(write, index->prefixes));
    KS_TRY(ks_lmdb_clear(write, index->empty));
    return ks_lmdb_clear(write, index->due);
}

/* ---- One entry ---- */

static ks_result decode(ks_bytes prefix, ks_bytes stored, struct ks_index_entry *ret_entry)
{
    struct ks_store_record record;
    KS_TRY(ks_stored_decode(prefix, stored, &record));
    if (record.value.len != COUNT_LEN) {
        return KS_RES(CORRUPT);
    }
    *ret_entry = (struct ks_index_entry){record.revision, ks_stored_get_u64(record.value.ptr)};
    return KS_RES(OK);
}

/* An entry that is not there is zero. */
static ks_result entry_of(ks_result found, ks_bytes prefix, ks_bytes stored,
                          struct ks_index_entry *ret_entry)
{
    if (found.code == KS_NOT_FOUND) {
        *ret_entry = (struct ks_index_entry){.count = 0};
        return KS_RES(OK);
    }
    KS_TRY(found);
    return decode(prefix, stored, ret_entry);
}

ks_result ks_index_read(const struct ks_index *index, struct ks_lmdb_read *read, ks_bytes prefix,
                        struct ks_index_entry *ret_entry)
{
    ks_bytes stored = {0};
    ks_result found = ks_lmdb_get(read, index->prefixes, prefix, &stored);
    return entry_of(found, prefix, stored, ret_entry);
}

static ks_result write_entry(const struct ks_index *index, struct ks_lmdb_write *write,
                             ks_bytes prefix, const struct ks_index_entry *entry)
{
    uint8_t count[COUNT_LEN];
    struct ks_store_record record = {prefix, {count, sizeof(count)}, entry->newest};
    KS_BUFFER_AUTO stored = {.len_max = KS_STORED_HEAD_LEN + COUNT_LEN};
    ks_stored_put_u64(count, entry->count);
    KS_TRY(ks_stored_encode(&record, &stored));
    return ks_lmdb_put(write, index->prefixes, prefix, ks_buffer_bytes(&stored));
}

/* ---- Empty ones ---- */

/* The key in "empty"; room is for the longest. */
static ks_bytes empty_key(ks_bytes prefix, int64_t newest, uint8_t room[KS_LMDB_KEY_MAX])
{
    assert(REVISION_LEN + prefix.len <= KS_LMDB_KEY_MAX);

    ks_stored_put_u64(room, (uint64_t)newest);
    memcpy(room + REVISION_LEN, prefix.ptr, prefix.len);
    return (ks_bytes){room, REVISION_LEN + prefix.len};
}

static ks_result put_empty(const struct ks_index *index, struct ks_lmdb_write *write,
                           ks_bytes prefix, int64_t newest)
{
    uint8_t room[KS_LMDB_KEY_MAX];
    return ks_lmdb_put(write, index->empty, empty_key(prefix, newest, room), (ks_bytes){0});
}

static ks_result remove_empty(const struct ks_index *index, struct ks_lmdb_write *write,
                              ks_bytes prefix, int64_t newest)
{
    uint8_t room[KS_LMDB_KEY_MAX];
    ks_result removed = ks_lmdb_delete(write, index->empty, empty_key(prefix, newest, room));
    return removed.code == KS_NOT_FOUND ? KS_RES(CORRUPT) : removed;
}

/* Forgets the oldest empty prefix, if it is old enough. NOT_FOUND: there is none. */
static ks_result forget_one(const struct ks_index *index, struct ks_lmdb_write *write,
                            int64_t revision, int64_t *floor)
{
    ks_bytes first;
    uint8_t key[KS_LMDB_KEY_MAX];
    KS_TRY(ks_lmdb_write_first(write, index->empty, (ks_bytes){0}, &first));
    if (first.len <= REVISION_LEN) {
        return KS_RES(CORRUPT);
    }
    int64_t newest = (int64_t)ks_stored_get_u64(first.ptr);
    if (newest >= revision - KS_INDEX_KEPT_REVISIONS) {
        return KS_RES(NOT_FOUND);
    }
    memcpy(key, first.ptr, first.len);
    const ks_bytes prefix = {key + REVISION_LEN, first.len - REVISION_LEN};
    KS_TRY(ks_lmdb_delete(write, index->empty, (ks_bytes){key, first.len}));
    KS_TRY(ks_lmdb_delete(write, index->prefixes, prefix));
    *floor = newest > *floor ? newest : *floor;
    return KS_RES(OK);
}

static ks_result forget(const struct ks_index *index, struct ks_lmdb_write *write, int64_t revision,
                        int64_t *floor)
{
    for (size_t i = 0; i < FORGOTTEN_MAX; i++) {
        ks_result forgotten = forget_one(index, write, revision, floor);
        if (forgotten.code == KS_NOT_FOUND) {
            return KS_RES(OK);
        }
        KS_TRY(forgotten);
    }
    return KS_RES(OK);
}

/* ---- Changes ---- */

static ks_result step(struct ks_index_entry *entry, enum ks_index_event event, int64_t revision)
{
    if (event != KS_INDEX_ADDED && entry->count == 0) {
        return KS_RES(CORRUPT);
    }
    entry->count += event == KS_INDEX_ADDED;
    entry->count -= event == KS_INDEX_REMOVED;
    entry->newest = revision > entry->newest ? revision : entry->newest;
    return KS_RES(OK);
}

static ks_result note_prefix(const struct ks_index *index, struct ks_lmdb_write *write,
                             ks_bytes prefix, enum ks_index_event event, int64_t revision)
{
    ks_bytes stored = {0};
    struct ks_index_entry entry;
    ks_result found = ks_lmdb_write_get(write, index->prefixes, prefix, &stored);
    KS_TRY(entry_of(found, prefix, stored, &entry));
    if (!ks_failed(found) && entry.count == 0) {
        KS_TRY(remove_empty(index, write, prefix, entry.newest));
    }
    KS_TRY(step(&entry, event, revision));
    if (entry.count == 0) {
        KS_TRY(put_empty(index, write, prefix, entry.newest));
    }
    return write_entry(index, write, prefix, &entry);
}

ks_result ks_index_note(const struct ks_index *index, struct ks_lmdb_write *write, ks_bytes key,
                        enum ks_index_event event, int64_t revision, int64_t *floor)
{
    ks_bytes prefixes[KS_INDEX_LEVELS_MAX];
    size_t count = ks_index_prefixes_of(key, prefixes);
    for (size_t i = 0; i < count; i++) {
        KS_TRY(note_prefix(index, write, prefixes[i], event, revision));
    }
    return forget(index, write, revision, floor);
}

/* ---- Due times ---- */

static size_t root_len_of(ks_bytes key)
{
    size_t len = 0;
    while (len < key.len && key.ptr[len] != '/') {
        len++;
    }
    return len < key.len ? len + 1 : len;
}

/* The key in "due"; room is for the longest. */
static ks_bytes due_key(ks_bytes key, int64_t due_ms, uint8_t room[KS_LMDB_KEY_MAX])
{
    size_t root_len = root_len_of(key);
    assert(DUE_LEN + key.len <= KS_LMDB_KEY_MAX && root_len > 0 && due_ms > 0);

    memcpy(room, key.ptr, root_len);
    ks_stored_put_u64(room + root_len, (uint64_t)due_ms);
    memcpy(room + root_len + DUE_LEN, key.ptr + root_len, key.len - root_len);
    return (ks_bytes){room, DUE_LEN + key.len};
}

ks_result ks_index_note_due(const struct ks_index *index, struct ks_lmdb_write *write, ks_bytes key,
                            int64_t before_ms, int64_t after_ms)
{
    uint8_t room[KS_LMDB_KEY_MAX];
    if (before_ms == after_ms) {
        return KS_RES(OK);
    }
    if (before_ms > 0) {
        ks_result removed = ks_lmdb_delete(write, index->due, due_key(key, before_ms, room));
        if (ks_failed(removed) && removed.code != KS_NOT_FOUND) {
            return removed;
        }
    }
    return after_ms > 0
               ? ks_lmdb_put(write, index->due, due_key(key, after_ms, room), (ks_bytes){0})
               : KS_RES(OK);
}

ks_result ks_index_scan_due(const struct ks_index *index, struct ks_lmdb_read *read, ks_bytes root,
                            int64_t until_ms, bool (*each)(void *user, ks_bytes key), void *user)
{
    assert(root.len > 0 && root_len_of(root) == root.len);

    struct ks_lmdb_span span = {.prefix = root};
    KS_LMDB_WALK_AUTO *walk = NULL;
    KS_TRY(ks_lmdb_walk_begin(read, index->due, &span, &walk));
    for (;;) {
        ks_bytes at;
        ks_bytes nothing;
        uint8_t key[KS_LMDB_KEY_MAX];
        ks_result next = ks_lmdb_walk_next(walk, &at, &nothing);
        if (next.code == KS_NOT_FOUND) {
            return KS_RES(OK);
        }
        KS_TRY(next);
        if (at.len < root.len + DUE_LEN) {
            return KS_RES(CORRUPT);
        }
        if ((int64_t)ks_stored_get_u64(at.ptr + root.len) > until_ms) {
            return KS_RES(OK);
        }
        size_t rest_len = at.len - root.len - DUE_LEN;
        memcpy(key, root.ptr, root.len);
        memcpy(key + root.len, at.ptr + root.len + DUE_LEN, rest_len);
        if (!each(user, (ks_bytes){key, root.len + rest_len})) {
            return KS_RES(OK);
        }
    }
}
