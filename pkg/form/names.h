/*
 * names: the form of the names that stand in binary forms, and where a key belongs.
 *
 * Threads: pure over the arguments; any.
 */
#pragma once

#include <stdbool.h>

#include "pkg/base/bytes.h"

#define KS_REGION_LEN_MAX  32U
#define KS_ZONE_LEN_MAX    (KS_REGION_LEN_MAX + 1U)
#define KS_ACCOUNT_LEN     12U
#define KS_KEY_ID_LEN      36U /* a UUID, or mrk- and 32 hex digits */
#define KS_MATERIAL_ID_LEN 32U /* bytes; as text 64 hex digits */

/* Where a key belongs. Everything borrowed. */
struct ks_key_name {
    ks_bytes region;
    ks_bytes account;
    ks_bytes key_id;
};

/* ([a-z]+-){2,3}[0-9]+, at most KS_REGION_LEN_MAX bytes. */
bool ks_is_region(ks_bytes text);

/* A region and one lower-case letter. */
bool ks_is_zone(ks_bytes text);

/* Whether zone is one of region's. Both may be anything. */
bool ks_is_zone_of(ks_bytes zone, ks_bytes region);

/* Twelve digits. */
bool ks_is_account(ks_bytes text);

/* KS_KEY_ID_LEN lower-case letters, digits and hyphens. */
bool ks_is_key_id(ks_bytes text);

/* All three. */
bool ks_is_key_name(const struct ks_key_name *name);

bool ks_key_name_equal(const struct ks_key_name *a, const struct ks_key_name *b);

/* Lower-case hex digits of bytes and a NUL: 2 * bytes.len + 1 characters at ret_text. */
void ks_hex_write(ks_bytes bytes, char *ret_text);

/* Reads exactly len bytes from 2 * len lower-case hex digits; false for anything else. */
bool ks_hex_read(ks_bytes text, uint8_t *ret_bytes, size_t len);
