/*
 * softhsm_fixture: a SoftHSM2 token in a folder of its own, for tests. The folder goes when the
 * fixture does.
 *
 * Threads: one; SOFTHSM2_CONF names the newest fixture.
 */
#pragma once

#include "pkg/pkcs11/token.h"

#define SOFTHSM_PATH_MAX 512U
#define SOFTHSM_MODULE   "/usr/lib/softhsm/libsofthsm2.so"
#define SOFTHSM_LABEL    "zone-a"
#define SOFTHSM_PIN      "4711-correct"

struct softhsm {
    char folder[SOFTHSM_PATH_MAX];
    char pin_path[SOFTHSM_PATH_MAX + 16];
};

/* Makes the folder and the token, and sets SOFTHSM2_CONF. Ends the test if that fails. */
void softhsm_init(struct softhsm *softhsm);

/* One more token in the same folder. */
void softhsm_add_token(const char *label);

/* Writes text to a file that only its owner may read; the path is good until the next call. */
const char *softhsm_write_file(const struct softhsm *softhsm, const char *name, ks_bytes text);

/* The options that open the token. */
struct ks_token_options softhsm_options(const struct softhsm *softhsm);

/* Puts a data object into the token. */
void softhsm_put(const struct softhsm *softhsm, const char *label, ks_bytes data);

/* Copies all files of the tokens to a folder of that name, as a thief would. */
void softhsm_copy(const struct softhsm *softhsm, const char *name);

/* Opens a token of that copy, and closes it. Returns what came of it. */
ks_code softhsm_open_copy(const struct softhsm *softhsm, const char *name, const char *label,
                          const char *pin_path);

void softhsm_done(struct softhsm *softhsm);
