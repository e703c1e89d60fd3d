/*
 * domain_keys: the generations of the cell's domain key that this hsm holds, in memory only.
 *
 * Threads: one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/result.h"
#include "pkg/base/secret.h"

#define KS_DOMAIN_KEYS_MAX 8U /* generations held at a time: one current, the rest being left */

struct ks_mac;

struct ks_domain_key {
    uint32_t generation; /* 0: this place is empty */
    ks_secret key;
    struct ks_mac *mac;     /* keyed with it */
    struct ks_mac *records; /* keyed with what it gives for MACs of stored records */
};

/* {.region = R} holds none. */
struct ks_domain_keys {
    const char *region; /* borrowed */
    struct ks_domain_key places[KS_DOMAIN_KEYS_MAX];
};

/*
 * Takes a key over. The same key under its generation again changes nothing.
 *
 * key  KS_DOMAIN_KEY_LEN bytes; wiped in any case.
 *
 * Fails: CONFLICT (that generation is held and is another key), LIMIT_EXCEEDED (all places are
 * taken: drop one first), INTERNAL (OpenSSL). Nothing held has changed then.
 */
KS_MUST_USE ks_result ks_domain_keys_put(struct ks_domain_keys *keys, uint32_t generation,
                                         ks_secret *key);

/* Returns that generation's key, borrowed until the next put or drop; NULL if it is not held. */
const struct ks_domain_key *ks_domain_keys_find(const struct ks_domain_keys *keys,
                                                uint32_t generation);

/* Wipes one. Fails: NOT_FOUND (that generation is not held). */
KS_MUST_USE ks_result ks_domain_keys_drop(struct ks_domain_keys *keys, uint32_t generation);

/* Writes the generations held, ascending, and returns how many there are. */
size_t ks_domain_keys_list(const struct ks_domain_keys *keys,
                           uint32_t ret_generations[static KS_DOMAIN_KEYS_MAX]);

/* Wipes all. The zero value is fine. */
void ks_domain_keys_wipe(struct ks_domain_keys *keys);
