#include "pkg/store/copy/copy.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/lmdb/lmdb.h"
#include "pkg/store/copy/index.h"
#include "pkg/store/copy/ordinals.h"
#include "pkg/store/copy/stored.h"

#define READERS_MAX  1024U /* views at a time: each worker of the process holds a few */
#define PAGE_LEN     4096U
#define STORED_MAX   (KS_STORE_VALUE_LEN_MAX + KS_STORED_HEAD_LEN)
#define POSITION_LEN 65U /* generation, five revisions, nonce, loading */
#define NONCE_AT     48U
#define ORDINAL_LEN  8U
#define ORDINALS_MIN 64U
#define POSITION_KEY KS_LITERAL("position")
#define SOURCE_KEY   KS_LITERAL("source")

struct ks_copy {
    struct ks_lmdb *env;
    ks_lmdb_db data;
    ks_lmdb_db list;
    ks_lmdb_db meta;
    ks_lmdb_db ordinals;
    ks_lmdb_db gone;
    struct ks_index index;
    ks_store_due_fn *due_ms;
    atomic_bool damaged;
    atomic_uint forgiven;
    ks_store_guard *guard;
    void (*on_refused)(void *user, ks_bytes key);
    void *user;
    atomic_uint_fast64_t refused;
    ks_store_ordinal_fn *ordinal_of;
    struct ks_ordinals *known; /* what "ordinals" has, out of reach of who writes the file */
    atomic_int_fast64_t seen;  /* the position of the last commit of this process */
};

/* ---- Position and source ---- */

static void encode_position(const struct ks_position *position, uint8_t ret_bytes[POSITION_LEN])
{
    const int64_t revisions[] = {position->applied, position->data_revision, position->rev_version,
                                 position->rev_revision, position->floor};
    ks_stored_put_u64(ret_bytes, position->generation);
    for (size_t i = 0; i < KS_COUNT(revisions); i++) {
        ks_stored_put_u64(ret_bytes + 8 + 8 * i, (uint64_t)revisions[i]);
    }
    memcpy(ret_bytes + NONCE_AT, position->nonce.bytes, KS_NONCE_LEN);
    ret_bytes[POSITION_LEN - 1] = position->loading;
}

static ks_result decode_position(ks_bytes stored, struct ks_position *ret_position)
{
    if (stored.len != POSITION_LEN || stored.ptr[POSITION_LEN - 1] > 1) {
        return KS_RES(CORRUPT);
    }
    *ret_position = (struct ks_position){
        .generation = ks_stored_get_u64(stored.ptr),
        .applied = (int64_t)ks_stored_get_u64(stored.ptr + 8),
        .data_revision = (int64_t)ks_stored_get_u64(stored.ptr + 16),
        .rev_version = (int64_t)ks_stored_get_u64(stored.ptr + 24),
        .rev_revision = (int64_t)ks_stored_get_u64(stored.ptr + 32),
        .floor = (int64_t)ks_stored_get_u64(stored.ptr + 40),
        .loading = stored.ptr[POSITION_LEN - 1] == 1,
    };
    memcpy(ret_position->nonce.bytes, stored.ptr + NONCE_AT, KS_NONCE_LEN);
    return KS_RES(OK);
}

/* What a new database lacks is the zero value. */
static ks_result position_of(ks_result found, ks_bytes stored, struct ks_position *ret_position)
{
    if (found.code == KS_NOT_FOUND) {
        *ret_position = (struct ks_position){0};
        return KS_RES(OK);
    }
    KS_TRY(found);
    return decode_position(stored, ret_position);
}

ks_result ks_copy_set_source(struct ks_copy_write *write, const struct ks_copy_source *source)
{
    uint8_t bytes[16 + KS_EPOCH_LEN_MAX];
    size_t epoch_len = strnlen(source->epoch, KS_EPOCH_LEN_MAX);
    ks_stored_put_u64(bytes, source->cluster_id);
    ks_stored_put_u64(bytes + 8, (uint64_t)source->epoch_revision);
    memcpy(bytes + 16, source->epoch, epoch_len);
    return ks_lmdb_put(write->txn, write->copy->meta, SOURCE_KEY,
                       (ks_bytes){bytes, 16 + epoch_len});
}

