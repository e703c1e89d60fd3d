/*
 * secret: a short run of key bytes that is wiped when it goes, and comparison in constant time.
 *
 * Threads: values; a secret belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/mem.h"

#define KS_SECRET_MAX 64U /* bytes: the longest symmetric key or derived pair that we handle */

typedef struct ks_secret {
    uint8_t bytes[KS_SECRET_MAX];
    size_t len; /* 0: empty */
} ks_secret;

/* Zeroes all of it. The zero value is fine. */
void ks_secret_wipe(ks_secret *secret);

/* Hands over: dst takes the bytes, src is wiped. What dst held is gone. */
void ks_secret_move(ks_secret *dst, ks_secret *src);

/* Its bytes, borrowed. */
ks_bytes ks_secret_bytes(const ks_secret *secret);

/* Whether a and b are the same; takes as long for any contents of one length. */
bool ks_secret_equal(ks_bytes a, ks_bytes b);

#define KS_SECRET_AUTO KS_CLEANUP(ks_secret_wipe) ks_secret
