/*
 * pin: the PIN file.
 *
 * Threads: any.
 */
#pragma once

#include "pkg/base/bytes.h"

/*
 * Appends what the file holds, without one newline at its end.
 *
 * pin          capped by KS_TOKEN_PIN_MAX; wiped by its owner.
 * reterr_hint  a static string, written on failure only.
 *
 * Fails: NOT_FOUND (no such file, or it cannot be read), ACCESS_DENIED (others than owner and group
 * may touch it), VALIDATION (empty or too long).
 */
KS_MUST_USE ks_result ks_pin_read(const char *path, struct ks_buffer *pin,
                                  const char **reterr_hint);
