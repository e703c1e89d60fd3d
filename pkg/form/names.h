/*
 * names: the names that binary forms contain (regions, zones, accounts, key ids), and bytes as hex.
 * The functions only look at the form of a name: whether anything of that name exists is for the
 * caller to find out.
 *
 * Threads: pure over the arguments; any thread.
 */
#pragma once

#include <stdbool.h>

#include "pkg/base/bytes.h"

#define KS_REGION_LEN_MAX  32U
#define KS_ZONE_LEN_MAX    (KS_REGION_LEN_MAX + 1U)
#define KS_ACCOUNT_LEN     12U
#define KS_KEY_ID_LEN      36U /* a UUID, or mrk- and 32 hex digits */
#define KS_MATERIAL_ID_LEN 32U /* bytes; as text 64 hex digits */

/* The full name of a key: key ids are unique within an account and region. All borrowed. */
struct ks_key_name {
    ks_bytes region;
    ks_bytes account;
    ks_bytes key_id;
};

/* Returns whether text is a region's name: ([a-z]+-){2,3}[0-9]+, at most KS_REGION_LEN_MAX bytes. */
bool ks_is_region(ks_bytes text);

/* Returns whether text is a zone's name: that of a region, then one lower-case letter. */
bool ks_is_zone(ks_bytes text);

/*
 * Returns whether zone is the name of a zone of region. Returns false when either of them is not a
 * well-formed name.
 */
bool ks_is_zone_of(ks_bytes zone, ks_bytes region);

/* Returns whether text is an account's number: KS_ACCOUNT_LEN digits. */
bool ks_is_account(ks_bytes text);

/*
 * Returns whether text has KS_KEY_ID_LEN bytes and each is a lower-case letter, a digit or a hyphen.
 * This is the check of binary forms; what a client may write is stricter (pkg/arn/name.h).
 */
bool ks_is_key_id(ks_bytes text);

/* Returns whether region, account and key id are all well formed. */
bool ks_is_key_name(const struct ks_key_name *name);

/* Returns whether region, account and key id are the same in both. */
bool ks_key_name_equal(const struct ks_key_name *a, const struct ks_key_name *b);

/*
 * Writes bytes as lower-case hex digits and a NUL.
 *
 * ret_text  2 * bytes.len + 1 characters, the caller's.
 */
void ks_hex_write(ks_bytes bytes, char *ret_text);

/*
 * Reads len bytes from text, which must be exactly 2 * len lower-case hex digits.
 *
 * ret_bytes  len bytes, the caller's.
 *
 * Returns false when text is anything else; ret_bytes is then unspecified.
 */
bool ks_hex_read(ks_bytes text, uint8_t *ret_bytes, size_t len);
