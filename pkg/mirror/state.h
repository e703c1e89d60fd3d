/*
 * state: what a mirror's "state" record says, and the inside of struct ks_mirror_db. Included by this
 * folder only. Threads: as mirror.h says.
 */
#pragma once

#include "pkg/lmdb/lmdb.h"
#include "pkg/mirror/mirror.h"

#define KS_MIRROR_STATE_KEY KS_LITERAL("state")
#define KS_MIRROR_ENTRY_MIN 9U /* bytes of an entry before its value */

enum ks_mirror_kind { KS_MIRROR_LIVE = 1, KS_MIRROR_GONE = 2 };

struct ks_mirror_state {
    uint8_t active; /* 0 or 1 */
    int64_t floor;
    uint64_t tombstones;
    struct ks_set_sum sum;
    struct ks_head head; /* number 0: the mirror is empty */
    size_t head_len;
    uint8_t head_bytes[KS_HEAD_LEN_MAX];
};

struct ks_mirror_db {
    struct ks_lmdb *env;
    ks_lmdb_db data[2];
    ks_lmdb_db log[2];
    ks_lmdb_db gone;
    ks_lmdb_db meta;
    size_t tombstones_max;
    /* The writer's. */
    struct ks_crypto *crypto;
    struct ks_mirror_state state;
    struct ks_set_sum staged;
};

/* Fails: CORRUPT (malformed). ret_state is written on success only. */
KS_MUST_USE ks_result ks_mirror_state_read(ks_bytes bytes, struct ks_mirror_state *ret_state);
/* Puts the state into the transaction. Fails: as ks_lmdb_put. */
KS_MUST_USE ks_result ks_mirror_state_put(const struct ks_mirror_db *mirror,
                                          struct ks_lmdb_write *write,
                                          const struct ks_mirror_state *state);

/* Reads an entry of data. Fails: CORRUPT; the outputs are written on success only. */
KS_MUST_USE ks_result ks_mirror_entry_read(ks_bytes key, ks_bytes entry,
                                           enum ks_mirror_kind *ret_kind,
                                           struct ks_mirror_record *ret_record);
