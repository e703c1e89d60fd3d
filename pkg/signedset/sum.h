/*
 * sum: a number of 2 KiB that stands for a whole set of records, in any order, and to which a record
 * is added, and from which it is taken, without the others (proto/formats/identity-head-v1.md).
 *
 * It is LtHash with 1024 words of 16 bits ("Securing Update Propagation with Homomorphic Hashing",
 * Lewi, Kim, Maykov and Weis, 2019): nobody can find two sets of one sum, though the sum of a set is
 * cheap to bring up to date. A record costs about 8 us.
 *
 * Threads: values; with a struct ks_crypto of the caller's thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/crypto/hash.h"

#define KS_SET_SUM_WORDS 1024U
#define KS_SET_LEAF_LEN  KS_SHA256_LEN

/* {0} is the sum of no records. It lies on disk as it lies in memory, for this machine alone. */
struct ks_set_sum {
    uint64_t count; /* records */
    uint16_t words[KS_SET_SUM_WORDS];
};

/* What the sum needs to know of a record: its key, value and revision, hashed. */
struct ks_set_leaf {
    uint8_t bytes[KS_SET_LEAF_LEN];
};

/*
 * Computes the leaf of a record.
 * key  at most 65,535 bytes.
 * Fails: INTERNAL (OpenSSL); ret_leaf is then unspecified.
 */
KS_MUST_USE ks_result ks_set_leaf(struct ks_crypto *crypto, ks_bytes key, ks_bytes value,
                                  int64_t revision, struct ks_set_leaf *ret_leaf);

/*
 * Add a record to the set, and take one that is in it away. Whether it is in it, the sum can't tell.
 * Fails: INTERNAL (OpenSSL); sum is unchanged then.
 */
KS_MUST_USE ks_result ks_set_add(struct ks_crypto *crypto, struct ks_set_sum *sum,
                                 const struct ks_set_leaf *leaf);
KS_MUST_USE ks_result ks_set_remove(struct ks_crypto *crypto, struct ks_set_sum *sum,
                                    const struct ks_set_leaf *leaf);

/*
 * Computes the digest of the set, which a head says and control signs.
 * Fails: INTERNAL (OpenSSL); ret_digest is then unspecified.
 */
KS_MUST_USE ks_result ks_set_digest(struct ks_crypto *crypto, const struct ks_set_sum *sum,
                                    uint8_t ret_digest[static KS_SHA256_LEN]);