ks_result ks_snapshot_source(const struct ks_snapshot *snapshot, struct ks_copy_source *ret_source)
{
    ks_bytes stored;
    ks_result found = ks_lmdb_get(snapshot->read, snapshot->copy->meta, SOURCE_KEY, &stored);
    if (found.code == KS_NOT_FOUND) {
        *ret_source = (struct ks_copy_source){0};
        return KS_RES(OK);
    }
    KS_TRY(found);
    if (stored.len < 16 || stored.len > 16 + KS_EPOCH_LEN_MAX) {
        return KS_RES(CORRUPT);
    }
    *ret_source = (struct ks_copy_source){
        .cluster_id = ks_stored_get_u64(stored.ptr),
        .epoch_revision = (int64_t)ks_stored_get_u64(stored.ptr + 8),
    };
    memcpy(ret_source->epoch, stored.ptr + 16, stored.len - 16);
    return KS_RES(OK);
}

/* ---- Opening ---- */

static bool know(void *user, ks_bytes key, uint64_t ordinal, int64_t revision)
{
    struct ks_copy *copy = user;
    (void)revision;
    (void)ks_ordinals_raise(copy->known, ks_ordinals_hash(copy->known, key), ordinal, 0);
    return true;
}

static ks_result open_databases(struct ks_copy *copy)
{
    KS_TRY(ks_lmdb_database(copy->env, "data", &copy->data));
    KS_TRY(ks_lmdb_database(copy->env, "list", &copy->list));
    KS_TRY(ks_lmdb_database(copy->env, "meta", &copy->meta));
    KS_TRY(ks_lmdb_database(copy->env, "ordinals", &copy->ordinals));
    KS_TRY(ks_lmdb_database(copy->env, "gone", &copy->gone));
    KS_TRY(ks_index_open(copy->env, &copy->index));
    KS_TRY(ks_ordinals_new(&copy->known));
    KS_SNAPSHOT_AUTO snapshot = {0};
    struct ks_copy_source source;
    KS_TRY(ks_copy_snapshot(copy, &snapshot));
    KS_TRY(ks_snapshot_source(&snapshot, &source));
    atomic_store(&copy->seen, snapshot.position.applied);
    return ks_snapshot_scan_ordinals(&snapshot, know, copy);
}

ks_result ks_copy_open(const struct ks_copy_options *options, struct ks_copy **ret_copy)
{
    struct ks_lmdb_options lmdb = {
        .folder = options->folder,
        .map_len_max = (size_t)(options->bytes_max / PAGE_LEN * PAGE_LEN),
        .readers_max = READERS_MAX,
        .no_sync = options->no_sync,
    };
    struct ks_lmdb *env = NULL;
    KS_TRY(ks_lmdb_open(&lmdb, &env));
    struct ks_copy *copy = ks_alloc(1, sizeof(*copy));
    copy->env = env;
    copy->due_ms = options->due_ms;
    copy->guard = options->guard;
    copy->ordinal_of = options->ordinal_of;
    copy->on_refused = options->on_refused;
    copy->user = options->user;
    ks_result opened = open_databases(copy);
    if (ks_failed(opened)) {
        ks_copy_close(copy);
        return opened;
    }
    *ret_copy = copy;
    return KS_RES(OK);
}

void ks_copy_close(struct ks_copy *copy)
{
    if (copy) {
        ks_lmdb_close(copy->env);
        ks_ordinals_free(copy->known);
        ks_free(copy);
    }
}

ks_result ks_copy_sync(struct ks_copy *copy)
{
    return ks_lmdb_sync(copy->env);
}

uint64_t ks_copy_used_len(struct ks_copy *copy)
{
    return ks_lmdb_used_len(copy->env);
}

