/*
 * folder: a store's data folder: who owns it, and what is known before the copy is opened.
 *
 *   lock      flock'ed by the one process that uses the folder
 *   keystore  "<keystore id> <life>\n": made with the folder; the life is one more at each open
 *   marker    the state of a copy that is not forced to disk at each commit: "clean", or the boot
 *             id of the kernel under which it was written. After another boot such a copy may be
 *             damaged without a sign, so it is thrown away.
 *   copy/     LMDB: the records (copy.h)
 *   mirror/   LMDB: the records of another store (mirror.h)
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/mem.h"
#include "pkg/base/result.h"

#define KS_KEYSTORE_ID_LEN 32U /* hex digits */

struct ks_folder {
    char *path;
    int lock_fd;
    char keystore_id[KS_KEYSTORE_ID_LEN + 1];
    uint64_t life;
};

/*
 * Makes the folder if it is absent, locks it, begins its next life; that is on disk when this
 * returns. Fails: CONFLICT (another process holds the lock), INTERNAL (it can't be made or written).
 */
KS_MUST_USE ks_result ks_folder_open(const char *path, struct ks_folder *ret_folder);

/* Unlocks. The zero value is fine. */
void ks_folder_close(struct ks_folder *folder);

/*
 * A new identity in the same folder, from life 1: what was said under the old one counts no more.
 * Fails: INTERNAL.
 */
KS_MUST_USE ks_result ks_folder_renew(struct ks_folder *folder);

/* The path of `name` in the folder; the caller's to free. */
char *ks_folder_path(const struct ks_folder *folder, const char *name);

/* Whether a copy that was not forced to disk can be used: closed clean, or of this boot. */
bool ks_folder_is_intact(const struct ks_folder *folder);

enum ks_folder_mark {
    KS_FOLDER_CLEAN,   /* forced to disk and closed */
    KS_FOLDER_IN_USE,  /* being written under this boot */
    KS_FOLDER_DAMAGED, /* not to be used again */
};

/* Sets the marker; it is on disk when this returns. Fails: INTERNAL. */
KS_MUST_USE ks_result ks_folder_mark(const struct ks_folder *folder, enum ks_folder_mark mark);

/* Removes the files of the LMDB folder `name`; absent is fine. Fails: INTERNAL. */
KS_MUST_USE ks_result ks_folder_throw_away(const struct ks_folder *folder, const char *name);
