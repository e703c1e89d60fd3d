/*
 * anchor: the last transaction that a copy knows; and the file `refused` of a data folder, which
 * holds one. The file is there from the moment on when this keystore found that etcd has another
 * history than its copy (or none), and names what etcd must have before the keystore goes on. It
 * outlives restarts, and the copy itself.
 *
 *   form 1 byte | cluster id 8 | epoch's revision 8 | revision 8 | nonce 16 | epoch, up to 39
 *   | checksum 4 bytes over all before it
 *
 * Threads: one.
 */
#pragma once

#include "pkg/store/copy/copy.h"
#include "pkg/store/copy/folder.h"

/* Whose log the transaction is in, its revision and its nonce. */
struct ks_anchor {
    struct ks_copy_source source;
    int64_t revision; /* of the transaction, and so of the revision record that it put */
    struct ks_nonce nonce;
};

/*
 * Writes the file, which is on disk when this returns.
 * Fails: INTERNAL (it can't be written); an older one may stand then.
 */
KS_MUST_USE ks_result ks_anchor_write(const struct ks_folder *folder,
                                      const struct ks_anchor *anchor);

/*
 * Reads the file.
 * ret_anchor  untouched after a failure.
 * Fails: NOT_FOUND (there is none: nothing is refused), CORRUPT (it has no right form: nobody knows
 * what was refused, so the store must not go on).
 */
KS_MUST_USE ks_result ks_anchor_read(const struct ks_folder *folder, struct ks_anchor *ret_anchor);

/* Removes the file; an absent one is fine. Fails: INTERNAL (it may still be there). */
KS_MUST_USE ks_result ks_anchor_remove(const struct ks_folder *folder);
