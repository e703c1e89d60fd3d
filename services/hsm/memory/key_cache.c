#include "services/hsm/memory/key_cache.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/ekt/ekt.h"

struct entry {
    struct ks_loaded_key loaded; /* key NULL: empty */
    uint64_t used;               /* the cache's tick at the last use */
    size_t ekt_len;
    size_t binding_len;
    uint8_t material_id[KS_MATERIAL_ID_LEN];
    uint8_t ekt[KS_EKT_LEN_MAX];
    uint8_t binding[KS_BINDING_LEN_MAX];
};

struct ks_key_cache {
    uint64_t tick;
    size_t bucket_count; /* a power of two */
    struct entry entries[];
};

static_assert(sizeof(struct entry) < KS_KEY_CACHE_ENTRY_B, "an entry and its HMAC schedule fit");

struct ks_key_cache *ks_key_cache_new(size_t entries)
{
    assert(entries >= KS_KEY_CACHE_MIN && entries <= KS_KEY_CACHE_MAX);

    size_t count = KS_KEY_CACHE_MIN;
    while (count < entries) {
        count *= 2;
    }
    struct ks_key_cache *cache = ks_alloc(1, sizeof(*cache) + count * sizeof(struct entry));
    cache->bucket_count = count / KS_KEY_CACHE_WAYS;
    return cache;
}

static size_t entry_count(const struct ks_key_cache *cache)
{
    return cache->bucket_count * KS_KEY_CACHE_WAYS;
}

static void wipe(struct entry *entry)
{
    if (entry->loaded.key) {
        entry->loaded.unload(entry->loaded.key);
    }
    ks_wipe(entry, sizeof(*entry));
}

void ks_key_cache_free(struct ks_key_cache *cache)
{
    if (!cache) {
        return;
    }
    for (size_t i = 0; i < entry_count(cache); i++) {
        wipe(&cache->entries[i]);
    }
    ks_free(cache);
}

static struct entry *bucket_of(struct ks_key_cache *cache, const uint8_t *material_id)
{
    uint64_t hash;
    memcpy(&hash, material_id, sizeof(hash));
    return &cache->entries[(hash & (cache->bucket_count - 1)) * KS_KEY_CACHE_WAYS];
}

static bool is_of(const struct entry *entry, const uint8_t *material_id)
{
    return entry->loaded.key && ks_bytes_equal((ks_bytes){entry->material_id, KS_MATERIAL_ID_LEN},
                                               (ks_bytes){material_id, KS_MATERIAL_ID_LEN});
}

static bool is(const struct entry *entry, const struct ks_key_cache_id *id)
{
    return is_of(entry, id->material_id) &&
           ks_bytes_equal((ks_bytes){entry->ekt, entry->ekt_len}, id->ekt) &&
           ks_bytes_equal((ks_bytes){entry->binding, entry->binding_len}, id->binding);
}

void *ks_key_cache_find(struct ks_key_cache *cache, const struct ks_key_cache_id *id)
{
    assert(cache && id->material_id);

    struct entry *bucket = bucket_of(cache, id->material_id);
    for (size_t i = 0; i < KS_KEY_CACHE_WAYS; i++) {
        if (is(&bucket[i], id)) {
            bucket[i].used = ++cache->tick;
            return bucket[i].loaded.key;
        }
    }
    return NULL;
}

/* The entry to write to: the same one, an empty one, or the one used longest ago. */
static struct entry *victim_of(struct entry *bucket, const struct ks_key_cache_id *id)
{
    struct entry *victim = &bucket[0];
    for (size_t i = 0; i < KS_KEY_CACHE_WAYS; i++) {
        if (is(&bucket[i], id)) {
            return &bucket[i];
        }
        if (bucket[i].used < victim->used) {
            victim = &bucket[i];
        }
    }
    return victim;
}

void ks_key_cache_put(struct ks_key_cache *cache, const struct ks_key_cache_id *id,
                      struct ks_loaded_key loaded)
{
    assert(cache && loaded.key && loaded.unload);
    assert(id->ekt.len <= KS_EKT_LEN_MAX && id->binding.len <= KS_BINDING_LEN_MAX);

    struct entry *entry = victim_of(bucket_of(cache, id->material_id), id);
    wipe(entry);
    entry->loaded = loaded;
    entry->used = ++cache->tick;
    entry->ekt_len = id->ekt.len;
    entry->binding_len = id->binding.len;
    memcpy(entry->material_id, id->material_id, KS_MATERIAL_ID_LEN);
    memcpy(entry->ekt, id->ekt.ptr, id->ekt.len);
    memcpy(entry->binding, id->binding.ptr, id->binding.len);
}

void ks_key_cache_evict(struct ks_key_cache *cache, const uint8_t *material_id)
{
    assert(cache && material_id);

    struct entry *bucket = bucket_of(cache, material_id);
    for (size_t i = 0; i < KS_KEY_CACHE_WAYS; i++) {
        if (is_of(&bucket[i], material_id)) {
            wipe(&bucket[i]);
        }
    }
}

void ks_key_cache_evict_generation(struct ks_key_cache *cache, uint32_t generation)
{
    assert(cache);

    for (size_t i = 0; i < entry_count(cache); i++) {
        struct entry *entry = &cache->entries[i];
        uint32_t held = 0;
        if (entry->loaded.key &&
            !ks_failed(ks_ekt_generation((ks_bytes){entry->ekt, entry->ekt_len}, &held)) &&
            held == generation) {
            wipe(entry);
        }
    }
}

size_t ks_key_cache_count(const struct ks_key_cache *cache)
{
    size_t count = 0;
    for (size_t i = 0; i < entry_count(cache); i++) {
        count += cache->entries[i].loaded.key != NULL;
    }
    return count;
}
