/*
 * secret: a short run of key bytes that is wiped when it goes out of scope, and a comparison whose
 * time does not depend on the bytes.
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

/* Zeroes all of the secret. The zero value is allowed. */
void ks_secret_wipe(ks_secret *secret);

/* Moves the bytes from src to dst: what dst held is overwritten, and src is wiped. */
void ks_secret_move(ks_secret *dst, ks_secret *src);

/* Returns the secret's bytes, borrowed from it. */
ks_bytes ks_secret_bytes(const ks_secret *secret);

/*
 * Returns whether a and b are the same. The time depends on their lengths only, not on their bytes.
 */
bool ks_secret_equal(ks_bytes a, ks_bytes b);

#define KS_SECRET_AUTO KS_CLEANUP(ks_secret_wipe) ks_secret
