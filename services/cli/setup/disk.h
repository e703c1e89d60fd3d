/*
 * disk: reads and writes small files as a whole.
 *
 * Threads: any thread.
 */
#pragma once

#include <sys/types.h>

#include "pkg/base/bytes.h"
#include "services/cli/output/failure.h"

/*
 * Appends a file's bytes. After a failure out may hold a part of them.
 * Fails: NOT_FOUND (there is none), INTERNAL (it cannot be read), LIMIT_EXCEEDED (the buffer's cap).
 */
KS_MUST_USE ks_result ks_disk_read(const char *path, struct ks_buffer *out,
                                   struct ks_failure *failure);

/*
 * Writes a file by one rename, so that a reader sees the old bytes or the new ones, and syncs it.
 * PATH.new is made anew: a file that somebody else holds open there gets none of the bytes.
 * Fails: INTERNAL (the file is as it was; PATH.new may be left).
 */
KS_MUST_USE ks_result ks_disk_write(const char *path, ks_bytes bytes, mode_t mode,
                                    struct ks_failure *failure);
