/*
 * emit: writes bytes to stdout or stderr, and not through stdio, whose buffers are not wiped.
 *
 * Threads: one.
 */
#pragma once

#include "pkg/base/bytes.h"
#include "services/cli/output/failure.h"

/* Writes all bytes. Fails: INTERNAL (the disk is full, or the reader has gone; a part may be out). */
KS_MUST_USE ks_result ks_emit(int file, ks_bytes bytes, struct ks_failure *failure);
