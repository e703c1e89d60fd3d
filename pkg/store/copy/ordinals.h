/*
 * ordinals: what the guard has remembered of each record, in memory. Whoever writes the copy's file
 * while the process runs can change what the file says, and not this.
 *
 * A record is known by a hash of its key (pkg/base/hash.h), 64 bits. Two records of a million that
 * have the same one (one cell in 37 million) are taken for one: the one with the lower ordinal is
 * then refused. Nothing is forgotten but all of it. 48 to 96 bytes a record: the table is a quarter to
 * a half full.
 *
 * Threads: any; a mutex is held for a look-up, or while the table grows. A reader can't do without:
 * an ordinal and its revision belong together.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

struct ks_ordinals;

/*
 * Makes an empty table.
 * ret_ordinals  the caller's; free with ks_ordinals_free. Untouched after a failure.
 * Fails: INTERNAL (no randomness).
 */
KS_MUST_USE ks_result ks_ordinals_new(struct ks_ordinals **ret_ordinals);

/* NULL is fine. */
void ks_ordinals_free(struct ks_ordinals *ordinals);

/* Returns the hash that a record is known by. */
uint64_t ks_ordinals_hash(const struct ks_ordinals *ordinals, ks_bytes key);

/* Returns the ordinal of a record; 0: none is known. */
uint64_t ks_ordinals_get(struct ks_ordinals *ordinals, uint64_t hash);

/*
 * Raises the ordinal of a record, and returns whether it was lower; otherwise nothing changes.
 * revision  at which the copy came to it; 0: from the first one on.
 */
bool ks_ordinals_raise(struct ks_ordinals *ordinals, uint64_t hash, uint64_t ordinal,
                       int64_t revision);

/*
 * Returns whether a record that was read may have this ordinal: it is no lower than the one that is
 * known, or that one came after revision, up to which the copy went when it was read.
 */
bool ks_ordinals_admit(struct ks_ordinals *ordinals, uint64_t hash, uint64_t ordinal,
                       int64_t revision);

/* Forgets everything. */
void ks_ordinals_clear(struct ks_ordinals *ordinals);
