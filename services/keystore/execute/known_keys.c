#include "services/keystore/execute/known_keys.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "pkg/base/arena.h"
#include "pkg/base/mem.h"
#include "pkg/store/store.h"
#include "services/keystore/hsmlink/about.h"
#include "services/keystore/records/key.h"

#define ARENA_LEN_MAX (4U * 1024U * 1024U) /* as a call may use */

struct entry {
    const char *account;
    const char *key_id;
    struct ks_known_key key;
};

struct ks_known_keys {
    atomic_size_t refs;
    struct ks_arena arena; /* records and names */
    size_t count;
    struct entry entries[KS_KNOWN_KEYS_MAX];
};

struct ks_known_keys *ks_known_keys_new(void)
{
    struct ks_known_keys *known = ks_alloc(1, sizeof(*known));
    known->arena.len_max = ARENA_LEN_MAX;
    atomic_init(&known->refs, 1);
    return known;
}

struct ks_known_keys *ks_known_keys_ref(struct ks_known_keys *known)
{
    atomic_fetch_add(&known->refs, 1);
    return known;
}

void ks_known_keys_unref(struct ks_known_keys *known)
{
    if (!known || atomic_fetch_sub(&known->refs, 1) != 1) {
        return;
    }
    ks_arena_done(&known->arena);
    ks_free(known);
}

const struct ks_known_key *ks_known_keys_find(const struct ks_known_keys *known,
                                              const char *account, const char *key_id)
{
    for (size_t i = 0; i < known->count; i++) {
        const struct entry *entry = &known->entries[i];
        if (strcmp(entry->key_id, key_id) == 0 && strcmp(entry->account, account) == 0) {
            return &entry->key;
        }
    }
    return NULL;
}

ks_result ks_known_keys_read(struct ks_known_keys *known, const struct ks_arn_home *home,
                             const char *key_id, const struct ks_store_record *record,
                             const struct ks_known_key **ret_key)
{
    if (known->count == KS_KNOWN_KEYS_MAX) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    struct entry *entry = &known->entries[known->count];
    STORED(KeyRecord) *read = NULL;
    KS_TRY(ks_record_read_key_at(record->key, record->value, &known->arena, &read));
    KS_TRY(ks_about_new(record->key, record->value, &known->arena, &entry->key.about));
    entry->account = ks_arena_dup(&known->arena, ks_bytes_of(home->account));
    entry->key_id = ks_arena_dup(&known->arena, ks_bytes_of(key_id));
    if (!entry->account || !entry->key_id) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    ks_arn_of_key(home, key_id, &entry->key.arn);
    entry->key.record = read;
    entry->key.revision = record->revision;
    known->count++;
    *ret_key = &entry->key;
    return KS_RES(OK);
}
