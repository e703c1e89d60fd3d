/*
 * cli: what a running command works with: its arguments, settings, connections, memory and failure.
 *
 * Threads: one.
 */
#pragma once

#include <stdint.h>

#include "pkg/base/arena.h"
#include "pkg/base/bytes.h"
#include "services/cli/arguments/arguments.h"
#include "services/cli/output/failure.h"
#include "services/cli/setup/settings.h"

struct ks_connections;

enum ks_output { KS_OUTPUT_TABLE, KS_OUTPUT_JSON };

#define KS_CLI_ARENA_LEN_MAX  (256U * 1024U * 1024U) /* of all messages of one command */
#define KS_CLI_OUTPUT_LEN_MAX (256U * 1024U * 1024U) /* of what is printed, but for streams */

/* Owned by main. */
struct ks_cli {
    struct ks_arguments arguments;
    struct ks_settings settings;
    enum ks_output output;
    int64_t timeout_ms; /* of one call, all its tries together */
    struct ks_connections *connections;
    struct ks_arena arena;     /* wiped at the end */
    struct ks_failure failure; /* what the line on stderr will say */
};
