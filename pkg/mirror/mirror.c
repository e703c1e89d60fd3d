#include "pkg/mirror/mirror.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pkg/base/mem.h"
#include "pkg/form/form.h"
#include "pkg/mirror/state.h"

#define READERS_MAX   256U
#define PAGE_LEN      4096U
#define PATH_LEN_MAX  1100U
#define TRIM_MAX      4096U /* tombstones that one change drops at most */
#define INDEX_LEN_MAX (8U + KS_MIRROR_KEY_LEN_MAX)
#define VALUE_LEN_MAX (1024U * 1024U)

/* ---- Opening ---- */

static ks_result open_databases(struct ks_mirror_db *mirror)
{
    static const struct {
        const char *name;
        size_t offset;
    } databases[] = {
        {"data0", offsetof(struct ks_mirror_db, data[0])},
        {"data1", offsetof(struct ks_mirror_db, data[1])},
        {"log0", offsetof(struct ks_mirror_db, log[0])},
        {"log1", offsetof(struct ks_mirror_db, log[1])},
        {"gone", offsetof(struct ks_mirror_db, gone)},
        {"meta", offsetof(struct ks_mirror_db, meta)},
    };
    for (size_t i = 0; i < KS_COUNT(databases); i++) {
        ks_lmdb_db *db = (ks_lmdb_db *)((char *)mirror + databases[i].offset);
        KS_TRY(ks_lmdb_database(mirror->env, databases[i].name, db));
    }
    return KS_RES(OK);
}

static ks_result load_state(struct ks_mirror_db *mirror)
{
    KS_LMDB_READ_AUTO *read = NULL;
    ks_bytes stored;
    KS_TRY(ks_lmdb_read_begin(mirror->env, &read));
    ks_result got = ks_lmdb_get(read, mirror->meta, KS_MIRROR_STATE_KEY, &stored);
    if (got.code == KS_NOT_FOUND) {
        return KS_RES(OK);
    }
    KS_TRY(got);
    return ks_mirror_state_read(stored, &mirror->state);
}

static ks_result open_files(const struct ks_mirror_options *options, struct ks_mirror_db *mirror)
{
    uint64_t bytes_max = options->bytes_max ? options->bytes_max : KS_MIRROR_BYTES_DEFAULT;
    const struct ks_lmdb_options lmdb = {
        .folder = options->folder,
        .map_len_max = (size_t)(bytes_max / PAGE_LEN * PAGE_LEN),
        .readers_max = READERS_MAX,
    };
    KS_TRY(ks_lmdb_open(&lmdb, &mirror->env));
    KS_TRY(open_databases(mirror));
    return load_state(mirror);
}

/* The lock's file stays: another process may wait for it. */
static ks_result throw_away(const char *folder)
{
    static const char *const names[] = {"data.mdb", "lock.mdb"};
    for (size_t i = 0; i < KS_COUNT(names); i++) {
        char path[PATH_LEN_MAX];
        int len = snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        bool gone = len > 0 && (size_t)len < sizeof(path) && (unlink(path) == 0 || errno == ENOENT);
        if (!gone) {
            return KS_RES(INTERNAL);
        }
    }
    return KS_RES(OK);
}

/* And the folder above it: the mirror may be the first thing in a data folder. */
static ks_result make_folder(const char *folder)
{
    char above[PATH_LEN_MAX];
    const char *name = strrchr(folder, '/');
    size_t len = name ? (size_t)(name - folder) : 0;
    if (len > 0 && len < sizeof(above)) {
        memcpy(above, folder, len);
        above[len] = '\0';
        (void)mkdir(above, 0700); /* if it can't be made, the next one can't either */
    }
    return mkdir(folder, 0700) == 0 || errno == EEXIST ? KS_RES(OK) : KS_RES(INTERNAL);
}

ks_result ks_mirror_db_open(const struct ks_mirror_options *options,
                            struct ks_mirror_db **ret_mirror)
{
    assert(options->folder && options->folder[0]);