bool ks_copy_is_damaged(const struct ks_copy *copy)
{
    return atomic_load_explicit(&copy->damaged, memory_order_relaxed);
}

void ks_copy_condemn(struct ks_copy *copy)
{
    atomic_store(&copy->damaged, true);
}

void ks_copy_forgive(struct ks_copy *copy)
{
    atomic_fetch_add(&copy->forgiven, 1);
    atomic_store(&copy->damaged, false);
}

/* Passes a result on and remembers a damage, so that the engine loads the copy anew. */
static ks_result noted(struct ks_copy *copy, ks_result result)
{
    if (result.code == KS_CORRUPT) {
        ks_copy_condemn(copy);
    }
    return result;
}

/* The same, unless the copy was begun anew since the snapshot was taken. */
static ks_result noted_in(const struct ks_snapshot *snapshot, ks_result result)
{
    bool is_past = atomic_load(&snapshot->copy->forgiven) != snapshot->forgiven;
    return is_past ? result : noted(snapshot->copy, result);
}

/* ---- Snapshots ---- */

ks_result ks_copy_snapshot(struct ks_copy *copy, struct ks_snapshot *ret_snapshot)
{
    KS_LMDB_READ_AUTO *read = NULL;
    unsigned forgiven = atomic_load(&copy->forgiven);
    int64_t seen = atomic_load(&copy->seen);
    ks_result begun = ks_lmdb_read_begin(copy->env, &read);
    if (ks_failed(begun)) {
        return begun.code == KS_LIMIT_EXCEEDED ? KS_RES(UNAVAILABLE) : noted(copy, begun);
    }
    ks_bytes stored = {0};
    struct ks_position position;
    ks_result found = ks_lmdb_get(read, copy->meta, POSITION_KEY, &stored);
    KS_TRY(noted(copy, position_of(found, stored, &position)));

    *ret_snapshot = (struct ks_snapshot){copy, read, position, forgiven, seen};
    read = NULL;
    return KS_RES(OK);
}

void ks_snapshot_end(struct ks_snapshot *snapshot)
{
    if (snapshot->read) {
        ks_lmdb_read_end(snapshot->read);
    }
    *snapshot = (struct ks_snapshot){0};
}

static void refuse(struct ks_copy *copy, ks_bytes key)
{
    atomic_fetch_add(&copy->refused, 1);
    copy->on_refused(copy->user, key);
}

/* Whether the record is what this process has put into the file. One without an ordinal is not asked. */
static ks_result vouched(const struct ks_snapshot *snapshot, const struct ks_store_record *record)
{
    struct ks_copy *copy = snapshot->copy;
    uint64_t ordinal = copy->ordinal_of ? copy->ordinal_of(record->key, record->value) : 0;
    if (ordinal == 0 || ks_ordinals_admit(copy->known, ks_ordinals_hash(copy->known, record->key),
                                          ordinal, snapshot->seen)) {
        return KS_RES(OK);
    }
    refuse(copy, record->key);
    return KS_RES(CORRUPT);
}

static ks_result decode_vouched(const struct ks_snapshot *snapshot, ks_bytes key, ks_bytes stored,
                                struct ks_store_record *ret_record)
{
    struct ks_store_record record;
    KS_TRY(ks_stored_decode(key, stored, &record));
    KS_TRY(vouched(snapshot, &record));
    *ret_record = record;
    return KS_RES(OK);
}

ks_result ks_snapshot_get(const struct ks_snapshot *snapshot, ks_bytes key,
                          struct ks_store_record *ret_record)
{
    ks_bytes stored;
    KS_TRY(noted_in(snapshot, ks_lmdb_get(snapshot->read, snapshot->copy->data, key, &stored)));
    return noted_in(snapshot, decode_vouched(snapshot, key, stored, ret_record));
}

