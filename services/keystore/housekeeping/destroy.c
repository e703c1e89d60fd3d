#include "services/keystore/housekeeping/destroy.h"

#include <string.h>

#include "pkg/base/arena.h"
#include "pkg/base/log.h"
#include "services/keystore/operations/quota.h"
#include "services/keystore/records/key.h"
#include "services/keystore/worker/sync.h"

#define ARENA_LEN_MAX (4U * 1024U * 1024U)

/* Each alias takes a compare and two ops of a mutation, and the key's record one of each. */
#define ALIASES_A_STEP ((KS_STORE_OPS_MAX - 1) / 2)

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
    struct ks_about *about; /* the key's record as it is stored */
    uint32_t generation;    /* that is current */
    size_t alias_count;     /* that go in this step: the last ones of the key's list */
    struct ks_name grants;  /* the prefix, */
    uint64_t grant_count;
    struct ks_name first_grants; /* and that of those with the first digit */
};

static ks_result read_current(const struct ks_store_view *view, struct doomed *doomed,
                              struct ks_change *change)
{
    ProtobufCMessage *message = NULL;
    int64_t revision = 0;
    KS_TRY(ks_record_load(view, KS_NAME_DOMAIN_CURRENT, STORED_TYPE(current_domain_key),
                          &doomed->arena, &message, &revision));
    doomed->generation = ((const STORED(CurrentDomainKey) *)message)->generation;
    ks_change_compare(change, KS_NAME_DOMAIN_CURRENT, revision);
    return KS_RES(OK);
}

static const char *alias_of(const struct doomed *doomed, size_t index)
{
    const STORED(KeyRecord) *key = doomed->key;
    return key->aliases[key->n_aliases - 1 - index]->name;
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

/*
 * With the compares of what it found. The key's record says what its aliases are; a record of one
 * that is missing keeps no key from being destroyed, and must be missing still.
 */
static ks_result read_doomed(const struct ks_store_view *view, const struct ks_name *name,
                             struct doomed *doomed, struct ks_change *change)
{
    struct ks_store_record record;
    KS_TRY(ks_store_get(view, ks_name_bytes(name), &record));
    KS_TRY(ks_record_read_key_at(record.key, record.value, &doomed->arena, &doomed->key));
    KS_TRY(ks_about_new(record.key, record.value, &doomed->arena, &doomed->about));
    ks_change_compare(change, ks_name_bytes(name), record.revision);
    KS_TRY(read_current(view, doomed, change));

    KS_TRY(read_grants(view, doomed));
    size_t count = doomed->key->n_aliases;
    doomed->alias_count = count < ALIASES_A_STEP ? count : ALIASES_A_STEP;
    for (size_t i = 0; i < doomed->alias_count; i++) {
        struct ks_name alias = ks_name_alias(doomed->key->account, alias_of(doomed, i));
        ks_result found = ks_store_get(view, ks_name_bytes(&alias), &record);
        if (ks_failed(found) && found.code != KS_NOT_FOUND) {
            return found;
        }
        int64_t revision = ks_failed(found) ? 0 : record.revision;
        ks_change_compare(change, ks_name_bytes(&alias), revision);
    }
    return KS_RES(OK);
}

/* The hsm makes the record that comes in the place of the key's. Nobody else can end a key. */
static ks_result seal(struct ks_hsm_link *link, struct doomed *doomed,
                      const STORED(KeyRecord) * after, ks_bytes *ret_record)
{
    KS_BUFFER_AUTO body = {.len_max = KS_STORE_VALUE_LEN_MAX};
    KS_TRY(ks_record_write(&after->base, &body));
    INTERNAL(HsmChange) one = INTERNAL_NEW(HSM_CHANGE);
    INTERNAL(HsmChange) * changes[] = {&one};
    INTERNAL(HsmSealRecords) wish = INTERNAL_NEW(HSM_SEAL_RECORDS);
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    one.previous = 1;
    one.body = ks_lend_bytes(ks_buffer_bytes(&body));
    wish.changes = changes;
    wish.n_changes = 1;
    wish.generation = doomed->generation;
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_SEAL_RECORDS);
    request.seal_records = &wish;
    const INTERNAL(HsmReply) *reply = NULL;
    KS_TRY(ks_sync_hsm_about(link, &request, doomed->about, &doomed->arena, &reply));
    if (reply->n_records != 1) {
        return KS_RES(INTERNAL);
    }
    *ret_record = ks_bytes_in(reply->records[0]);
    return KS_RES(OK);
}

static ks_result delete_aliases(struct ks_hsm_link *link, struct doomed *doomed,
                                const struct ks_name *name, struct ks_change *change)
{
    STORED(KeyRecord) after = *doomed->key;
    ks_bytes record = {0};
    after.n_aliases -= doomed->alias_count;
    KS_TRY(seal(link, doomed, &after, &record));
    ks_change_put_bytes(change, ks_name_bytes(name), record);
    for (size_t i = 0; i < doomed->alias_count; i++) {
        struct ks_name alias = ks_name_alias(after.account, alias_of(doomed, i));
        struct ks_name of_key = ks_name_key_alias(after.account, after.key_id, alias_of(doomed, i));
        ks_change_delete(change, ks_name_bytes(&alias));
        ks_change_delete(change, ks_name_bytes(&of_key));
    }
    return KS_RES(OK);
}

