/*
 * keystore: everything that lives as long as the process, made in order and taken down in reverse.
 *
 * Threads: start and stop on main's.
 */
#pragma once

#include "pkg/base/result.h"
#include "services/keystore/settings.h"

struct ks_keystore;

/*
 * Opens the copy, begins to look for the hsm, and serves. settings is borrowed until stop.
 * What fails is logged, with what to do about it.
 *
 * ret_keystore  to be stopped, also after a failure.
 *
 * Fails: as what could not be opened.
 */
KS_MUST_USE ks_result ks_keystore_start(const struct ks_keystore_settings *settings,
                                        struct ks_keystore **ret_keystore);

/* Says NOT_SERVING, serves on for the notice, lets requests end, and frees. NULL is fine. */
void ks_keystore_stop(struct ks_keystore *keystore);