static ks_result scan(const struct ks_snapshot *snapshot, ks_lmdb_db db,
                      const struct ks_lmdb_span *span, ks_snapshot_each *each, void *user)
{
    KS_LMDB_WALK_AUTO *walk = NULL;
    KS_TRY(ks_lmdb_walk_begin(snapshot->read, db, span, &walk));
    for (;;) {
        ks_bytes key;
        ks_bytes stored;
        struct ks_store_record record;
        ks_result next = ks_lmdb_walk_next(walk, &key, &stored);
        if (next.code == KS_NOT_FOUND) {
            return KS_RES(OK);
        }
        KS_TRY(next);
        KS_TRY(decode_vouched(snapshot, key, stored, &record));
        if (!each(user, &record)) {
            return KS_RES(OK);
        }
    }
}

ks_result ks_snapshot_scan(const struct ks_snapshot *snapshot, ks_bytes prefix, ks_bytes after,
                           ks_snapshot_each *each, void *user)
{
    struct ks_lmdb_span span = {.prefix = prefix, .start = after, .after_start = after.len > 0};
    return noted_in(snapshot, scan(snapshot, snapshot->copy->data, &span, each, user));
}

ks_result ks_snapshot_prefix(const struct ks_snapshot *snapshot, ks_bytes prefix,
                             int64_t *ret_newest, uint64_t *ret_count)
{
    assert(ks_index_keeps(prefix));

    struct ks_index_entry entry;
    int64_t floor = snapshot->position.floor;
    KS_TRY(
        noted_in(snapshot, ks_index_read(&snapshot->copy->index, snapshot->read, prefix, &entry)));
    *ret_newest = entry.newest > floor ? entry.newest : floor;
    *ret_count = entry.count;
    return KS_RES(OK);
}

static int64_t due_of(const struct ks_copy *copy, ks_bytes key, ks_bytes value)
{
    return copy->due_ms ? copy->due_ms(key, value) : 0;
}

/* One look at what is due. */
struct due_scan {
    const struct ks_snapshot *snapshot;
    int64_t until_ms;
    ks_snapshot_each *each;
    void *user;
    ks_result result;
};

/* What the index has of a record that was damaged when it was replaced may be out of date. */
static bool visit_due(void *user, ks_bytes key)
{
    struct due_scan *due = user;
    struct ks_store_record record;
    ks_result found = ks_snapshot_get(due->snapshot, key, &record);
    bool is_due =
        !ks_failed(found) && due_of(due->snapshot->copy, key, record.value) <= due->until_ms;
    if (found.code == KS_NOT_FOUND || (!ks_failed(found) && !is_due)) {
        return true;
    }
    due->result = found;
    return !ks_failed(found) && due->each(due->user, &record);
}

ks_result ks_snapshot_scan_due(const struct ks_snapshot *snapshot, ks_bytes root, int64_t until_ms,
                               ks_snapshot_each *each, void *user)
{
    struct due_scan due = {snapshot, until_ms, each, user, KS_RES(OK)};
    KS_TRY(noted_in(snapshot, ks_index_scan_due(&snapshot->copy->index, snapshot->read, root,
                                                until_ms, visit_due, &due)));
    return due.result;
}

/* What is known of one record. */
static ks_result tell_ordinal(const struct ks_snapshot *snapshot, ks_bytes key, ks_bytes stored,
                              ks_store_ordinal_each *each, void *user, bool *ret_more)
{
    struct ks_copy *copy = snapshot->copy;
    struct ks_store_record record = {.revision = 0};
    ks_bytes found;
    ks_result got = ks_lmdb_get(snapshot->read, copy->data, key, &found);
    if (stored.len != ORDINAL_LEN) {
        return KS_RES(CORRUPT);
    }
    if (got.code != KS_NOT_FOUND) {
        KS_TRY(got);
        KS_TRY(ks_stored_decode(key, found, &record));
    }
    uint64_t ordinal = ks_stored_get_u64(stored.ptr);
    uint64_t known = ks_ordinals_get(copy->known, ks_ordinals_hash(copy->known, key));
    *ret_more = each(user, key, known > ordinal ? known : ordinal, record.revision);
    return KS_RES(OK);
}

