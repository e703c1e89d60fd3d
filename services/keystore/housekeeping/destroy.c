#include "services/keystore/housekeeping/destroy.h"

#include <string.h>

#include "pkg/base/arena.h"
#include "pkg/base/log.h"
#include "services/keystore/operations/quota.h"
#include "services/keystore/records/key.h"
#include "services/keystore/worker/sync.h"

#define ARENA_LEN_MAX (1024U * 1024U)

/* Each alias takes a compare and two ops of a mutation, and the key a compare. */
#define ALIASES_A_STEP (KS_STORE_OPS_MAX / 2 - 1)

/*
 * Grants that go in one revision with the key; a key with more loses them before, those whose ids
 * begin with the same hex digit at a time: 50,000 are 16 steps. A revision is one event for each
 * record, and every keystore applies it as a whole.
 */
#define GRANTS_A_STEP 4096U
#define GRANT_STEPS   16U
#define STEPS_MAX     (KS_QUOTA_ALIASES / ALIASES_A_STEP + 1 + GRANT_STEPS + 1)

/* A key in one view, with some of its aliases and the first of its grants. */
struct doomed {
    struct ks_arena arena;
    STORED(KeyRecord) * key;
    int64_t key_revision;
    const char *aliases[ALIASES_A_STEP];
    size_t alias_count;
    struct ks_name grants; /* the prefix, */
    uint64_t grant_count;
    struct ks_name first_grants; /* and that of those with the first digit */
    ks_result result;
};

static bool add_alias(void *user, const struct ks_store_record *record)
{
    struct doomed *doomed = user;
    ProtobufCMessage *message = NULL;
    if (doomed->alias_count == ALIASES_A_STEP) {
        return false;
    }
    doomed->result =
        ks_record_read(STORED_TYPE(key_alias_record), record->value, &doomed->arena, &message);
    if (ks_failed(doomed->result)) {
        return false;
    }
    doomed->aliases[doomed->alias_count++] = ((const STORED(KeyAliasRecord) *)message)->name;
    return true;
}

static bool take_first_grant(void *user, const struct ks_store_record *record)
{
    struct doomed *doomed = user;
    struct ks_name *first = &doomed->first_grants;
    *first = doomed->grants;
    if (record->key.len > first->len && first->len + 1 < sizeof(first->text)) {
        first->text[first->len] = (char)record->key.ptr[first->len];
        first->text[++first->len] = '\0';
    }
    return false;
}

static ks_result read_grants(const struct ks_store_view *view, struct doomed *doomed)
{
    int64_t newest;
    doomed->grants = ks_name_grants(doomed->key->account, doomed->key->key_id);
    ks_bytes prefix = ks_name_bytes(&doomed->grants);
    KS_TRY(ks_store_prefix(view, prefix, &newest, &doomed->grant_count));
    return ks_store_scan(view, prefix, (ks_bytes){0}, take_first_grant, doomed);
}

/* With the compares of what it found. */
static ks_result read_doomed(const struct ks_store_view *view, const struct ks_name *name,
                             struct doomed *doomed, struct ks_change *change)
{
    struct ks_store_record record;
    KS_TRY(ks_store_get(view, ks_name_bytes(name), &record));
    KS_TRY(ks_record_read_key(record.value, &doomed->arena, &doomed->key));
    ks_change_compare(change, ks_name_bytes(name), record.revision);

    KS_TRY(read_grants(view, doomed));
    struct ks_name prefix = ks_name_key_aliases(doomed->key->account, doomed->key->key_id);
    KS_TRY(ks_store_scan(view, ks_name_bytes(&prefix), (ks_bytes){0}, add_alias, doomed));
    KS_TRY(doomed->result);
    for (size_t i = 0; i < doomed->alias_count; i++) {
        struct ks_name alias = ks_name_alias(doomed->key->account, doomed->aliases[i]);
        KS_TRY(ks_store_get(view, ks_name_bytes(&alias), &record));
        ks_change_compare(change, ks_name_bytes(&alias), record.revision);
    }
    return KS_RES(OK);
}

static void delete_aliases(const struct doomed *doomed, struct ks_change *change)
{
    const STORED(KeyRecord) *key = doomed->key;
    for (size_t i = 0; i < doomed->alias_count; i++) {
        struct ks_name alias = ks_name_alias(key->account, doomed->aliases[i]);
        struct ks_name of_key = ks_name_key_alias(key->account, key->key_id, doomed->aliases[i]);
        ks_change_delete(change, ks_name_bytes(&alias));
        ks_change_delete(change, ks_name_bytes(&of_key));
    }
}

