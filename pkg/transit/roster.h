/*
 * roster: which hsms may be sent the domain keys of a region's cell, signed with the hsm root's key
 * (proto/formats/roster-v1.md). A roster with a higher number replaces one with a lower number.
 *
 *     struct ks_roster roster;                       replacing an hsm:
 *     ks_roster_open(old, root, &roster);
 *     ks_roster_strike(&roster, old_fingerprint);
 *     ks_roster_add(&roster, new_fingerprint, zone);
 *     roster.number++;
 *     ks_roster_sign(&roster, root, &out);
 *
 * Outputs (ret_roster) are written on success only.
 *
 * Threads: values; any thread.
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
 * Adds an hsm. roster is unchanged after a failure.
 *
 * Fails: VALIDATION (not a zone of the roster's region), ALREADY_EXISTS (the roster
 * has the fingerprint), LIMIT_EXCEEDED (KS_ROSTER_ENTRIES_MAX).
 */
KS_MUST_USE ks_result ks_roster_add(struct ks_roster *roster,
                                    const uint8_t fingerprint[static KS_FINGERPRINT_LEN],
                                    const char *zone);

/* Removes an hsm. Fails: NOT_FOUND (the roster does not have it, and is unchanged). */
KS_MUST_USE ks_result ks_roster_strike(struct ks_roster *roster,
                                       const uint8_t fingerprint[static KS_FINGERPRINT_LEN]);

/* Removes every entry of a zone, and returns how many there were. */
size_t ks_roster_strike_zone(struct ks_roster *roster, const char *zone);

/* Returns whether both have the same number, region and entries. */
bool ks_roster_equal(const struct ks_roster *a, const struct ks_roster *b);

/* Returns whether the roster has this hsm, with the same region and zone. */
bool ks_roster_admits(const struct ks_roster *roster, const struct ks_peer *peer);

/*
 * Appends the signed form. After a failure out may hold a part of it.
 *
 * root  the hsm root's key pair, P-384.
 * Fails: VALIDATION (number 0, no entry), LIMIT_EXCEEDED (the buffer's cap), INTERNAL.
 */
KS_MUST_USE ks_result ks_roster_sign(const struct ks_roster *roster, const struct ks_ec_key *root,
                                     struct ks_buffer *out);

/*
 * Reads a roster without verifying its signature, to show it or to learn its number.
 * Fails: VALIDATION (malformed).
 */
KS_MUST_USE ks_result ks_roster_read(ks_bytes bytes, struct ks_roster *ret_roster);

/*
 * Reads a roster and verifies its signature.
 *
 * root  the hsm root's public key, P-384.
 * Fails: VALIDATION (malformed), ACCESS_DENIED (not signed by root).
 */
KS_MUST_USE ks_result ks_roster_open(ks_bytes bytes, const struct ks_ec_key *root,
                                     struct ks_roster *ret_roster);
