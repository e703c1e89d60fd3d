/*
 * record_cache: stored records whose MACs were checked before, by their very bytes, so that the
 * record of a key in use is checked once and not for each request.
 *
 * An entry answers only for exactly the name and the bytes that were checked. A record ends in its
 * MAC, whose bytes are spread evenly, so each has a bucket of KS_RECORD_CACHE_WAYS places; when that
 * is full, the one used longest ago makes room. A record longer than KS_RECORD_CACHE_LEN_MAX is not
 * held, and is checked each time.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "pkg/base/bytes.h"

#define KS_RECORD_CACHE_WAYS    4U
#define KS_RECORD_CACHE_LEN_MAX 1536U /* bytes of name and record: a key with some tags has 500 */
#define KS_RECORD_CACHE_ENTRY_B 2048U /* bytes that an entry takes at most */

struct ks_record_cache;

/*
 * Makes a cache with room for entries, at least KS_RECORD_CACHE_WAYS, rounded up to a power of two;
 * never NULL. Free with ks_record_cache_free.
 */
struct ks_record_cache *ks_record_cache_new(size_t entries);

/* NULL is fine. */
void ks_record_cache_free(struct ks_record_cache *cache);

/* Returns whether this record was put under this name. */
bool ks_record_cache_find(struct ks_record_cache *cache, ks_bytes name, ks_bytes record);

/* Holds a record that is authentic, if it is short enough. Both are copied. */
void ks_record_cache_put(struct ks_record_cache *cache, ks_bytes name, ks_bytes record);

/* Forgets everything: to be called when a generation of the domain key goes. */
void ks_record_cache_clear(struct ks_record_cache *cache);
