#include "services/keystore/domain_keys/reseal.h"

#include <string.h>

#include "pkg/authentic/authentic.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/record/record.h"
#include "services/keystore/records/name.h"
#include "services/keystore/worker/sync.h"

#define ARENA_LEN_MAX (2U * 1024U * 1024U)

/* Everything that is sealed under a domain key, or has a MAC made with one. */
static const ks_bytes prefixes[] = {{(const uint8_t *)"key/", 4},
                                    {(const uint8_t *)"gone/key/", 9}};

struct ks_reseal {
    struct ks_store *store;
    struct ks_hsm_link *link;
    size_t prefix;                  /* of the records that are looked at */
    uint32_t current;               /* that the pass is about; 0: no pass has begun */
    struct ks_name after;           /* the last key looked at; empty: begin at the first */
    bool failed;                    /* a key could not be re-sealed: the pass proves nothing */
    uint64_t refused_count;         /* records of this pass that are damaged */
    struct ks_name refused;         /* the first of them */
    struct ks_reseal_progress last; /* of the pass before, for its refused records */
    unsigned pause_runs;            /* that are left to be waited for */
    uint32_t clean_below;
    uint64_t looked_at; /* keys, in this pass */
    uint64_t resealed;  /* of these */
};

/* Keys to be re-sealed, found in one step. */
struct found {
    struct ks_reseal *reseal;
    size_t looked_at;
    struct ks_name names[KS_RESEAL_KEYS_MAX];
    size_t count;
};

/* A damaged record is none that a pass can do anything about; it goes on with the next one. */
static void note_refused(struct ks_reseal *reseal, const struct ks_name *name)
{
    if (reseal->refused_count++ == 0) {
        reseal->refused = *name;
    }
    reseal->failed = true;
}

/* Materials are as old as the envelope, or older: both are made in one step, or the envelope later. */
static bool is_older(const struct ks_authentic *envelope, const STORED(KeyRecord) * key,
                     uint32_t current)
{
    bool older = envelope->generation < current;
    for (size_t i = 0; i < key->n_materials; i++) {
        older = older || key->materials[i]->generation < current;
    }
    return older;
}

/* A tombstone has no material, which ks_record_read_key asks for. */
static ks_result read_any(ks_bytes value, struct ks_arena *arena, struct ks_authentic *ret_envelope,
                          STORED(KeyRecord) * *ret_key)
{
    ProtobufCMessage *message = NULL;
    KS_TRY(ks_authentic_read(value, ret_envelope));
    KS_TRY(ks_record_read(STORED_TYPE(key_record), ret_envelope->body, arena, &message));
    *ret_key = (STORED(KeyRecord) *)message;
    return KS_RES(OK);
}

static bool look_at(void *user, const struct ks_store_record *record)
{
    struct found *found = user;
    struct ks_reseal *reseal = found->reseal;
    if (found->looked_at == KS_RESEAL_SCAN_MAX || found->count == KS_RESEAL_KEYS_MAX) {
        return false;
    }
    found->looked_at++;
    reseal->looked_at++;
    memcpy(reseal->after.text, record->key.ptr, record->key.len);
    reseal->after.text[record->key.len] = '\0';
    reseal->after.len = record->key.len;

    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    struct ks_authentic envelope;
    STORED(KeyRecord) *key = NULL;
    if (ks_failed(read_any(record->value, &arena, &envelope, &key)) ||
        envelope.generation > reseal->current) {
        note_refused(reseal, &reseal->after);
        return true;
    }
    if (is_older(&envelope, key, reseal->current)) {
        found->names[found->count++] = reseal->after;
    }
    return true;
}

static ks_result ask_hsm(struct ks_reseal *reseal, struct ks_about *about, struct ks_arena *arena,
                         ks_bytes *ret_record)
{
    INTERNAL(HsmReseal) ask = INTERNAL_NEW(HSM_RESEAL);
    ask.record = 1;
    ask.generation = reseal->current;
    INTERNAL(HsmRequest) request = INTERNAL_NEW(HSM_REQUEST);
    request.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_RESEAL);
    request.reseal = &ask;
    const INTERNAL(HsmReply) *reply = NULL;
    KS_TRY(ks_sync_hsm_about(reseal->link, &request, about, arena, &reply));
    if (reply->n_records != 1) {
        return KS_RES(INTERNAL);
    }
    *ret_record = ks_bytes_in(reply->records[0]);
    return KS_RES(OK);
}

/* The record as it stands, in arena, with the compare of its revision. */
static ks_result read_record(const struct ks_reseal *reseal, const struct ks_name *name,
                             struct ks_arena *arena, struct ks_about **ret_about,
                             struct ks_change *change)
{
    KS_STORE_VIEW_AUTO view = {0};
    struct ks_store_record record;
    KS_TRY(ks_store_peek(reseal->store, &view));
    KS_TRY(ks_store_get(&view, ks_name_bytes(name), &record));
    ks_change_compare(change, ks_name_bytes(name), record.revision);
    return ks_about_new(record.key, record.value, arena, ret_about);
}

/*
 * An hsm that is there, and does not have the generation that the record names, will never have it:
 * somebody else has written that number.
 */
static ks_result of_record(const struct ks_reseal *reseal, ks_result asked)
{
    bool is_generation = asked.code == KS_UNAVAILABLE && ks_hsm_link_is_open(reseal->link);
    return is_generation ? KS_RES(CORRUPT) : asked;
}

/*
 * Fails: CONFLICT (the key was changed meanwhile: the next pass meets it again), NOT_FOUND (it is
 * gone), UNAVAILABLE, THROTTLED (hsm or store: nothing is known of the record); anything else means
 * that the record is damaged.
 */
