/*
 * state: what a struct ks_hsm is made of. Private to the code that answers requests.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/clock.h"
#include "pkg/blob/context.h"
#include "pkg/custody/kit.h"
#include "pkg/transit/roster.h"
#include "services/hsm/memory/challenges.h"
#include "services/hsm/memory/domain_keys.h"
#include "services/hsm/memory/key_cache.h"
#include "services/hsm/memory/record_cache.h"

struct ks_crypto;
struct ks_ec_key;
struct ks_mac;

#define KS_NODE_ID_LEN 32U /* hex digits (proto/formats/token-objects.md) */

struct ks_hsm {
    const char *region; /* borrowed, as all texts and the identity are */
    const char *zone;
    const char *trust_domain;
    const struct ks_clock *clock;
    struct ks_crypto *crypto;
    struct ks_mac *node; /* keyed with the node key */
    const struct ks_ec_key *identity;
    ks_bytes certificate;
    ks_bytes root;
    struct ks_ec_key *root_public;
    struct ks_ec_key *transit;    /* of this life only */
    struct ks_buffer transit_key; /* its public part, DER */
    uint64_t roster_floor;
    bool fips;
    bool confined;
    char node_id[KS_NODE_ID_LEN + 1];
    struct ks_roster roster; /* number 0: none yet */
    struct ks_kit kit;       /* period 0: none yet */
    struct ks_domain_keys domain_keys;
    struct ks_challenges challenges;
    struct ks_key_cache *cache;
    struct ks_record_cache *records;     /* that were checked */
    uint8_t context[KS_CONTEXT_LEN_MAX]; /* the encoded context of the request at hand */
};