static ks_result scan_ordinals(const struct ks_snapshot *snapshot, ks_store_ordinal_each *each,
                               void *user)
{
    const struct ks_lmdb_span all = {.after_start = false};
    KS_LMDB_WALK_AUTO *walk = NULL;
    KS_TRY(ks_lmdb_walk_begin(snapshot->read, snapshot->copy->ordinals, &all, &walk));
    for (bool more = true; more;) {
        ks_bytes key;
        ks_bytes stored;
        ks_result next = ks_lmdb_walk_next(walk, &key, &stored);
        if (next.code == KS_NOT_FOUND) {
            return KS_RES(OK);
        }
        KS_TRY(next);
        KS_TRY(tell_ordinal(snapshot, key, stored, each, user, &more));
    }
    return KS_RES(OK);
}

ks_result ks_snapshot_scan_ordinals(const struct ks_snapshot *snapshot, ks_store_ordinal_each *each,
                                    void *user)
{
    return noted_in(snapshot, scan_ordinals(snapshot, each, user));
}

ks_result ks_snapshot_list(const struct ks_snapshot *snapshot, ks_snapshot_each *each, void *user)
{
    struct ks_lmdb_span all = {0};
    return noted_in(snapshot, scan(snapshot, snapshot->copy->list, &all, each, user));
}

/* ---- Changes ---- */

ks_result ks_copy_write_begin(struct ks_copy *copy, struct ks_copy_write *ret_write)
{
    KS_LMDB_WRITE_AUTO *txn = NULL;
    KS_TRY(ks_lmdb_write_begin(copy->env, &txn));
    ks_bytes stored = {0};
    ks_result found = ks_lmdb_write_get(txn, copy->meta, POSITION_KEY, &stored);
    struct ks_position position;
    KS_TRY(position_of(found, stored, &position));
    *ret_write = (struct ks_copy_write){.copy = copy, .txn = txn, .position = position};
    txn = NULL;
    return KS_RES(OK);
}

static ks_result put(struct ks_copy_write *write, ks_lmdb_db db,
                     const struct ks_store_record *record)
{
    assert(record->key.len <= KS_STORE_KEY_LEN_MAX);

    KS_BUFFER_AUTO stored = {.len_max = STORED_MAX};
    KS_TRY(ks_stored_encode(record, &stored));
    return ks_lmdb_put(write->txn, db, record->key, ks_buffer_bytes(&stored));
}

static ks_result note(struct ks_copy_write *write, ks_bytes key, enum ks_index_event event,
                      int64_t revision)
{
    return ks_index_note(&write->copy->index, write->txn, key, event, revision,
                         &write->position.floor);
}

/*
 * What the index has of a record as it stands. A damaged one has lost its due time: the copy is
 * condemned, and what the index keeps of it is passed over by who looks.
 * Fails: NOT_FOUND (there is no record), CORRUPT (LMDB found damage), INTERNAL.
 */
static ks_result due_before(struct ks_copy_write *write, ks_bytes key, int64_t *ret_due_ms)
{
    ks_bytes stored;
    struct ks_store_record record;
    KS_TRY(ks_lmdb_write_get(write->txn, write->copy->data, key, &stored));
    ks_result decoded = noted(write->copy, ks_stored_decode(key, stored, &record));
    *ret_due_ms = ks_failed(decoded) ? 0 : due_of(write->copy, key, record.value);
    return KS_RES(OK);
}

static ks_result fine_if_absent(ks_result deleted)
{
    return deleted.code == KS_NOT_FOUND ? KS_RES(OK) : deleted;
}

/* ---- The guard ---- */

#define UNREADABLE KS_LITERAL("\xff") /* no message */

struct ks_store_held {
    struct ks_copy_write *write;
    int64_t revision; /* of the change */
};

static ks_result remove_record(struct ks_copy_write *write, ks_bytes key, int64_t revision);

