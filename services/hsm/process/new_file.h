/*
 * new_file: reads small files whole, and makes files that were not there before.
 *
 * Threads: one.
 */
#pragma once

#include <sys/types.h>

#include "pkg/base/bytes.h"

/*
 * Appends a file's bytes, at most what out has room for.
 * out  after a failure it may hold a part of them.
 * Fails: NOT_FOUND (it can't be opened), VALIDATION (empty, or too long), INTERNAL (it can't be read).
 * errno says why after NOT_FOUND and INTERNAL.
 */
KS_MUST_USE ks_result ks_file_read(const char *path, struct ks_buffer *out);

/*
 * Makes a file with these bytes and this mode, and syncs it and its folder. The bytes are written
 * beside it, under path.new, and get their name when they are whole; a path.new from an earlier
 * attempt is removed.
 * Fails: ALREADY_EXISTS (there is a file of that name, which stays as it is), INTERNAL (errno says why;
 * no file of that name was made).
 */
KS_MUST_USE ks_result ks_file_make(const char *path, ks_bytes bytes, mode_t mode);
