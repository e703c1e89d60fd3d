/*
 * commands: the table of all commands of the program, and the functions of those that are more
 * than one call and have no folder of their own. A new command is a row of the table; it needs a
 * function only when it is more than one call.
 *
 * Threads: constants; main calls one of the functions, once.
 */
#pragma once

#include "services/cli/arguments/command.h"

extern const struct ks_command_table ks_commands;

/*
 * Each function runs the command that cli->arguments holds, prints what it was asked for, and
 * notes the reason of a failure in cli->failure.
 */

/*
 * Makes a key, and its alias if one was asked for. Fails: as ks_call; the reason tells when the key
 * was made, but not the alias.
 */
KS_MUST_USE ks_result ks_run_key_create(struct ks_cli *cli);

/*
 * Makes a user's private key, unless it exists, and gets a certificate. Fails: as ks_call, and when
 * a file can't be read or written; a private key that was made stays.
 */
KS_MUST_USE ks_result ks_run_user_certificate(struct ks_cli *cli);

/*
 * Each prints what the program knows by itself.
 * Fails: VALIDATION (no completion for that shell), INTERNAL (it can't be printed), and as
 * ks_profile_folder.
 */
KS_MUST_USE ks_result ks_run_profile_list(struct ks_cli *cli);
KS_MUST_USE ks_result ks_run_completion(struct ks_cli *cli);
KS_MUST_USE ks_result ks_run_version(struct ks_cli *cli);