bool ks_store_held_is_loading(const struct ks_store_held *held)
{
    return held->write->position.loading;
}

/* The file has what this change brings, and memory what the file had. */
uint64_t ks_store_held_ordinal(const struct ks_store_held *held, ks_bytes key)
{
    const struct ks_copy *copy = held->write->copy;
    ks_bytes stored;
    bool found = !ks_failed(ks_lmdb_write_get(held->write->txn, copy->ordinals, key, &stored)) &&
                 stored.len == ORDINAL_LEN;
    uint64_t ordinal = found ? ks_stored_get_u64(stored.ptr) : 0;
    uint64_t known = held->write->ordinals.forgets
                         ? 0
                         : ks_ordinals_get(copy->known, ks_ordinals_hash(copy->known, key));
    return known > ordinal ? known : ordinal;
}

ks_result ks_store_held_get(const struct ks_store_held *held, ks_bytes key, ks_bytes *ret_value)
{
    struct ks_store_record record;
    KS_TRY(ks_copy_find(held->write, key, &record));
    *ret_value = record.value;
    return KS_RES(OK);
}

static ks_result forget_ordinal(struct ks_copy_write *write, ks_bytes key)
{
    return write->copy->guard
               ? fine_if_absent(ks_lmdb_delete(write->txn, write->copy->ordinals, key))
               : KS_RES(OK);
}

ks_result ks_store_held_remove(struct ks_store_held *held, ks_bytes key)
{
    KS_TRY(forget_ordinal(held->write, key));
    return remove_record(held->write, key, held->revision);
}

static void remember(struct ks_copy_write *write, ks_bytes key, uint64_t ordinal, int64_t revision)
{
    struct ks_copy_ordinals *ordinals = &write->ordinals;
    if (ordinals->count == ordinals->count_max) {
        ordinals->count_max = ordinals->count_max == 0 ? ORDINALS_MIN : 2 * ordinals->count_max;
        ordinals->items =
            ks_realloc(ordinals->items, ordinals->count_max, sizeof(*ordinals->items));
    }
    ordinals->items[ordinals->count++] =
        (struct ks_copy_ordinal){ks_ordinals_hash(write->copy->known, key), ordinal, revision};
}

/* Asks about a change. ret_made: whether it is to be made; its ordinal is remembered then. */
static ks_result ask(struct ks_copy_write *write, ks_bytes key, ks_bytes value, int64_t revision,
                     bool *ret_made)
{
    struct ks_copy *copy = write->copy;
    struct ks_store_held held = {write, revision};
    uint64_t ordinal = 0;
    uint8_t stored[ORDINAL_LEN];
    *ret_made = !copy->guard || copy->guard(&held, key, value, &ordinal);
    if (!*ret_made) {
        refuse(copy, key);
        return KS_RES(OK);
    }
    if (ordinal == 0) {
        return value.ptr ? KS_RES(OK) : forget_ordinal(write, key);
    }
    remember(write, key, ordinal, revision);
    ks_stored_put_u64(stored, ordinal);
    return ks_lmdb_put(write->txn, copy->ordinals, key, (ks_bytes){stored, sizeof(stored)});
}

ks_result ks_copy_forget_ordinals(struct ks_copy_write *write)
{
    write->ordinals.forgets = true;
    write->ordinals.count = 0;
    return ks_lmdb_clear(write->txn, write->copy->ordinals);
}

bool ks_copy_raise_ordinal(struct ks_copy *copy, ks_bytes key, uint64_t ordinal)
{
    return ks_ordinals_raise(copy->known, ks_ordinals_hash(copy->known, key), ordinal, 0);
}

uint64_t ks_copy_ordinal(struct ks_copy *copy, ks_bytes key)
{
    return ks_ordinals_get(copy->known, ks_ordinals_hash(copy->known, key));
}

