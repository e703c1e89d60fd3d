#include "services/hsm/memory/record_cache.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "pkg/base/mem.h"

struct entry {
    uint8_t *bytes; /* the name, then the record; NULL: empty */
    size_t name_len;
    size_t record_len;
    uint64_t used; /* the cache's tick at the last use */
};

struct ks_record_cache {
    uint64_t tick;
    size_t bucket_count; /* a power of two */
    struct entry entries[];
};

static_assert(sizeof(struct entry) + KS_RECORD_CACHE_LEN_MAX + 64 <= KS_RECORD_CACHE_ENTRY_B,
              "an entry, its bytes and what the allocator adds");

struct ks_record_cache *ks_record_cache_new(size_t entries)
{
    assert(entries >= KS_RECORD_CACHE_WAYS);

    size_t count = KS_RECORD_CACHE_WAYS;
    while (count < entries) {
        count *= 2;
    }
    struct ks_record_cache *cache = ks_alloc(1, sizeof(*cache) + count * sizeof(struct entry));
    cache->bucket_count = count / KS_RECORD_CACHE_WAYS;
    return cache;
}

static void empty(struct entry *entry)
{
    ks_free(entry->bytes);
    *entry = (struct entry){.bytes = NULL};
}

void ks_record_cache_clear(struct ks_record_cache *cache)
{
    for (size_t i = 0; i < cache->bucket_count * KS_RECORD_CACHE_WAYS; i++) {
        empty(&cache->entries[i]);
    }
}

void ks_record_cache_free(struct ks_record_cache *cache)
{
    if (cache) {
        ks_record_cache_clear(cache);
        ks_free(cache);
    }
}

static struct entry *bucket_of(struct ks_record_cache *cache, ks_bytes record)
{
    uint64_t hash = 0;
    size_t len = record.len < sizeof(hash) ? record.len : sizeof(hash);
    memcpy(&hash, record.ptr + record.len - len, len);
    return &cache->entries[(hash & (cache->bucket_count - 1)) * KS_RECORD_CACHE_WAYS];
}

static bool is(const struct entry *entry, ks_bytes name, ks_bytes record)
{
    return entry->bytes && ks_bytes_equal((ks_bytes){entry->bytes, entry->name_len}, name) &&
           ks_bytes_equal((ks_bytes){entry->bytes + entry->name_len, entry->record_len}, record);
}

bool ks_record_cache_find(struct ks_record_cache *cache, ks_bytes name, ks_bytes record)
{
    assert(cache);

    if (record.len == 0) {
        return false;
    }
    struct entry *bucket = bucket_of(cache, record);
    for (size_t i = 0; i < KS_RECORD_CACHE_WAYS; i++) {
        if (is(&bucket[i], name, record)) {
            bucket[i].used = ++cache->tick;
            return true;
        }
    }
    return false;
}

void ks_record_cache_put(struct ks_record_cache *cache, ks_bytes name, ks_bytes record)
{
    assert(cache);

    if (record.len == 0 || name.len + record.len > KS_RECORD_CACHE_LEN_MAX ||
        ks_record_cache_find(cache, name, record)) {
        return;
    }
    struct entry *bucket = bucket_of(cache, record);
    struct entry *victim = &bucket[0];
    for (size_t i = 1; i < KS_RECORD_CACHE_WAYS; i++) {
        victim = bucket[i].used < victim->used ? &bucket[i] : victim;
    }
    empty(victim);
    victim->bytes = ks_alloc(1, name.len + record.len);
    memcpy(victim->bytes, name.ptr, name.len);
    memcpy(victim->bytes + name.len, record.ptr, record.len);
    victim->name_len = name.len;
    victim->record_len = record.len;
    victim->used = ++cache->tick;
}