static ks_result reseal_key(struct ks_reseal *reseal, const struct ks_name *name)
{
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    struct ks_about *about = NULL;
    ks_bytes record = {0};
    KS_TRY(read_record(reseal, name, &arena, &about, &change));
    KS_TRY(of_record(reseal, ask_hsm(reseal, about, &arena, &record)));
    ks_change_put_bytes(&change, ks_name_bytes(name), record);
    return ks_sync_commit(reseal->store, &change, NULL);
}

static bool older_copies_stand(const struct ks_domain_records *records)
{
    for (size_t i = 0; i < records->copy_count; i++) {
        if (records->copies[i].generation < records->current.generation) {
            return true;
        }
    }
    return false;
}

static void begin_pass(struct ks_reseal *reseal, uint32_t current)
{
    reseal->current = current;
    reseal->prefix = 0;
    reseal->after = (struct ks_name){.len = 0};
    reseal->looked_at = 0;
    reseal->resealed = 0;
    reseal->failed = false;
    reseal->refused_count = 0;
}

/* Keys under older generations, from where the last step ended. Fails: UNAVAILABLE, CORRUPT. */
static ks_result find(struct ks_reseal *reseal, const struct ks_domain_records *records,
                      struct found *found)
{
    KS_STORE_VIEW_AUTO view = {0};
    struct ks_name after = reseal->after;
    KS_TRY(ks_store_peek(reseal->store, &view));
    if (view.revision < records->current.revision) {
        return KS_RES(UNAVAILABLE);
    }
    return ks_store_scan(&view, prefixes[reseal->prefix], ks_name_bytes(&after), look_at, found);
}

static bool ends_pass(ks_result result)
{
    return result.code == KS_UNAVAILABLE || result.code == KS_THROTTLED ||
           result.code == KS_LIMIT_EXCEEDED;
}

/* A key that was changed meanwhile is met again in the next pass; one that is gone needs nothing. */
static ks_result reseal_found(struct ks_reseal *reseal, const struct found *found)
{
    for (size_t i = 0; i < found->count; i++) {
        ks_result result = reseal_key(reseal, &found->names[i]);
        if (ends_pass(result)) {
            return result;
        }
        reseal->resealed += !ks_failed(result);
        reseal->failed = reseal->failed || result.code == KS_CONFLICT;
        if (ks_failed(result) && result.code != KS_CONFLICT && result.code != KS_NOT_FOUND) {
            note_refused(reseal, &found->names[i]);
        }
    }
    return KS_RES(OK);
}

/* Answers whether the pass has proved what it is for. */
static bool end_pass(struct ks_reseal *reseal)
{
    bool clean = !reseal->failed;
    if (clean) {
        reseal->clean_below = reseal->current;
        ks_log(INFO, "nothing is sealed under older domain keys any more",
               KS_NUMBER("generation", reseal->current));
    }
    reseal->last = (struct ks_reseal_progress){.generation = reseal->current,
                                               .refused_count = reseal->refused_count,
                                               .refused = reseal->refused};
    reseal->pause_runs = reseal->refused_count > 0 ? KS_RESEAL_PAUSE_RUNS : 0;
    begin_pass(reseal, 0);
    return clean;
}

bool ks_reseal_step(struct ks_reseal *reseal, const struct ks_domain_records *records)
{
    uint32_t current = records->current.generation;
    if (!older_copies_stand(records) || reseal->clean_below >= current) {
        return false;
    }
    if (reseal->current == 0 && reseal->pause_runs > 0) {
        reseal->pause_runs--;
        return false;
    }
    if (reseal->current != current) {
        begin_pass(reseal, current);
    }
    struct found *found = ks_alloc(1, sizeof(*found));
    found->reseal = reseal;
    ks_result result = find(reseal, records, found);
    if (!ks_failed(result)) {
        result = reseal_found(reseal, found);
    }
    bool more = found->looked_at == KS_RESEAL_SCAN_MAX || found->count == KS_RESEAL_KEYS_MAX;
    ks_free(found);
    if (ks_failed(result)) {
        begin_pass(reseal, 0);
        return false;
    }
    if (!more && reseal->prefix + 1 < KS_COUNT(prefixes)) {
        reseal->prefix++;
        reseal->after = (struct ks_name){.len = 0};
        return true;
    }
    return more || end_pass(reseal);
}

struct ks_reseal_progress ks_reseal_progress(const struct ks_reseal *reseal,
                                             const struct ks_domain_records *records)
{
    uint32_t current = records->current.generation;
    if (!older_copies_stand(records) || reseal->clean_below >= current) {
        return (struct ks_reseal_progress){.generation = 0};
    }
    struct ks_reseal_progress progress = {.generation = current,
                                          .looked_at = reseal->looked_at,
                                          .resealed = reseal->resealed,
                                          .refused_count = reseal->refused_count,
                                          .refused = reseal->refused};
    if (progress.refused_count == 0 && reseal->last.generation == current) {
        progress.refused_count = reseal->last.refused_count;
        progress.refused = reseal->last.refused;
    }
    return progress;
}

uint32_t ks_reseal_clean_below(const struct ks_reseal *reseal)
{
    return reseal->clean_below;
}

struct ks_reseal *ks_reseal_new(struct ks_store *store, struct ks_hsm_link *link)
{
    struct ks_reseal *reseal = ks_alloc(1, sizeof(*reseal));
    reseal->store = store;
    reseal->link = link;
    return reseal;
}

void ks_reseal_free(struct ks_reseal *reseal)
{
    ks_free(reseal);
}
