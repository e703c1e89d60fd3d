/*
 * commands: the commands of keystead-hsm. Each returns the process's exit code. If that is not
 * KS_EXIT_OK, it has said on stderr or in the log what is wrong.
 *
 * Threads: one.
 */
#pragma once

#include "services/hsm/settings/settings.h"

#define KS_EXIT_OK     0
#define KS_EXIT_FAILED 1 /* it was understood and did not work */
#define KS_EXIT_USAGE  2 /* it was not understood */

/* Makes the token; one that is there already is left as it is, which is success. */
int ks_hsm_command_token(const struct ks_hsm_settings *settings);

/* Makes the keys that the token does not have yet, and writes the certificate request. */
int ks_hsm_command_init(const struct ks_hsm_settings *settings);

/* Stores the certificate and pins the hsm root; both are paths of PEM or DER files. */
int ks_hsm_command_enrol(const struct ks_hsm_settings *settings, const char *certificate_path,
                         const char *root_path);

/*
 * Moves the hsm into another token with a new root key and a new node key, and destroys the old one's.
 * roster_path is the file of the region's newest roster. It must not be serving.
 */
int ks_hsm_command_renew(const struct ks_hsm_settings *settings, const char *token_label,
                         const char *pin_file, const char *roster_path);

/* Serves until SIGTERM. */
int ks_hsm_command_serve(const struct ks_hsm_settings *settings);

/* Asks the process that serves for its status, and prints it. Must run as the peer user. */
int ks_hsm_command_status(const struct ks_hsm_settings *settings);