ks_result ks_copy_tell_missing(struct ks_copy *copy)
{
    KS_LMDB_READ_AUTO *read = NULL;
    KS_LMDB_WALK_AUTO *walk = NULL;
    const struct ks_lmdb_span all = {.after_start = false};
    KS_TRY(ks_lmdb_read_begin(copy->env, &read));
    KS_TRY(ks_lmdb_walk_begin(read, copy->ordinals, &all, &walk));
    ks_bytes key;
    ks_bytes value;
    ks_result result = ks_lmdb_walk_next(walk, &key, &value);
    while (copy->guard && !ks_failed(result)) {
        if (ks_lmdb_get(read, copy->data, key, &value).code == KS_NOT_FOUND) {
            refuse(copy, key);
        }
        result = ks_lmdb_walk_next(walk, &key, &value);
    }
    return fine_if_absent(result);
}

uint64_t ks_copy_refused_count(const struct ks_copy *copy)
{
    return atomic_load(&copy->refused);
}

ks_result ks_copy_put(struct ks_copy_write *write, ks_bytes key, ks_bytes value, int64_t revision)
{
    struct ks_store_record record = {key, value, revision};
    int64_t before_ms = 0;
    bool made = true;
    KS_TRY(ask(write, key, value, revision, &made));
    if (!made && !write->position.loading) {
        return KS_RES(OK);
    }
    record.value = made ? value : UNREADABLE;
    ks_result found = due_before(write, key, &before_ms);
    if (ks_failed(found) && found.code != KS_NOT_FOUND) {
        return found;
    }
    KS_TRY(put(write, write->copy->data, &record));
    KS_TRY(ks_index_note_due(&write->copy->index, write->txn, key, before_ms,
                             due_of(write->copy, key, record.value)));
    return note(write, key, ks_failed(found) ? KS_INDEX_ADDED : KS_INDEX_CHANGED, revision);
}

ks_result ks_copy_list_put(struct ks_copy_write *write, ks_bytes id, ks_bytes value,
                           int64_t revision)
{
    struct ks_store_record record = {id, value, revision};
    return put(write, write->copy->list, &record);
}

ks_result ks_copy_delete(struct ks_copy_write *write, ks_bytes key, int64_t revision)
{
    bool made = true;
    KS_TRY(ask(write, key, (ks_bytes){0}, revision, &made));
    return made ? remove_record(write, key, revision) : KS_RES(OK);
}

static ks_result remove_record(struct ks_copy_write *write, ks_bytes key, int64_t revision)
{
    int64_t before_ms = 0;
    ks_result found = due_before(write, key, &before_ms);
    if (ks_failed(found)) {
        return fine_if_absent(found);
    }
    KS_TRY(ks_lmdb_delete(write->txn, write->copy->data, key));
    KS_TRY(ks_index_note_due(&write->copy->index, write->txn, key, before_ms, 0));
    return note(write, key, KS_INDEX_REMOVED, revision);
}

ks_result ks_copy_delete_prefix(struct ks_copy_write *write, ks_bytes prefix, int64_t revision,
                                void (*each)(void *user, ks_bytes key), void *user)
{
    for (;;) {
        ks_bytes first;
        uint8_t key[KS_LMDB_KEY_MAX];
        ks_result found = ks_lmdb_write_first(write->txn, write->copy->data, prefix, &first);
        if (ks_failed(found)) {
            return fine_if_absent(found);
        }
        memcpy(key, first.ptr, first.len);
        const ks_bytes copied = {key, first.len};
        KS_TRY(remove_record(write, copied, revision));
        each(user, copied);
    }
}

ks_result ks_copy_list_delete(struct ks_copy_write *write, ks_bytes id)
{
    return fine_if_absent(ks_lmdb_delete(write->txn, write->copy->list, id));
}

ks_result ks_copy_find(struct ks_copy_write *write, ks_bytes key,
                       struct ks_store_record *ret_record)
{
    ks_bytes stored;
    KS_TRY(ks_lmdb_write_get(write->txn, write->copy->data, key, &stored));
    return ks_stored_decode(key, stored, ret_record);
}

