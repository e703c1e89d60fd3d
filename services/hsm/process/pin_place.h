/*
 * pin_place: tells where the token's PIN is, and refuses a place from which whoever gets the token's
 * files gets the PIN, too.
 *
 * SoftHSM2 keeps its keys in files that the PIN opens, so one disk or one backup with both gives
 * everything. A token of hardware has no files, and its PIN may lie anywhere.
 *
 * Threads: one.
 */
#pragma once

#include "services/hsm/settings/settings.h"

#define KS_PIN_PATH_LEN_MAX 2100U /* bytes, NUL included */

/*
 * Writes the path of the PIN file: pin_file, or the systemd credential that it names.
 * ret_path     untouched after a failure.
 * reterr_hint  what to do about it, a static string; written on failure only.
 * Fails: NOT_FOUND (pin_file names a credential, and systemd has given this process none).
 */
KS_MUST_USE ks_result ks_pin_place_find(const struct ks_hsm_settings *settings,
                                        char ret_path[static KS_PIN_PATH_LEN_MAX],
                                        const char **reterr_hint);

/*
 * Checks that the PIN file lies apart from the folder in which SoftHSM2 keeps its tokens: not in or
 * beside it, nor on its file system unless that is in memory. Nothing is checked if the settings say
 * `development`, or the module is not SoftHSM2.
 * reterr_hint  what to do about it, a static string; written on failure only.
 * Fails: ACCESS_DENIED (it does not), NOT_FOUND (PIN, token folder or SoftHSM2's configuration is not
 * to be found).
 */
KS_MUST_USE ks_result ks_pin_place_check(const struct ks_hsm_settings *settings,
                                         const char *pin_path, const char **reterr_hint);
