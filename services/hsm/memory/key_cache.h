/*
 * key_cache: keys that were unsealed before, in a memory of fixed size, so that an EKT is opened
 * for its first request and not for each one.
 *
 * An entry answers only for exactly the EKT and the binding that it was opened with. Material ids
 * are spread evenly (they are a KDF's output), so each has a bucket of KS_KEY_CACHE_WAYS places;
 * when that is full, the one used longest ago is wiped.
 *
 * Threads: one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"

#define KS_KEY_CACHE_WAYS    8U
#define KS_KEY_CACHE_MIN     64U
#define KS_KEY_CACHE_MAX     65536U /* entries */
#define KS_KEY_CACHE_ENTRY_B 2048U  /* bytes that an entry takes at most, OpenSSL's part included */

struct ks_key_cache;

/* A key that is ready to be used. Only its spec (services/hsm/specs) knows what key points to. */
struct ks_loaded_key {
    void *key;
    void (*unload)(void *key); /* wipes and frees key */
};

/*
 * Makes a cache with room for entries, rounded up to a power of two; never NULL. Free with
 * ks_key_cache_free.
 */
struct ks_key_cache *ks_key_cache_new(size_t entries);

/* Wipes everything. NULL is fine. */
void ks_key_cache_free(struct ks_key_cache *cache);

/* Names a key. All borrowed for the call. */
struct ks_key_cache_id {
    const uint8_t *material_id; /* KS_MATERIAL_ID_LEN bytes */
    ks_bytes ekt;               /* at most KS_EKT_LEN_MAX */
    ks_bytes binding;           /* at most KS_BINDING_LEN_MAX */
};

/* Returns the key, borrowed until the next call that is not a find; NULL if it is not held. */
void *ks_key_cache_find(struct ks_key_cache *cache, const struct ks_key_cache_id *id);

/*
 * Holds a key that was unsealed from id's EKT; one with the same id is replaced.
 * loaded  taken over: the cache unloads it.
 */
void ks_key_cache_put(struct ks_key_cache *cache, const struct ks_key_cache_id *id,
                      struct ks_loaded_key loaded);

/* Wipes every key that is held of one material. */
void ks_key_cache_evict(struct ks_key_cache *cache, const uint8_t *material_id);

/* Wipes what was unsealed under one generation of the domain key. */
void ks_key_cache_evict_generation(struct ks_key_cache *cache, uint32_t generation);

/* Returns how many keys are held. */
size_t ks_key_cache_count(const struct ks_key_cache *cache);