/* Gives the newest revision at which the record is known, or is known to be deleted; 0: neither. */
static ks_result newest_known(struct ks_copy_write *write, ks_bytes key, int64_t *ret_revision)
{
    struct ks_store_record record;
    ks_bytes deleted;
    ks_result found = ks_copy_find(write, key, &record);
    if (found.code != KS_NOT_FOUND) {
        KS_TRY(found);
        *ret_revision = record.revision;
        return KS_RES(OK);
    }
    found = ks_lmdb_write_get(write->txn, write->copy->gone, key, &deleted);
    if (found.code == KS_NOT_FOUND) {
        *ret_revision = 0;
        return KS_RES(OK);
    }
    KS_TRY(found);
    if (deleted.len != 8) {
        return KS_RES(CORRUPT);
    }
    *ret_revision = (int64_t)ks_stored_get_u64(deleted.ptr);
    return KS_RES(OK);
}

ks_result ks_copy_put_newer(struct ks_copy_write *write, ks_bytes key, ks_bytes value,
                            int64_t revision)
{
    int64_t known = 0;
    KS_TRY(newest_known(write, key, &known));
    return revision > known ? ks_copy_put(write, key, value, revision) : KS_RES(OK);
}

ks_result ks_copy_delete_newer(struct ks_copy_write *write, ks_bytes key, int64_t revision)
{
    int64_t known = 0;
    uint8_t deleted[8];
    KS_TRY(newest_known(write, key, &known));
    if (revision <= known) {
        return KS_RES(OK);
    }
    KS_TRY(ks_copy_delete(write, key, revision));
    ks_stored_put_u64(deleted, (uint64_t)revision);
    return ks_lmdb_put(write->txn, write->copy->gone, key, (ks_bytes){deleted, sizeof(deleted)});
}

ks_result ks_copy_forget_deletions(struct ks_copy_write *write)
{
    return ks_lmdb_clear(write->txn, write->copy->gone);
}

ks_result ks_copy_clear(struct ks_copy_write *write)
{
    KS_TRY(ks_lmdb_clear(write->txn, write->copy->data));
    KS_TRY(ks_lmdb_clear(write->txn, write->copy->list));
    KS_TRY(ks_lmdb_clear(write->txn, write->copy->gone));
    KS_TRY(ks_index_clear(&write->copy->index, write->txn));
    return ks_lmdb_clear(write->txn, write->copy->meta);
}

/* The ordinals before the position: who sees that the copy has come there compares with them. */
static void know_committed(const struct ks_copy_write *write)
{
    struct ks_copy *copy = write->copy;
    if (write->ordinals.forgets) {
        ks_ordinals_clear(copy->known);
    }
    for (size_t i = 0; i < write->ordinals.count; i++) {
        const struct ks_copy_ordinal *item = &write->ordinals.items[i];
        (void)ks_ordinals_raise(copy->known, item->hash, item->ordinal, item->revision);
    }
    atomic_store(&copy->seen, write->position.applied);
}

ks_result ks_copy_commit(struct ks_copy_write *write)
{
    uint8_t position[POSITION_LEN];
    encode_position(&write->position, position);
    ks_result stored = ks_lmdb_put(write->txn, write->copy->meta, POSITION_KEY,
                                   (ks_bytes){position, sizeof(position)});
    if (ks_failed(stored)) {
        ks_copy_abort(write);
        return stored;
    }
    struct ks_lmdb_write *txn = write->txn;
    write->txn = NULL;
    ks_result committed = ks_lmdb_commit(txn);
    if (!ks_failed(committed)) {
        know_committed(write);
    }
    ks_copy_abort(write);
    return committed;
}

void ks_copy_abort(struct ks_copy_write *write)
{
    ks_lmdb_abort(write->txn);
    write->txn = NULL;
    ks_free(write->ordinals.items);
    write->ordinals = (struct ks_copy_ordinals){.count = 0};
}
