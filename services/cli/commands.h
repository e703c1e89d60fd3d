/*
 * commands: the table of all that the program can do. A new command is a row here, and a function
 * only if it is more than one call.
 *
 * Threads: constants; the functions are called once, by main.
 */
#pragma once

#include "services/cli/arguments/command.h"

extern const struct ks_command_table ks_commands;

/* What is more than one call; each prints what it was asked for and fails with cli->failure. */
ks_result ks_run_key_create(struct ks_cli *cli);
ks_result ks_run_encrypt(struct ks_cli *cli);
ks_result ks_run_decrypt(struct ks_cli *cli);
ks_result ks_run_re_encrypt(struct ks_cli *cli);
ks_result ks_run_data_key(struct ks_cli *cli);
ks_result ks_run_random(struct ks_cli *cli);
ks_result ks_run_user_certificate(struct ks_cli *cli);
ks_result ks_run_cluster_status(struct ks_cli *cli);
ks_result ks_run_zone_add(struct ks_cli *cli);
ks_result ks_run_zone_replace(struct ks_cli *cli);
ks_result ks_run_profile_list(struct ks_cli *cli);
ks_result ks_run_completion(struct ks_cli *cli);
ks_result ks_run_version(struct ks_cli *cli);
