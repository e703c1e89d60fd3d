/*
 * hash: spreads texts over the places of a table in memory. The hash is SipHash-2-4 (Aumasson and
 * Bernstein, 2012) under a key that nobody outside of the process knows, so that a client that
 * chooses the texts cannot choose their places: with a hash without a key it could put all of its
 * names into one place, and every look-up there would walk over all of them.
 *
 * A hash is good in the process that made it only, and is never stored or sent.
 *
 * Threads: pure over the arguments; any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"

/* 16 random bytes, drawn once for each process; pkg/base draws none. */
struct ks_hash_key {
    uint64_t low;
    uint64_t high;
};

/*
 * Returns the FNV-1a hash of a text (RFC draft-eastlake-fnv, 64 bits, folded so that the low bits
 * count), for tables whose texts no client chooses, or where places that are shared do no harm.
 */
uint64_t ks_plain_hash(ks_bytes text);

/* Returns the hash of the parts as if they stood in one text, one behind the other. */
uint64_t ks_hash(const struct ks_hash_key *key, const ks_bytes *parts, size_t part_count);
