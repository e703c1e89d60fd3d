/*
 * keystore: everything that lives as long as the process; it is made in order and taken down in
 * reverse.
 *
 * Threads: main's thread starts and stops it.
 */
#pragma once

#include "pkg/base/result.h"
#include "services/keystore/settings.h"

struct ks_keystore;

/*
 * Opens the copy, begins to look for the hsm, and serves. settings is borrowed until
 * ks_keystore_stop. A failure is logged, with what to do about it.
 *
 * ret_keystore  written in any case: the caller's, who frees it with ks_keystore_stop after a
 *               failure, too.
 *
 * Fails: with the failure of the part that could not be opened: as ks_store_new and ks_identities_new,
 * as the listener does, INTERNAL (no thread or descriptor is left).
 */
KS_MUST_USE ks_result ks_keystore_start(const struct ks_keystore_settings *settings,
                                        struct ks_keystore **ret_keystore);

/*
 * Tells health checks NOT_SERVING, serves on for settings->drain_notice_ms, lets requests end for
 * at most drain_grace_ms, then frees everything. NULL is fine.
 */
void ks_keystore_stop(struct ks_keystore *keystore);
