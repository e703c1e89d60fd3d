/*
 * tally: what both ends of a backup check of its records: that they come in the order of their
 * keys, each once, and how many there are of each kind. The kind of a record is its key up to its
 * first slash and with it, or the whole key if it has none.
 *
 * Threads: values; one thread at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

#define KS_BACKUP_KEY_LEN_MAX   400U
#define KS_BACKUP_VALUE_LEN_MAX (256U * 1024U)
#define KS_BACKUP_KINDS_MAX     32U
#define KS_BACKUP_KIND_LEN_MAX  32U
#define KS_BACKUP_KEYS          "key/" /* the kind of live keys, which a header counts */

/* One record of the cell. */
struct ks_backup_record {
    ks_bytes key;     /* 1 to KS_BACKUP_KEY_LEN_MAX bytes */
    ks_bytes value;   /* up to KS_BACKUP_VALUE_LEN_MAX bytes */
    int64_t revision; /* of its last change; above 0 */
};

/* How many records there are of a kind. */
struct ks_backup_kind {
    char name[KS_BACKUP_KIND_LEN_MAX + 1];
    uint64_t count;
};

/* {0}: no record yet. */
struct ks_backup_tally {
    struct ks_backup_kind kinds[KS_BACKUP_KINDS_MAX]; /* in order of their names */
    size_t kind_count;
    uint64_t record_count;
    uint8_t last[KS_BACKUP_KEY_LEN_MAX]; /* the key of the newest record */
    size_t last_len;
};

/*
 * Counts the next record.
 * Fails: VALIDATION (a length or the revision is not within its limits, the key is not above the
 * last one, or has a NUL or a kind that is too long), LIMIT_EXCEEDED (there are too many kinds).
 * The tally is then as it was.
 */
KS_MUST_USE ks_result ks_backup_tally_add(struct ks_backup_tally *tally,
                                          const struct ks_backup_record *record);

/* Returns how many records of a kind there are, such as "key/". */
uint64_t ks_backup_tally_of(const struct ks_backup_tally *tally, const char *kind);
