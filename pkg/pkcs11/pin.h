/*
 * pin: reads the file that holds the PIN.
 *
 * Threads: any thread.
 */
#pragma once

#include "pkg/base/bytes.h"

/*
 * Appends what the file holds, without one newline at its end.
 *
 * pin          capped by KS_TOKEN_PIN_MAX; its owner wipes it, also after a failure.
 * reterr_hint  what to do about a failure, a static string; written on failure only.
 *
 * Fails: NOT_FOUND (no such file, or it cannot be read), ACCESS_DENIED (others than its owner may
 * touch it, and it is no systemd credential), VALIDATION (empty or too long).
 */
KS_MUST_USE ks_result ks_pin_read(const char *path, struct ks_buffer *pin,
                                  const char **reterr_hint);
