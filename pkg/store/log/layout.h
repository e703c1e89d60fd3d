/*
 * layout: the keys under which a cell's records are in etcd.
 *
 *   <prefix>d/<hh>/<key>   a record; hh, two hex digits, is a hash of the key, so that the records
 *                          fall into 256 ranges of about the same size, loaded one by one. The
 *                          records of a directory (copy/index.h) have that of the directory, so
 *                          that they are one range
 *   <prefix>ks/<id>        a keystore's record
  *   <prefix>rev            the revision record: put first by every transaction (apply.h); its value
 *                          is 16 random bytes, others each time (copy.h, struct ks_nonce)
 *   <prefix>epoch          random, made at the first start; an operator who restores etcd changes
 *                          it
 *
 * Threads: constant after init; any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/arena.h"
#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

#define KS_LAYOUT_PREFIX_LEN_MAX 100U
#define KS_LAYOUT_BUCKETS        256U

struct ks_layout {
    char prefix[KS_LAYOUT_PREFIX_LEN_MAX + 1];
    char prefix_end[KS_LAYOUT_PREFIX_LEN_MAX + 1]; /* past every key with the prefix */
    char rev[KS_LAYOUT_PREFIX_LEN_MAX + 8];
    char epoch[KS_LAYOUT_PREFIX_LEN_MAX + 8];
    char list[KS_LAYOUT_PREFIX_LEN_MAX + 8];     /* of every keystore's record, */
    char list_end[KS_LAYOUT_PREFIX_LEN_MAX + 8]; /* and past them */
};

/*
 * Fills the layout for a prefix, which is copied.
 * Fails: VALIDATION (it is empty, too long, or not printable ASCII); layout is untouched then.
 */
KS_MUST_USE ks_result ks_layout_init(struct ks_layout *layout, const char *prefix);

/* Returns the bucket of a record's key: the FNV-1a hash of its directory, or else of it, folded. */
unsigned ks_layout_bucket(ks_bytes key);

/*
 * Return the etcd key of a record, and of a keystore's record. It lives in the arena, which must
 * have room for it: too little is a programmer's error, which stops the process.
 */
ks_bytes ks_layout_data_key(const struct ks_layout *layout, struct ks_arena *arena, ks_bytes key);
ks_bytes ks_layout_keystore_key(const struct ks_layout *layout, struct ks_arena *arena,
                                const char *id);

/*
 * Gives the etcd keys between which the records lie whose keys start with prefix, which is a
 * directory or goes on from one. Both live in the arena, which must have room for them.
 */
void ks_layout_prefix_range(const struct ks_layout *layout, struct ks_arena *arena, ks_bytes prefix,
                            ks_bytes *ret_from, ks_bytes *ret_to);

/* The range of one bucket's records: keys in [from, to). */
struct ks_layout_range {
    char from[KS_LAYOUT_PREFIX_LEN_MAX + 8];
    char to[KS_LAYOUT_PREFIX_LEN_MAX + 8];
};

/* Gives the range of a bucket, 0 to KS_LAYOUT_BUCKETS - 1. ret_range is always written. */
void ks_layout_bucket_range(const struct ks_layout *layout, unsigned bucket,
                            struct ks_layout_range *ret_range);

enum ks_layout_kind {
    KS_LAYOUT_OTHER, /* not a key of ours */
    KS_LAYOUT_DATA,
    KS_LAYOUT_KEYSTORE,
    KS_LAYOUT_REV,
    KS_LAYOUT_EPOCH,
};

/*
 * Returns what an etcd key names.
 * ret_name  for DATA the record's key and for KEYSTORE its id, borrowed from etcd_key; untouched
 *           for every other kind.
 */
enum ks_layout_kind ks_layout_parse(const struct ks_layout *layout, ks_bytes etcd_key,
                                    ks_bytes *ret_name);