    KS_TRY(make_folder(options->folder));
    struct ks_mirror_db *mirror = ks_alloc(1, sizeof(*mirror));
    mirror->crypto = ks_crypto_new();
    mirror->tombstones_max =
        options->tombstones_max ? options->tombstones_max : KS_MIRROR_TOMBSTONES_MAX;
    ks_result opened = open_files(options, mirror);
    if (opened.code == KS_CORRUPT) {
        ks_lmdb_close(mirror->env);
        mirror->env = NULL;
        opened = throw_away(options->folder);
        opened = ks_failed(opened) ? opened : open_files(options, mirror);
    }
    if (ks_failed(opened)) {
        ks_mirror_db_close(mirror);
        return opened;
    }
    *ret_mirror = mirror;
    return KS_RES(OK);
}

void ks_mirror_db_close(struct ks_mirror_db *mirror)
{
    if (mirror) {
        ks_lmdb_close(mirror->env);
        ks_crypto_free(mirror->crypto);
        ks_free(mirror);
    }
}

/* ---- Entries ---- */

/* A change under way: what it will have written, if it is committed. */
struct writing {
    struct ks_mirror_db *mirror;
    struct ks_lmdb_write *write;
    unsigned set; /* which of the two */
    struct ks_set_sum *sum;
    uint64_t *tombstones; /* NULL: deletions leave none */
};

static ks_bytes index_of(int64_t revision, ks_bytes key, uint8_t place[static INDEX_LEN_MAX])
{
    struct ks_writer writer = {.ptr = place, .capacity = INDEX_LEN_MAX};
    ks_write_u64(&writer, (uint64_t)revision);
    ks_write_bytes(&writer, key);
    assert(!writer.full);
    return ks_written(&writer);
}

static ks_result tolerate_absence(ks_result deleted)
{
    return deleted.code == KS_NOT_FOUND ? KS_RES(OK) : deleted;
}

/* Takes what stands under key away, out of the index and the sum, too. */
static ks_result remove_entry(const struct writing *writing, ks_bytes key)
{
    const struct ks_mirror_db *mirror = writing->mirror;
    uint8_t place[INDEX_LEN_MAX];
    ks_bytes entry;
    enum ks_mirror_kind kind;
    struct ks_mirror_record record;
    ks_result got = ks_lmdb_write_get(writing->write, mirror->data[writing->set], key, &entry);
    if (got.code == KS_NOT_FOUND) {
        return KS_RES(OK);
    }
    KS_TRY(got);
    KS_TRY(ks_mirror_entry_read(key, entry, &kind, &record));
    ks_bytes index = index_of(record.revision, key, place);
    if (kind == KS_MIRROR_LIVE) {
        struct ks_set_leaf leaf;
        KS_TRY(ks_set_leaf(mirror->crypto, key, record.value, record.revision, &leaf));
        KS_TRY(ks_set_remove(mirror->crypto, writing->sum, &leaf));
    } else if (writing->tombstones) {
        KS_TRY(tolerate_absence(ks_lmdb_delete(writing->write, mirror->gone, index)));
        *writing->tombstones -= *writing->tombstones > 0;
    }
    KS_TRY(tolerate_absence(ks_lmdb_delete(writing->write, mirror->log[writing->set], index)));
    return ks_lmdb_delete(writing->write, mirror->data[writing->set], key);
}

