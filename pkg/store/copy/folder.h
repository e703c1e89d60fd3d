/*
 * folder: a store's data folder: which process owns it, and what is known before the copy is
 * opened.
 *
 *   lock      flock'ed by the one process that uses the folder
 *   keystore  "<keystore id> <life>\n": made with the folder; the life is one more at each open
 *   marker    the state of a copy that is not forced to disk at each commit: "clean", or the boot
 *             id of the kernel under which it was written. After another boot such a copy may be
 *             damaged without a sign, so it is thrown away.
 *   refused   what etcd must have before this keystore goes on (anchor.h)
 *   time      cell time, as it was last saved: "<boot id>\n" and a text (engine/cell_clock.h)
 *   copy/     LMDB: the records (copy.h)
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
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
 * Makes the folder if it is absent, locks it, and begins its next life, which is on disk when this
 * returns. If the file `keystore` can't be read, the folder gets a new identity: the record of the
 * old one is struck in time.
 *
 * ret_folder  the caller's; close with ks_folder_close. Untouched after a failure.
 *
 * Fails: CONFLICT (another process holds the lock), INTERNAL (the folder can't be made or written).
 */
KS_MUST_USE ks_result ks_folder_open(const char *path, struct ks_folder *ret_folder);

/* Unlocks the folder and frees what the struct owns. The zero value is fine. */
void ks_folder_close(struct ks_folder *folder);

/*
 * Gives the folder a new identity, with life 1: what was said under the old one counts no more.
 * Fails: INTERNAL (no randomness, or the file can't be written): folder may then name an identity
 * that is not on disk, so the store must not go on with it.
 */
KS_MUST_USE ks_result ks_folder_renew(struct ks_folder *folder);

#define KS_FOLDER_FILE_MAX 128U /* bytes of a small file */

/*
 * Writes a small file of the folder, whole or not at all, and forces it to disk.
 * Fails: INTERNAL (it is longer than KS_FOLDER_FILE_MAX, or can't be written); the old one, if there
 * is one, stands then.
 */
KS_MUST_USE ks_result ks_folder_write(const struct ks_folder *folder, const char *name,
                                      ks_bytes bytes);

/*
 * Reads a small file of the folder. ret_bytes is unspecified, and ret_len untouched, after a
 * failure.
 * Fails: NOT_FOUND (there is none), INTERNAL (it can't be read).
 */
KS_MUST_USE ks_result ks_folder_read(const struct ks_folder *folder, const char *name,
                                     uint8_t ret_bytes[KS_FOLDER_FILE_MAX], size_t *ret_len);

/*
 * Removes a small file, and forces that to disk; an absent one is fine. Fails: INTERNAL (it may
 * still be there).
 */
KS_MUST_USE ks_result ks_folder_unlink(const struct ks_folder *folder, const char *name);

/* Returns the path of `name` in the folder, which the caller frees with ks_free. Never NULL. */
char *ks_folder_path(const struct ks_folder *folder, const char *name);

/*
 * Returns whether a copy that is not forced to disk at each commit can be used: it was closed
 * clean, or was written under this boot. False also if the marker can't be read.
 */
bool ks_folder_is_intact(const struct ks_folder *folder);

enum ks_folder_mark {
    KS_FOLDER_CLEAN,   /* forced to disk and closed */
    KS_FOLDER_IN_USE,  /* being written under this boot */
    KS_FOLDER_DAMAGED, /* not to be used again */
};

/*
 * Sets the marker, which is on disk when this returns. Fails: INTERNAL; the old one may stand then.
 */
KS_MUST_USE ks_result ks_folder_mark(const struct ks_folder *folder, enum ks_folder_mark mark);

#define KS_FOLDER_TIME_MAX 255U /* bytes of a text */

/*
 * Saves a text with the id of this boot. It is not forced to disk: after a loss of power there may
 * be an older text, or none. Returns false if it can't be written; the old one may stand then.
 */
bool ks_folder_save_time(const struct ks_folder *folder, const char *text);

/*
 * Reads the text that was saved last. Returns false, with the outputs unspecified, if there is none
 * or it can't be read.
 * ret_is_same_boot  whether it was saved under this boot.
 */
bool ks_folder_load_time(const struct ks_folder *folder, char ret_text[KS_FOLDER_TIME_MAX + 1],
                         bool *ret_is_same_boot);

/*
 * Removes the files of the LMDB folder `name`; absent ones are fine.
 * Fails: INTERNAL; some of the files may be left.
 */
KS_MUST_USE ks_result ks_folder_throw_away(const struct ks_folder *folder, const char *name);
