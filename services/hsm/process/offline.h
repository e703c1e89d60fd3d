/*
 * offline: the commands for backups, which need no token and no running hsm: custodians, custodian box,
 * custodian open and restore-order. Each returns the process's exit code (commands.h) and has said on
 * stderr what is wrong if that is not KS_EXIT_OK. What a command makes is a new file: one that is there
 * is never written over, and after a failure no file is left half-written under its name.
 *
 * No command ever prints or writes a backup key.
 *
 * Threads: one.
 */
#pragma once

#include "services/hsm/process/commands.h"

/* Texts are as the command line gives them; NULL: not given. All borrowed. */
struct ks_offline_arguments {
    const char *region;
    const char *period;
    const char *threshold; /* NULL: 2 */
    const char *count;     /* NULL: 3 */
    const char *hsm_root;  /* folder with ca.key and ca.pem */
    const char *root;      /* a certificate's file */
    const char *source_root;
    const char *trust_domain; /* NULL: "keystead" */
    const char *out;
    const char *block;
    const char *custodians; /* as "1,3" */
    const char *key;
    const char *in;
    const char *challenge;
};

/* Makes the private keys of count custodians, and their kit, signed by the hsm root, in a folder. */
int ks_offline_custodians(const struct ks_offline_arguments *given);

/* Takes the box for a choice of custodians out of a key block. */
int ks_offline_box(const struct ks_offline_arguments *given);

/*
 * Opens a box with a custodian's key. Makes the box for the next custodian; at the last turn, the
 * backup key sealed to the hsm whose challenge is given.
 */
int ks_offline_open(const struct ks_offline_arguments *given);

/* Signs that the hsm of a challenge may take a key block over. */
int ks_offline_order(const struct ks_offline_arguments *given);
