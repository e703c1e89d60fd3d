/*
 * confine: takes from the process what it does not need to serve: core files, a debugger's access,
 * swapping, new privileges, and nearly every system call.
 *
 * Builds with a sanitizer lock no memory and load no filter: sanitizers map terabytes and open
 * files of /proc.
 *
 * Threads: one, and no other may exist yet.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "pkg/base/result.h"

/* Whether this build locks memory and filters system calls. */
bool ks_confine_is_built_in(void);

/*
 * No core file, no debugger, no secrets in swap. Before the first key is in memory.
 *
 * locked_bytes    what the process may need at most.
 * allow_unlocked  go on where the limit forbids it.
 * ret_locked      whether memory is locked now and from here on. Untouched after a failure.
 *
 * Fails: LIMIT_EXCEEDED (RLIMIT_MEMLOCK is less than locked_bytes and not allow_unlocked),
 * INTERNAL (the kernel refused).
 */
KS_MUST_USE ks_result ks_confine_memory(size_t locked_bytes, bool allow_unlocked, bool *ret_locked);

/*
 * Loads the filter; there is no way back. What is not on the list fails with EPERM, so that a
 * library that tries to open a file goes on without it; running a program, tracing and reading
 * another process's memory kill the process.
 *
 * Fails: INTERNAL (the kernel has no seccomp, or refused).
 */
KS_MUST_USE ks_result ks_confine_calls(void);
