/*
 * duration: reads lengths of time as people write them: "250ms", "2s", "5m", "12h", "30d".
 * Outputs are written on success only.
 *
 * Threads: pure; any thread.
 */
#pragma once

#include <stdint.h>

#include "pkg/base/result.h"
#include "services/cli/setup/cli.h"

/*
 * Reads the milliseconds that an option says, or fallback_ms if it was not given.
 * Fails: VALIDATION (of another form, 0, or more than a hundred years).
 */
KS_MUST_USE ks_result ks_duration_option(struct ks_cli *cli, const char *option,
                                         int64_t fallback_ms, int64_t *ret_ms);

/* Reads a word. Fails: as above. */
KS_MUST_USE ks_result ks_duration_read(const char *word, int64_t *ret_ms);
