#include "services/hsm/memory/domain_keys.h"

#include <assert.h>

#include "pkg/authentic/authentic.h"
#include "pkg/crypto/mac.h"
#include "pkg/ekt/wrap.h"

/* The place of generation, 0 for an empty one; NULL if there is none. */
static struct ks_domain_key *place_of(struct ks_domain_keys *keys, uint32_t generation)
{
    for (size_t i = 0; i < KS_DOMAIN_KEYS_MAX; i++) {
        if (keys->places[i].generation == generation) {
            return &keys->places[i];
        }
    }
    return NULL;
}

static void wipe(struct ks_domain_key *place)
{
    ks_mac_free(place->mac);
    ks_mac_free(place->records);
    ks_wipe(place, sizeof(*place));
}

static ks_result put(struct ks_domain_keys *keys, uint32_t generation, ks_secret *key)
{
    struct ks_domain_key *held = place_of(keys, generation);
    if (held) {
        bool same = ks_secret_equal(ks_secret_bytes(&held->key), ks_secret_bytes(key));
        return same ? KS_RES(OK) : KS_RES(CONFLICT);
    }
    struct ks_domain_key *empty = place_of(keys, 0);
    if (!empty) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    KS_MAC_AUTO *mac = NULL;
    KS_SECRET_AUTO records_key = {.len = 0};
    KS_TRY(ks_mac_new(key, &mac));
    KS_TRY(ks_authentic_key(mac, ks_bytes_of(keys->region), &records_key));
    KS_TRY(ks_mac_new(&records_key, &empty->records));
    empty->mac = mac;
    mac = NULL;
    ks_secret_move(&empty->key, key);
    empty->generation = generation;
    return KS_RES(OK);
}

ks_result ks_domain_keys_put(struct ks_domain_keys *keys, uint32_t generation, ks_secret *key)
{
    assert(keys && generation > 0);
    assert(key->len == KS_DOMAIN_KEY_LEN);

    ks_result r = put(keys, generation, key);
    ks_secret_wipe(key);
    return r;
}

const struct ks_domain_key *ks_domain_keys_find(const struct ks_domain_keys *keys,
                                                uint32_t generation)
{
    for (size_t i = 0; generation > 0 && i < KS_DOMAIN_KEYS_MAX; i++) {
        if (keys->places[i].generation == generation) {
            return &keys->places[i];
        }
    }
    return NULL;
}

ks_result ks_domain_keys_drop(struct ks_domain_keys *keys, uint32_t generation)
{
    struct ks_domain_key *held = generation > 0 ? place_of(keys, generation) : NULL;
    if (!held) {
        return KS_RES(NOT_FOUND);
    }
    wipe(held);
    return KS_RES(OK);
}

size_t ks_domain_keys_list(const struct ks_domain_keys *keys,
                           uint32_t ret_generations[static KS_DOMAIN_KEYS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < KS_DOMAIN_KEYS_MAX; i++) {
        uint32_t generation = keys->places[i].generation;
        if (generation == 0) {
            continue;
        }
        size_t at = count++;
        for (; at > 0 && ret_generations[at - 1] > generation; at--) {
            ret_generations[at] = ret_generations[at - 1];
        }
        ret_generations[at] = generation;
    }
    return count;
}

void ks_domain_keys_wipe(struct ks_domain_keys *keys)
{
    for (size_t i = 0; i < KS_DOMAIN_KEYS_MAX; i++) {
        wipe(&keys->places[i]);
    }
}
