/*
 * help: what the program says about itself, made from the table of commands.
 *
 * Threads: pure; any.
 */
#pragma once

#include "pkg/base/bytes.h"
#include "services/cli/arguments/command.h"

/*
 * Appends help: of command; or, if that is NULL, of the commands of noun; or, if that is NULL,
 * too, of the program. Fails: LIMIT_EXCEEDED (the buffer's cap; out may hold a part of the help).
 */
KS_MUST_USE ks_result ks_help(const struct ks_command_table *table, const char *noun,
                              const struct ks_command *command, struct ks_buffer *out);

/*
 * Appends a script for bash that completes words and options.
 * Fails: LIMIT_EXCEEDED (the buffer's cap; out may hold a part of the script).
 */
KS_MUST_USE ks_result ks_completion(const struct ks_command_table *table, struct ks_buffer *out);
