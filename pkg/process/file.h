/*
 * file: reads the small files that a program is configured with.
 *
 * Threads: any. It waits for the disk.
 */
#pragma once

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

/*
 * Appends the whole of a file to out.
 * Fails: NOT_FOUND (it can't be read), VALIDATION (it is longer than out's cap); out may then hold a
 * part of it.
 */
KS_MUST_USE ks_result ks_file_read(const char *path, struct ks_buffer *out);