static ks_result put_entry(const struct writing *writing, const struct ks_mirror_record *record)
{
    const struct ks_mirror_db *mirror = writing->mirror;
    uint8_t kind = record->value.ptr ? KS_MIRROR_LIVE : KS_MIRROR_GONE;
    uint8_t place[INDEX_LEN_MAX];
    uint8_t head[KS_MIRROR_ENTRY_MIN];
    struct ks_writer writer = {.ptr = head, .capacity = sizeof(head)};
    ks_write_u64(&writer, (uint64_t)record->revision);
    ks_write_u8(&writer, kind);
    KS_BUFFER_AUTO entry = {.len_max = KS_MIRROR_ENTRY_MIN + VALUE_LEN_MAX};
    KS_TRY(ks_buffer_append(&entry, ks_written(&writer)));
    KS_TRY(ks_buffer_append(&entry, record->value));
    ks_bytes index = index_of(record->revision, record->key, place);
    KS_TRY(ks_lmdb_put(writing->write, mirror->data[writing->set], record->key,
                       ks_buffer_bytes(&entry)));
    return ks_lmdb_put(writing->write, mirror->log[writing->set], index, (ks_bytes){&kind, 1});
}

static ks_result apply_record(const struct writing *writing, const struct ks_mirror_record *record)
{
    const struct ks_mirror_db *mirror = writing->mirror;
    bool fits = record->key.len > 0 && record->key.len <= KS_MIRROR_KEY_LEN_MAX &&
                record->revision > 0 && record->value.len <= VALUE_LEN_MAX;
    if (!fits) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(remove_entry(writing, record->key));
    if (record->value.ptr) {
        struct ks_set_leaf leaf;
        KS_TRY(ks_set_leaf(mirror->crypto, record->key, record->value, record->revision, &leaf));
        KS_TRY(ks_set_add(mirror->crypto, writing->sum, &leaf));
        return put_entry(writing, record);
    }
    if (!writing->tombstones) {
        return KS_RES(OK);
    }
    uint8_t place[INDEX_LEN_MAX];
    (*writing->tombstones)++;
    KS_TRY(put_entry(writing, record));
    return ks_lmdb_put(writing->write, mirror->gone, index_of(record->revision, record->key, place),
                       (ks_bytes){0});
}

/* ---- Tombstones ---- */

struct trim {
    size_t count;
    size_t len[TRIM_MAX];
    uint8_t (*index)[INDEX_LEN_MAX];
};

static void trim_done(struct trim **trim)
{
    if (*trim) {
        ks_free((*trim)->index);
        ks_free(*trim);
    }
}

/* Finds the oldest tombstones. A transaction can't walk: what is there before it begins is asked. */
static ks_result find_oldest(struct ks_mirror_db *mirror, size_t count, struct trim *trim)
{
    KS_LMDB_READ_AUTO *read = NULL;
    KS_LMDB_WALK_AUTO *walk = NULL;
    const struct ks_lmdb_span all = {.after_start = false};
    KS_TRY(ks_lmdb_read_begin(mirror->env, &read));
    KS_TRY(ks_lmdb_walk_begin(read, mirror->gone, &all, &walk));
    while (trim->count < count) {
        ks_bytes index;
        ks_bytes nothing;
        ks_result next = ks_lmdb_walk_next(walk, &index, &nothing);
        if (next.code == KS_NOT_FOUND) {
            return KS_RES(OK);
        }
        KS_TRY(next);
        if (index.len <= 8 || index.len > INDEX_LEN_MAX) {
            return KS_RES(CORRUPT);
        }
        memcpy(trim->index[trim->count], index.ptr, index.len);
        trim->len[trim->count++] = index.len;
    }
    return KS_RES(OK);
}

static ks_result drop_tombstone(const struct writing *writing, ks_bytes index, int64_t *floor)
{
    const struct ks_mirror_db *mirror = writing->mirror;
    struct ks_reader reader = {.rest = index};
    int64_t revision = (int64_t)ks_read_u64(&reader);
    ks_result deleted = ks_lmdb_delete(writing->write, mirror->gone, index);
    if (deleted.code == KS_NOT_FOUND) {
        return KS_RES(OK); /* this change has put the record again */
    }
    KS_TRY(deleted);
    KS_TRY(tolerate_absence(ks_lmdb_delete(writing->write, mirror->log[writing->set], index)));
    KS_TRY(
        tolerate_absence(ks_lmdb_delete(writing->write, mirror->data[writing->set], reader.rest)));
    *writing->tombstones -= *writing->tombstones > 0;
    *floor = revision > *floor ? revision : *floor;
    return KS_RES(OK);
}

