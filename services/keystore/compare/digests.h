/*
 * digests: what a store remembers of its records' counters, as 256 digests, so that two keystores
 * find out where they differ without telling each other everything.
 *
 * A record's bucket is a hash of its name. A bucket's digest is a chain over its records in the order
 * of their names: SHA-256 of the digest so far, the counter (8 bytes, big-endian) and the name. MACs
 * are not in it: of one name and counter an hsm makes one record that is committed.
 *
 * Threads: values.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/store/store.h"

#define KS_COMPARE_BUCKETS    256U
#define KS_COMPARE_DIGEST_LEN 32U

struct ks_compare_digests {
    uint8_t bytes[KS_COMPARE_BUCKETS][KS_COMPARE_DIGEST_LEN];
    size_t lens[KS_COMPARE_BUCKETS]; /* bytes of the bucket's names */
    size_t counts[KS_COMPARE_BUCKETS];
};

/* Returns the bucket of a record's name. */
unsigned ks_compare_bucket(ks_bytes name);

/*
 * Makes the digests of what the store remembers.
 * ret_digests  unspecified after a failure.
 * Fails: CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_compare_digests_of(const struct ks_store_view *view,
                                            struct ks_compare_digests *ret_digests);
