/*
 * settings: where the service is and which certificates to use. A setting comes from an option, else
 * from the environment, else from a profile; an empty value counts as none. Outputs are written on
 * success only, but for ks_profile_folder.
 *
 * A profile is a flat YAML file, $XDG_CONFIG_HOME/keystead/<profile>.yaml (~/.config if that is not
 * set), with one line for each setting. "default" is read when no other is named, and may be
 * absent.
 *
 * Threads: values; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "services/cli/arguments/arguments.h"

struct ks_failure;

/* Row: C name, name in a profile, option, environment, what its value is called, help. */
#define KS_SETTINGS(ROW)                                                                           \
    ROW(ENDPOINT, endpoint, "endpoint", "KEYSTEAD_ENDPOINT", "HOST:PORT[,...]",                    \
        "frontends of the region, tried in turn")                                                  \
    ROW(REGION, region, "region", "KEYSTEAD_REGION", "REGION",                                     \
        "the region that the endpoint must be of")                                                 \
    ROW(ACCOUNT, account, "account", "KEYSTEAD_ACCOUNT", "ACCOUNT", "12 digits")                   \
    ROW(KEY, key, "key", "KEYSTEAD_KEY", "KEY",                                                    \
        "key id, key ARN, alias/name or alias ARN: the default where a key is only used")          \
    ROW(CA, ca, "ca", "KEYSTEAD_CA", "FILE", "root that servers chain to, PEM")                    \
    ROW(CERT, cert, "cert", "KEYSTEAD_CERT", "FILE", "certificate of the user, PEM")               \
    ROW(CERT_KEY, cert_key, "cert-key", "KEYSTEAD_CERT_KEY", "FILE", "its private key, PEM")       \
    ROW(ADMIN_ENDPOINT, admin_endpoint, "admin-endpoint", "KEYSTEAD_ADMIN_ENDPOINT",               \
        "HOST:PORT[,...]", "the control plane, for accounts and users")                            \
    ROW(OPERATOR_CERT, operator_cert, "operator-cert", "KEYSTEAD_OPERATOR_CERT", "FILE",           \
        "certificate of the operator, PEM")                                                        \
    ROW(OPERATOR_CERT_KEY, operator_cert_key, "operator-cert-key", "KEYSTEAD_OPERATOR_CERT_KEY",   \
        "FILE", "its private key, PEM")                                                            \
    ROW(CLUSTER, cluster, "cluster", "KEYSTEAD_CLUSTER", "FILE",                                   \
        "where the processes are, for 'backup', 'cluster' and 'zone'")

#define KS_SETTING_ENUM(name, field, option, environment, value, help) KS_SETTING_##name,
enum ks_setting { KS_SETTINGS(KS_SETTING_ENUM) KS_SETTING_COUNT };
#undef KS_SETTING_ENUM

#define KS_PROFILE_NAME_MAX 64U

struct ks_profile; /* a profile's texts */

/* {0} is empty. */
struct ks_settings {
    const char *values[KS_SETTING_COUNT]; /* NULL: not set. Borrowed from one of the three */
    struct ks_profile *profile;
};

/* The options of every command, settings and a few more; for the table of commands. */
#define KS_GLOBAL_OPTION_COUNT (KS_SETTING_COUNT + 5)
extern const struct ks_option ks_global_options[KS_GLOBAL_OPTION_COUNT];

/*
 * Loads all settings.
 *
 * ret_settings  zeroed by the caller; borrows from arguments and the environment. Free with
 *               ks_settings_done.
 * Fails: VALIDATION (a profile is malformed or its name is none), NOT_FOUND (it does not exist).
 */
KS_MUST_USE ks_result ks_settings_load(const struct ks_arguments *arguments,
                                       struct ks_settings *ret_settings,
                                       struct ks_failure *failure);
void ks_settings_done(struct ks_settings *settings);

/*
 * Reads a setting without which the command cannot run.
 * Fails: VALIDATION (it is not set; failure names option and environment).
 */
KS_MUST_USE ks_result ks_settings_need(const struct ks_settings *settings, enum ks_setting which,
                                       const char **ret_value, struct ks_failure *failure);

/*
 * Reads the setting whose option has that name ("key"), which must be one of KS_SETTINGS.
 * Fails: as above.
 */
KS_MUST_USE ks_result ks_settings_need_option(const struct ks_settings *settings,
                                              const char *option, const char **ret_value,
                                              struct ks_failure *failure);

/* ---- Profiles as files ---- */

/*
 * Finds the folder of profiles.
 *
 * ret_path  path_len bytes, the caller's. Unspecified after a failure.
 *
 * Fails: NOT_FOUND (neither XDG_CONFIG_HOME nor HOME is set), LIMIT_EXCEEDED (the path is too long).
 */
KS_MUST_USE ks_result ks_profile_folder(char *ret_path, size_t path_len);

/* Returns whether name has only letters, digits, '.', '_' and '-', and does not begin with '.'. */
bool ks_profile_name_is_valid(const char *name);

/*
 * Reads one profile by its name; free it with ks_profile_free.
 * Fails: as ks_settings_load.
 */
KS_MUST_USE ks_result ks_profile_read(const char *name, struct ks_profile **ret_profile,
                                      struct ks_failure *failure);
void ks_profile_free(struct ks_profile *profile);

/* Returns a setting of the profile, borrowed from it; "" when the profile does not have it. */
const char *ks_profile_get(const struct ks_profile *profile, enum ks_setting which);
