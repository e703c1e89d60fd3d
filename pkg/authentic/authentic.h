/*
 * authentic: the envelope around a stored record that only an hsm can make
 * (proto/formats/record-mac-v1.md).
 *
 * Threads: pure over the arguments; a struct ks_mac is the calling thread's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/base/secret.h"

#define KS_AUTHENTIC_MAC_LEN   32U
#define KS_AUTHENTIC_BODY_MAX  262000U
#define KS_AUTHENTIC_EXTRA_MAX 64U /* bytes that an envelope adds to its body at most */

struct ks_mac;

/* An envelope taken apart; its bytes are borrowed. */
struct ks_authentic {
    ks_bytes body;
    uint64_t counter;
    uint32_t generation; /* of the domain key that its MAC was made with */
    const uint8_t *mac;  /* KS_AUTHENTIC_MAC_LEN bytes */
};

/*
 * Takes an envelope apart. This proves nothing about it.
 * ret_record  borrows from value; untouched after a failure.
 * Fails: CORRUPT (not the one encoding of an envelope).
 */
KS_MUST_USE ks_result ks_authentic_read(ks_bytes value, struct ks_authentic *ret_record);

/*
 * Appends the envelope.
 * Fails: VALIDATION (a member is beyond its limit), LIMIT_EXCEEDED (the buffer's cap). The buffer
 * may hold a part of it then.
 */
KS_MUST_USE ks_result ks_authentic_write(const struct ks_authentic *record, struct ks_buffer *out);

/*
 * Derives the key of a region's MACs.
 * domain   keyed with the domain key.
 * ret_key  32 bytes, the caller's to wipe. Written on success only.
 * Fails: VALIDATION (the region is empty or over 255 bytes), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_authentic_key(struct ks_mac *domain, ks_bytes region, ks_secret *ret_key);

/*
 * Computes the MAC of a record, whose own `mac` is not looked at.
 * key      keyed with what ks_authentic_key gave for region.
 * name     the store key that the record stands under.
 * ret_mac  unspecified after a failure.
 * Fails: VALIDATION (a member is beyond its limit), INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_authentic_mac(struct ks_mac *key, ks_bytes region, ks_bytes name,
                                       const struct ks_authentic *record,
                                       uint8_t ret_mac[static KS_AUTHENTIC_MAC_LEN]);

/*
 * Checks the MAC of a record.
 * Fails: CORRUPT (it is not the record's), VALIDATION, INTERNAL (as above).
 */
KS_MUST_USE ks_result ks_authentic_check(struct ks_mac *key, ks_bytes region, ks_bytes name,
                                         const struct ks_authentic *record);