static void delete_key(struct doomed *doomed, const struct ks_name *name, int64_t now_ms,
                       struct ks_change *change)
{
    const STORED(KeyRecord) *key = doomed->key;
    char **ids = ks_arena_alloc(&doomed->arena, key->n_materials * sizeof(*ids));
    STORED(DestroyedKeyRecord) destroyed = STORED_NEW(DESTROYED_KEY_RECORD);
    destroyed.format = KS_RECORD_FORMAT;
    destroyed.destroyed_at_ms = now_ms;
    destroyed.material_ids = ids;
    for (size_t i = 0; ids && i < key->n_materials; i++) {
        ids[destroyed.n_material_ids++] = key->materials[i]->material_id;
    }
    struct ks_name tomb = ks_name_destroyed(key->account, key->key_id);
    const struct ks_name directories[] = {
        ks_name_key_aliases(key->account, key->key_id),
        doomed->grants,
        ks_name_materials(key->account, key->key_id),
    };
    for (size_t i = 0; i < KS_COUNT(directories); i++) {
        ks_change_delete_prefix(change, ks_name_bytes(&directories[i]));
    }
    struct ks_name gate = ks_name_gate(&directories[0]);
    struct ks_name policy = ks_name_policy(key->account, key->key_id);
    ks_change_delete(change, ks_name_bytes(name));
    ks_change_delete(change, ks_name_bytes(&gate));
    ks_change_delete(change, ks_name_bytes(&policy));
    ks_change_put(change, ks_name_bytes(&tomb), &destroyed.base);
}

/* Adds what the present step deletes. Returns whether that is the key. */
static bool delete_next(struct doomed *doomed, const struct ks_name *name, int64_t now_ms,
                        struct ks_change *change)
{
    if (doomed->alias_count > 0) {
        delete_aliases(doomed, change);
        return false;
    }
    if (doomed->grant_count > GRANTS_A_STEP) {
        ks_change_delete_prefix(change, ks_name_bytes(&doomed->first_grants));
        return false;
    }
    delete_key(doomed, name, now_ms, change);
    return true;
}

/* Aliases, many grants, or the key itself once it has none. ret_done: it was the key. */
static ks_result take_step(struct ks_store *store, const struct ks_name *name, int64_t now_ms,
                           bool *ret_done)
{
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    struct doomed doomed = {.arena = {.len_max = ARENA_LEN_MAX}};
    struct ks_store_view view = {0};
    ks_result result = ks_store_peek(store, &view);
    if (!ks_failed(result)) {
        result = read_doomed(&view, name, &doomed, &change);
    }
    ks_store_view_close(&view);
    if (!ks_failed(result) &&
        (doomed.key->state != STORED_ENUM(KEY_STATE__KEY_STATE_PENDING_DELETION) ||
         doomed.key->deletion_at_ms > now_ms)) {
        result = KS_RES(INVALID_STATE);
    }
    if (!ks_failed(result)) {
        change.mutation.room = KS_STORE_WITHDRAWS;
        *ret_done = delete_next(&doomed, name, now_ms, &change);
        result = ks_sync_commit(store, &change, NULL);
    }
    if (!ks_failed(result) && *ret_done) {
        ks_log(INFO, "key destroyed", KS_TEXT("account", doomed.key->account),
               KS_TEXT("key_id", doomed.key->key_id));
    }
    ks_arena_done(&doomed.arena);
    return result;
}

ks_result ks_destroy_key(struct ks_store *store, const struct ks_name *name, int64_t now_ms)
{
    bool done = false;
    for (size_t i = 0; i < STEPS_MAX && !done; i++) {
        KS_TRY(take_step(store, name, now_ms, &done));
    }
    return done ? KS_RES(OK) : KS_RES(UNAVAILABLE);
}

/* Whether a failure says nothing about the keys that come next. */
static bool is_of_one_key(ks_result failure)
{
    return failure.code == KS_CONFLICT || failure.code == KS_NOT_FOUND ||
           failure.code == KS_INVALID_STATE || failure.code == KS_CORRUPT;
}

size_t ks_destroy_each(const struct ks_expired *expired,
                       ks_result (*destroy)(void *user, const struct ks_name *name), void *user)
{
    for (size_t i = 0; i < expired->count; i++) {
        const char *key = expired->records[i].key;
        struct ks_name name = {.len = strlen(key)};
        memcpy(name.text, key, name.len);
        ks_result result = destroy(user, &name);
        if (ks_failed(result)) {
            ks_log(WARN, "key not destroyed yet", KS_TEXT("name", key),
                   KS_TEXT("code", ks_code_name(result.code)));
        }
        if (ks_failed(result) && !is_of_one_key(result)) {
            return i + 1;
        }
    }
    return expired->count;
}
