/*
 * backup: the commands for backups of a cell: create, verify, list.
 *
 * Each function runs the command that cli->arguments holds, and notes the reason of a failure in
 * cli->failure.
 *
 * Threads: one; main calls one of them, once.
 */
#pragma once

#include "pkg/base/result.h"

struct ks_cli;

/*
 * Takes a backup from a keystore of the region and writes it to a new file, which is there whole or
 * not at all. A file of that name is never replaced.
 */
KS_MUST_USE ks_result ks_run_backup_create(struct ks_cli *cli);

/* Reads a file and says whether its bytes are as they were written. */
KS_MUST_USE ks_result ks_run_backup_verify(struct ks_cli *cli);

/* Prints what the backups in a folder say of themselves, the oldest first. */
KS_MUST_USE ks_result ks_run_backup_list(struct ks_cli *cli);
