/*
 * zone: the commands that sign and send a region's next roster, that give it its custodian kit, and
 * that rotate its domain key.
 *
 * Each function runs the command that cli->arguments holds, and notes the reason of a failure in
 * cli->failure. The roster's file is replaced once the region has taken the new roster; a command that
 * fails before that leaves the file as it was.
 *
 * Threads: one; main calls one of them, once.
 */
#pragma once

#include "pkg/base/result.h"

struct ks_cli;

/* Adds hsms to the roster. */
KS_MUST_USE ks_result ks_run_zone_add(struct ks_cli *cli);

/* Has the region's domain key rotated. */
KS_MUST_USE ks_result ks_run_cluster_rotate(struct ks_cli *cli);

/* Gives the region the custodian kit in a file. */
KS_MUST_USE ks_result ks_run_cluster_custodians(struct ks_cli *cli);

/* Puts new hsms in the place of their zones' old ones. */
KS_MUST_USE ks_result ks_run_zone_replace(struct ks_cli *cli);