/* ---- Changes ---- */

static ks_result seal_state(struct ks_mirror_db *mirror, struct ks_lmdb_write *write,
                            struct ks_mirror_state *state, ks_mirror_seal_fn seal, void *user)
{
    KS_BUFFER_AUTO bytes = {.len_max = KS_HEAD_LEN_MAX};
    KS_TRY(seal(user, &state->sum, &state->head, &bytes));
    memcpy(state->head_bytes, bytes.ptr, bytes.len);
    state->head_len = bytes.len;
    return ks_mirror_state_put(mirror, write, state);
}

static ks_result commit(struct ks_mirror_db *mirror, struct ks_lmdb_write **write,
                        const struct ks_mirror_state *state)
{
    struct ks_lmdb_write *whole = *write;
    *write = NULL;
    KS_TRY(ks_lmdb_commit(whole));
    mirror->state = *state;
    return KS_RES(OK);
}

static size_t deletions_in(const struct ks_mirror_record *records, size_t count)
{
    size_t deletions = 0;
    for (size_t i = 0; i < count; i++) {
        deletions += !records[i].value.ptr;
    }
    return deletions;
}

/* How many tombstones too many there would be. */
static size_t surplus(const struct ks_mirror_db *mirror, size_t more)
{
    uint64_t wanted = mirror->state.tombstones + more;
    uint64_t over = wanted > mirror->tombstones_max ? wanted - mirror->tombstones_max : 0;
    return over < TRIM_MAX ? (size_t)over : TRIM_MAX;
}

static ks_result write_change(const struct writing *writing, const struct trim *trim,
                              const struct ks_mirror_record *records, size_t count, int64_t *floor)
{
    for (size_t i = 0; i < count; i++) {
        KS_TRY(apply_record(writing, &records[i]));
    }
    for (size_t i = 0; trim && i < trim->count; i++) {
        KS_TRY(drop_tombstone(writing, (ks_bytes){trim->index[i], trim->len[i]}, floor));
    }
    return KS_RES(OK);
}

ks_result ks_mirror_db_change(struct ks_mirror_db *mirror, const struct ks_mirror_record *records,
                              size_t count, ks_mirror_seal_fn seal, void *user)
{
    size_t over = surplus(mirror, deletions_in(records, count));
    KS_CLEANUP(trim_done) struct trim *trim = NULL;
    if (over > 0) {
        trim = ks_alloc(1, sizeof(*trim));
        trim->index = ks_alloc(over, sizeof(*trim->index));
        KS_TRY(find_oldest(mirror, over, trim));
    }
    struct ks_mirror_state state = mirror->state;
    KS_LMDB_WRITE_AUTO *write = NULL;
    KS_TRY(ks_lmdb_write_begin(mirror->env, &write));
    const struct writing writing = {mirror, write, state.active, &state.sum, &state.tombstones};
    KS_TRY(write_change(&writing, trim, records, count, &state.floor));
    KS_TRY(seal_state(mirror, write, &state, seal, user));
    return commit(mirror, &write, &state);
}

/* ---- Snapshots ---- */

static ks_result clear_set(struct ks_mirror_db *mirror, struct ks_lmdb_write *write, unsigned set)
{
    KS_TRY(ks_lmdb_clear(write, mirror->data[set]));
    return ks_lmdb_clear(write, mirror->log[set]);
}