/* So that every hsm forgets it. */
static void put_destroyed(struct doomed *doomed, int64_t now_ms, struct ks_change *change)
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
    ks_change_put(change, ks_name_bytes(&tomb), &destroyed.base);
}

/* What belongs to the key alone. */
static void delete_belongings(const struct doomed *doomed, struct ks_change *change)
{
    const STORED(KeyRecord) *key = doomed->key;
    const struct ks_name directories[] = {
        ks_name_key_aliases(key->account, key->key_id),
        doomed->grants,
        ks_name_materials(key->account, key->key_id),
    };
    for (size_t i = 0; i < KS_COUNT(directories); i++) {
        ks_change_delete_prefix(change, ks_name_bytes(&directories[i]));
    }
    struct ks_name policy = ks_name_policy(key->account, key->key_id);
    ks_change_delete(change, ks_name_bytes(&policy));
}

/* The tombstone stands before the key goes: a key never goes without one. */
static ks_result delete_key(struct ks_hsm_link *link, struct doomed *doomed,
                            const struct ks_name *name, struct ks_change *change)
{
    STORED(KeyRecord) after = *doomed->key;
    ks_bytes record = {0};
    after.state = STORED_ENUM(KEY_STATE__KEY_STATE_DESTROYED);
    after.n_materials = 0;
    after.n_tags = 0;
    after.description = ks_lend_text("");
    KS_TRY(seal(link, doomed, &after, &record));
    struct ks_name gone = ks_name_gone_key(after.account, after.key_id);
    ks_change_put_bytes(change, ks_name_bytes(&gone), record);
    ks_change_delete(change, ks_name_bytes(name));
    return KS_RES(OK);
}

/* Fails: as ks_destroy_key; change then must not be committed. */
static ks_result prepare(struct ks_store *store, const struct ks_name *name, int64_t now_ms,
                         struct doomed *doomed, struct ks_change *change)
{
    KS_STORE_VIEW_AUTO view = {0};
    KS_TRY(ks_store_peek(store, &view));
    KS_TRY(read_doomed(&view, name, doomed, change));
    bool due = doomed->key->state == STORED_ENUM(KEY_STATE__KEY_STATE_PENDING_DELETION) &&
               doomed->key->deletion_at_ms <= now_ms;
    return due ? KS_RES(OK) : KS_RES(INVALID_STATE);
}

/*
 * Nothing goes on the word of a record that no hsm has made: of its aliases and grants, either.
 * Fails: CORRUPT (the record is not authentic), or as ks_sync_hsm.
 */
static ks_result check(struct ks_hsm_link *link, struct doomed *doomed)
{
    INTERNAL(HsmCheckRecords) wish = INTERNAL_NEW(HSM_CHECK_RECORDS);
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_CHECK_RECORDS);
    request.check_records = &wish;
    const INTERNAL(HsmReply) *reply = NULL;
    return ks_sync_hsm_about(link, &request, doomed->about, &doomed->arena, &reply);
}

/* Adds what the present step does. ret_done: it is the end of the key. Fails: as ks_destroy_key. */
static ks_result take_next(struct ks_hsm_link *link, struct doomed *doomed,
                           const struct ks_name *name, struct ks_change *change, bool *ret_done)
{
    *ret_done = false;
    if (doomed->alias_count > 0) {
        return delete_aliases(link, doomed, name, change);
    }
    if (doomed->grant_count > GRANTS_A_STEP) {
        ks_change_delete_prefix(change, ks_name_bytes(&doomed->first_grants));
        return KS_RES(OK);
    }
    *ret_done = true;
    return delete_key(link, doomed, name, change);
}

/* Aliases, many grants, or the key itself once it has none. ret_done: it was the key. */
static ks_result take_step(struct ks_store *store, struct ks_hsm_link *link,
                           const struct ks_name *name, int64_t now_ms, bool *ret_done)
{
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    struct doomed doomed = {.arena = {.len_max = ARENA_LEN_MAX}};
    ks_result result = prepare(store, name, now_ms, &doomed, &change);
    if (!ks_failed(result)) {
        result = check(link, &doomed);
    }
    if (!ks_failed(result)) {
        result = take_next(link, &doomed, name, &change, ret_done);
    }
    if (!ks_failed(result) && *ret_done) {
        put_destroyed(&doomed, now_ms, &change);
        delete_belongings(&doomed, &change);
    }
    if (!ks_failed(result)) {
        change.mutation.room = KS_STORE_WITHDRAWS;
        result = ks_sync_commit(store, &change, NULL);
    }
    if (!ks_failed(result) && *ret_done) {
        ks_log(INFO, "key destroyed", KS_TEXT("account", doomed.key->account),
               KS_TEXT("key_id", doomed.key->key_id));
    }
    ks_arena_done(&doomed.arena);
    return result;
}

ks_result ks_destroy_key(struct ks_store *store, struct ks_hsm_link *link,
                         const struct ks_name *name, int64_t now_ms)
{
    bool done = false;
    for (size_t i = 0; i < STEPS_MAX && !done; i++) {
        KS_TRY(take_step(store, link, name, now_ms, &done));
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
