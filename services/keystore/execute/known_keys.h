/*
 * known_keys: the keys that the items of one message have found, so that a record which many of
 * them name is looked up and unpacked once. All are of the one snapshot that the items share; what
 * is looked up in another snapshot must neither be put here nor be found here.
 *
 * Calls outlive their message. Each keeps a reference, and what was found is wiped and freed with
 * the last one.
 *
 * Threads: find and read on the thread that takes the message; what they gave may be read, and the
 * reference given back, on any. The link to the hsm alone writes to what `about` points to.
 */
#pragma once

#include <stdint.h>

#include "keystead/storage/v1/storage.pb-c.h"
#include "pkg/arn/arn.h"
#include "pkg/base/result.h"
#include "services/keystore/records/message.h"

#define KS_KNOWN_KEYS_MAX 16U /* keys; a message that names more reads the others for each item */

struct ks_about;
struct ks_known_keys;
struct ks_store_record;

struct ks_known_key {
    struct ks_arn arn;
    const STORED(KeyRecord) * record;
    struct ks_about *about; /* the record as it is stored, for the hsm */
    int64_t revision;
};

/* Returns new ones with one reference and no key; never NULL. The caller gives it back by unref. */
struct ks_known_keys *ks_known_keys_new(void);

/* Returns known, with one more reference. */
struct ks_known_keys *ks_known_keys_ref(struct ks_known_keys *known);

/* Gives a reference back; the last one wipes and frees. NULL is fine. */
void ks_known_keys_unref(struct ks_known_keys *known);

/* Returns the key, borrowed as long as known; NULL if none of that name was read before. */
const struct ks_known_key *ks_known_keys_find(const struct ks_known_keys *known,
                                              const char *account, const char *key_id);

/*
 * Unpacks the record of a key that was not found, and keeps it.
 *
 * home, key_id  whose key it is, and where; copied.
 * ret_key       borrowed as long as known. Untouched after a failure.
 *
 * Fails: LIMIT_EXCEEDED (no more are kept: KS_KNOWN_KEYS_MAX, or their memory), CORRUPT (as
 * ks_record_read_key).
 */
KS_MUST_USE ks_result ks_known_keys_read(struct ks_known_keys *known,
                                         const struct ks_arn_home *home, const char *key_id,
                                         const struct ks_store_record *record,
                                         const struct ks_known_key **ret_key);
