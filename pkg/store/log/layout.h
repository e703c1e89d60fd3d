/*
 * layout: where a cell's records stand in etcd.
 *
 *   <prefix>d/<hh>/<key>   a record; hh, two hex digits, is a hash of the key, so that the records
 *                          fall into 256 ranges of about the same size, loaded one by one
 *   <prefix>ks/<id>        a keystore's record
 *   <prefix>rev            the revision record: put first by every transaction (apply.h)
 *   <prefix>epoch          random, made at the first start; a restore must change it
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

/* Fails: VALIDATION (empty, too long, or not printable ASCII). */
KS_MUST_USE ks_result ks_layout_init(struct ks_layout *layout, const char *prefix);

/* The bucket of a record's key: its FNV-1a hash, folded to eight bits. */
unsigned ks_layout_bucket(ks_bytes key);

/* The etcd key of a record, of a keystore's record; in the arena, which must have room. */
ks_bytes ks_layout_data_key(const struct ks_layout *layout, struct ks_arena *arena, ks_bytes key);
ks_bytes ks_layout_keystore_key(const struct ks_layout *layout, struct ks_arena *arena,
                                const char *id);

/* The range of one bucket's records. */
struct ks_layout_range {
    char from[KS_LAYOUT_PREFIX_LEN_MAX + 8];
    char to[KS_LAYOUT_PREFIX_LEN_MAX + 8];
};
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
 * What an etcd key names. ret_name is written for DATA (the record's key) and KEYSTORE (its id), and
 * borrowed from etcd_key; for every other kind it is left as it was.
 */
enum ks_layout_kind ks_layout_parse(const struct ks_layout *layout, ks_bytes etcd_key,
                                    ks_bytes *ret_name);
