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

/* Returns whether this build locks memory and filters system calls. */
bool ks_confine_is_built_in(void);

/*
 * Keeps the process's memory out of core files, debuggers and swap. To be called before the first
 * key is in memory.
 *
 * locked_bytes    how much memory the process may need at most.
 * allow_unlocked  whether to go on, without locking, where RLIMIT_MEMLOCK is too low.
 * ret_locked      whether memory is locked now and from here on. Untouched after a failure.
 *
 * Fails: LIMIT_EXCEEDED (RLIMIT_MEMLOCK is less than locked_bytes and not allow_unlocked),
 * INTERNAL (the kernel refused).
 */
KS_MUST_USE ks_result ks_confine_memory(size_t locked_bytes, bool allow_unlocked, bool *ret_locked);

/*
 * Loads the filter of system calls, which can't be removed. A call that is not on the list fails
 * with EPERM, so that a library that tries to open a file goes on without it. An attempt to run a
 * program, to trace, or to read another process's memory kills the process.
 *
 * Fails: INTERNAL (the kernel has no seccomp, or refused).
 */
KS_MUST_USE ks_result ks_confine_calls(void);
