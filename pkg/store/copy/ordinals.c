#include "pkg/store/copy/ordinals.h"

#include <pthread.h>

#include "pkg/base/hash.h"
#include "pkg/base/mem.h"
#include "pkg/crypto/random.h"

#define PLACES_MIN 1024U

struct entry {
    uint64_t hash; /* 0: the place is free */
    uint64_t ordinal;
    int64_t revision;
};

struct ks_ordinals {
    struct ks_hash_key key; /* constant */
    pthread_mutex_t lock;   /* guards the rest */
    struct entry *entries;
    size_t place_count; /* a power of two, at least twice as many as are used */
    size_t used_count;
};

ks_result ks_ordinals_new(struct ks_ordinals **ret_ordinals)
{
    struct ks_hash_key key;
    KS_TRY(ks_random_public((uint8_t *)&key, sizeof(key)));
    struct ks_ordinals *ordinals = ks_alloc(1, sizeof(*ordinals));
    ordinals->key = key;
    ordinals->place_count = PLACES_MIN;
    ordinals->entries = ks_alloc(PLACES_MIN, sizeof(*ordinals->entries));
    pthread_mutex_init(&ordinals->lock, NULL);
    *ret_ordinals = ordinals;
    return KS_RES(OK);
}

void ks_ordinals_free(struct ks_ordinals *ordinals)
{
    if (ordinals) {
        pthread_mutex_destroy(&ordinals->lock);
        ks_free(ordinals->entries);
        ks_free(ordinals);
    }
}

uint64_t ks_ordinals_hash(const struct ks_ordinals *ordinals, ks_bytes key)
{
    uint64_t hash = ks_hash(&ordinals->key, &key, 1);
    return hash == 0 ? 1 : hash;
}

/* The place of a hash, or the free one where it belongs. */
static struct entry *find(struct entry *entries, size_t place_count, uint64_t hash)
{
    size_t place = hash & (place_count - 1);
    while (entries[place].hash != 0 && entries[place].hash != hash) {
        place = (place + 1) & (place_count - 1);
    }
    return &entries[place];
}

/* With the lock. */
static void grow(struct ks_ordinals *ordinals)
{
    size_t place_count = 2 * ordinals->place_count;
    struct entry *entries = ks_alloc(place_count, sizeof(*entries));
    for (size_t i = 0; i < ordinals->place_count; i++) {
        const struct entry *entry = &ordinals->entries[i];
        if (entry->hash != 0) {
            *find(entries, place_count, entry->hash) = *entry;
        }
    }
    ks_free(ordinals->entries);
    ordinals->entries = entries;
    ordinals->place_count = place_count;
}

/* With the lock. */
static bool raise_entry(struct ks_ordinals *ordinals, const struct entry *to)
{
    struct entry *entry = find(ordinals->entries, ordinals->place_count, to->hash);
    bool was_lower = to->ordinal > entry->ordinal;
    if (was_lower) {
        ordinals->used_count += entry->hash == 0;
        *entry = *to;
    }
    if (2 * ordinals->used_count > ordinals->place_count) {
        grow(ordinals);
    }
    return was_lower;
}

uint64_t ks_ordinals_get(struct ks_ordinals *ordinals, uint64_t hash)
{
    pthread_mutex_lock(&ordinals->lock);
    uint64_t ordinal = find(ordinals->entries, ordinals->place_count, hash)->ordinal;
    pthread_mutex_unlock(&ordinals->lock);
    return ordinal;
}

bool ks_ordinals_raise(struct ks_ordinals *ordinals, uint64_t hash, uint64_t ordinal,
                       int64_t revision)
{
    const struct entry to = {hash, ordinal, revision};
    pthread_mutex_lock(&ordinals->lock);
    bool was_lower = raise_entry(ordinals, &to);
    pthread_mutex_unlock(&ordinals->lock);
    return was_lower;
}

bool ks_ordinals_admit(struct ks_ordinals *ordinals, uint64_t hash, uint64_t ordinal,
                       int64_t revision)
{
    pthread_mutex_lock(&ordinals->lock);
    const struct entry *entry = find(ordinals->entries, ordinals->place_count, hash);
    bool admitted = ordinal >= entry->ordinal || entry->revision > revision;
    pthread_mutex_unlock(&ordinals->lock);
    return admitted;
}

void ks_ordinals_clear(struct ks_ordinals *ordinals)
{
    pthread_mutex_lock(&ordinals->lock);
    ks_free(ordinals->entries);
    ordinals->place_count = PLACES_MIN;
    ordinals->used_count = 0;
    ordinals->entries = ks_alloc(PLACES_MIN, sizeof(*ordinals->entries));
    pthread_mutex_unlock(&ordinals->lock);
}