ks_result ks_mirror_db_stage_begin(struct ks_mirror_db *mirror)
{
    KS_LMDB_WRITE_AUTO *write = NULL;
    KS_TRY(ks_lmdb_write_begin(mirror->env, &write));
    KS_TRY(clear_set(mirror, write, !mirror->state.active));
    struct ks_lmdb_write *whole = write;
    write = NULL;
    KS_TRY(ks_lmdb_commit(whole));
    mirror->staged = (struct ks_set_sum){0};
    return KS_RES(OK);
}

ks_result ks_mirror_db_stage_add(struct ks_mirror_db *mirror,
                                 const struct ks_mirror_record *records, size_t count)
{
    struct ks_set_sum sum = mirror->staged;
    int64_t floor = 0;
    KS_LMDB_WRITE_AUTO *write = NULL;
    KS_TRY(ks_lmdb_write_begin(mirror->env, &write));
    const struct writing writing = {mirror, write, !mirror->state.active, &sum, NULL};
    KS_TRY(write_change(&writing, NULL, records, count, &floor));
    struct ks_lmdb_write *whole = write;
    write = NULL;
    KS_TRY(ks_lmdb_commit(whole));
    mirror->staged = sum;
    return KS_RES(OK);
}

/* Nothing is known of what was deleted before: the floor is where the snapshot stands. */
ks_result ks_mirror_db_stage_finish(struct ks_mirror_db *mirror, ks_mirror_seal_fn seal, void *user)
{
    struct ks_mirror_state state = {.active = !mirror->state.active, .sum = mirror->staged};
    KS_LMDB_WRITE_AUTO *write = NULL;
    KS_BUFFER_AUTO bytes = {.len_max = KS_HEAD_LEN_MAX};
    KS_TRY(seal(user, &state.sum, &state.head, &bytes));
    memcpy(state.head_bytes, bytes.ptr, bytes.len);
    state.head_len = bytes.len;
    state.floor = state.head.revision;
    KS_TRY(ks_lmdb_write_begin(mirror->env, &write));
    KS_TRY(clear_set(mirror, write, mirror->state.active));
    KS_TRY(ks_lmdb_clear(write, mirror->gone));
    KS_TRY(ks_mirror_state_put(mirror, write, &state));
    return commit(mirror, &write, &state);
}

ks_result ks_mirror_db_empty(struct ks_mirror_db *mirror)
{
    const struct ks_mirror_state empty = {0};
    KS_LMDB_WRITE_AUTO *write = NULL;
    KS_TRY(ks_lmdb_write_begin(mirror->env, &write));
    KS_TRY(clear_set(mirror, write, 0));
    KS_TRY(clear_set(mirror, write, 1));
    KS_TRY(ks_lmdb_clear(write, mirror->gone));
    KS_TRY(ks_lmdb_clear(write, mirror->meta));
    return commit(mirror, &write, &empty);
}

/* ---- Checking ---- */

ks_result ks_mirror_db_check(struct ks_mirror_db *mirror)
{
    KS_MIRROR_VIEW_AUTO *view = NULL;
    KS_MIRROR_WALK_AUTO *walk = NULL;
    struct ks_set_sum sum = {0};
    if (mirror->state.head.number == 0) {
        return KS_RES(OK);
    }
    KS_TRY(ks_mirror_view_open(mirror, &view));
    KS_TRY(ks_mirror_walk_begin(view, &walk));
    for (;;) {
        struct ks_mirror_record record;
        struct ks_set_leaf leaf;
        ks_result next = ks_mirror_walk_next(walk, &record);
        if (next.code == KS_NOT_FOUND) {
            break;
        }
        KS_TRY(next);
        KS_TRY(ks_set_leaf(mirror->crypto, record.key, record.value, record.revision, &leaf));
        KS_TRY(ks_set_add(mirror->crypto, &sum, &leaf));
    }
    bool same = ks_head_is_of(mirror->crypto, &mirror->state.head, &sum) &&
                ks_head_is_of(mirror->crypto, &mirror->state.head, &mirror->state.sum);
    return same ? KS_RES(OK) : KS_RES(CORRUPT);
}
