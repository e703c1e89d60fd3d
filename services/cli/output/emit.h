/*
 * emit: bytes onto stdout or stderr. Not through stdio, whose buffers are not wiped.
 *
 * Threads: one.
 */
#pragma once

#include "pkg/base/bytes.h"
#include "services/cli/output/failure.h"

/* Writes all of it. Fails: INTERNAL (the file is full, or who reads it has gone). */
KS_MUST_USE ks_result ks_emit(int file, ks_bytes bytes, struct ks_failure *failure);
