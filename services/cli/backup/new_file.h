/*
 * new_file: a file that is written piece by piece and appears under its name only when it is whole
 * and on the disk. It never takes the place of another file.
 *
 * Threads: one at a time.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "pkg/base/bytes.h"
#include "services/cli/output/failure.h"

/* {.file = -1}: none. What is written stands in PATH.partial until it is whole. */
struct ks_new_file {
    int file;
    char path[PATH_MAX];
    char partial[PATH_MAX];
};

/*
 * Begins a file that only its owner may read. A PATH.partial that an earlier run has left is
 * removed.
 *
 * ret_new  {.file = -1}; the caller's, who ends it with ks_new_file_done. Unchanged in its file
 *          after a failure.
 *
 * Fails: ALREADY_EXISTS (there is something of that name), INTERNAL (it can't be written there).
 */
KS_MUST_USE ks_result ks_new_file_begin(const char *path, struct ks_new_file *ret_new,
                                        struct ks_failure *failure);

/* Writes the next bytes. Fails: INTERNAL (the disk is full, or has failed). */
KS_MUST_USE ks_result ks_new_file_write(struct ks_new_file *new_file, ks_bytes bytes,
                                        struct ks_failure *failure);

/*
 * Brings all of it to the disk, and gives it its name.
 * Fails: ALREADY_EXISTS (something has got that name meanwhile, and is left as it is), INTERNAL (the
 * file may have its name, but it is not certain that this outlasts a crash of the machine).
 */
KS_MUST_USE ks_result ks_new_file_keep(struct ks_new_file *new_file, struct ks_failure *failure);

/* Closes it, and removes what was not kept. */
void ks_new_file_done(struct ks_new_file *new_file);
#define KS_NEW_FILE_AUTO KS_CLEANUP(ks_new_file_done) struct ks_new_file
