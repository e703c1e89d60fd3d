/*
 * trust: the stored records that the hsm has found authentic, by their very bytes, so that an answer
 * about a key asks the hsm once for each version of the key's record; and the alarm when it finds
 * one that is not.
 *
 * A record is remembered by the SHA-256 of its name and bytes, in a table of fixed size. One that
 * was forgotten is checked again.
 *
 * Threads: any; a mutex is held for a few instructions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/bytes.h"

#define KS_TRUST_RECORDS  32768U /* remembered, 32 bytes each */
#define KS_TRUST_TEXT_MAX 320U

struct ks_trust;

/* Makes one that trusts nothing yet; never NULL. Free with ks_trust_free. */
struct ks_trust *ks_trust_new(void);

/* NULL is fine. */
void ks_trust_free(struct ks_trust *trust);

/* Returns whether this record was found authentic under this name; false also if OpenSSL failed. */
bool ks_trust_knows(struct ks_trust *trust, ks_bytes name, ks_bytes record);

/* Notes that the hsm has found it authentic, or has made it. */
void ks_trust_note(struct ks_trust *trust, ks_bytes name, ks_bytes record);

/*
 * Raises the alarm, which lasts until the process ends: what stands in the store is not what an hsm
 * has made. It is logged, and counted.
 * name  of the record; it may be one of several.
 */
void ks_trust_alarm(struct ks_trust *trust, ks_bytes name);

/*
 * Returns how often the alarm was raised.
 * ret_text  a sentence for an operator; "" if it was never raised. Always written.
 */
uint64_t ks_trust_alarms(struct ks_trust *trust, char ret_text[KS_TRUST_TEXT_MAX]);
