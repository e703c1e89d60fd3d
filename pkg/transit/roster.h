/*
 * roster: which hsms may be sent the domain keys of a region's cell, signed with the hsm root's key
 * (proto/formats/roster-v1.md). A higher number replaces a lower one.
 *
 *     struct ks_roster roster;                       replacing an hsm:
 *     ks_roster_open(old, root, &roster);
 *     ks_roster_strike(&roster, old_fingerprint);
 *     ks_roster_add(&roster, new_fingerprint, zone);
 *     roster.number++;
 *     ks_roster_sign(&roster, root, &out);
 *
 * Threads: values; any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/transit/peer.h"

#define KS_ROSTER_ENTRIES_MAX 64U
#define KS_ROSTER_LEN_MAX                                                                          \
    (1U + 8U + 1U + KS_REGION_LEN_MAX + 2U +                                                       \
     KS_ROSTER_ENTRIES_MAX * (KS_FINGERPRINT_LEN + 1U + KS_ZONE_LEN_MAX) + 2U + 104U)

struct ks_ec_key;

struct ks_roster_entry {
    uint8_t fingerprint[KS_FINGERPRINT_LEN];
    char zone[KS_ZONE_LEN_MAX + 1];
};

/* A value; entries stand in the order of their fingerprints. {0} is no roster at all. */
struct ks_roster {
    uint64_t number; /* from 1 */
    char region[KS_REGION_LEN_MAX + 1];
    size_t count;
    struct ks_roster_entry entries[KS_ROSTER_ENTRIES_MAX];
};

/*
 * Begins an empty roster of number 1.
 * Fails: VALIDATION (malformed region).
 */
KS_MUST_USE ks_result ks_roster_init(const char *region, struct ks_roster *ret_roster);

/*
 * Fails: VALIDATION (not a zone of the roster's region), ALREADY_EXISTS (the fingerprint stands
 * there), LIMIT_EXCEEDED (KS_ROSTER_ENTRIES_MAX).
 */
KS_MUST_USE ks_result ks_roster_add(struct ks_roster *roster,
                                    const uint8_t fingerprint[static KS_FINGERPRINT_LEN],
                                    const char *zone);

/* Fails: NOT_FOUND. */
KS_MUST_USE ks_result ks_roster_strike(struct ks_roster *roster,
                                       const uint8_t fingerprint[static KS_FINGERPRINT_LEN]);

/* Strikes every entry of a zone; answers how many there were. */
size_t ks_roster_strike_zone(struct ks_roster *roster, const char *zone);

/* Same number, region and entries. */
bool ks_roster_equal(const struct ks_roster *a, const struct ks_roster *b);

/* Whether this hsm, region and zone too, stands on the roster. */
bool ks_roster_admits(const struct ks_roster *roster, const struct ks_peer *peer);

/*
 * Appends the signed form.
 * root  the hsm root's key pair, P-384.
 * Fails: VALIDATION (number 0, no entry), LIMIT_EXCEEDED (the buffer's cap), INTERNAL.
 */
KS_MUST_USE ks_result ks_roster_sign(const struct ks_roster *roster, const struct ks_ec_key *root,
                                     struct ks_buffer *out);

/*
 * Reads a roster whose signature is nobody's concern, to show or number it.
 * Fails: VALIDATION (malformed).
 */
KS_MUST_USE ks_result ks_roster_read(ks_bytes bytes, struct ks_roster *ret_roster);

/*
 * Reads and verifies.
 * root  the hsm root's public key, P-384.
 * Fails: VALIDATION (malformed), ACCESS_DENIED (not signed by root).
 */
KS_MUST_USE ks_result ks_roster_open(ks_bytes bytes, const struct ks_ec_key *root,
                                     struct ks_roster *ret_roster);
