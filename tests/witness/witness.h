/*
 * witness: sees what a test cannot see from inside: that a call aborts, and that memory was zeroed
 * before it was freed.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Whether fn ends the process with SIGABRT. It runs in a child, whose stderr is dropped. */
bool ks_witness_aborts(void (*fn)(void));

/* From now on looks at every free for len bytes at ptr, which stand in a heap block. */
void ks_witness_watch(const void *ptr, size_t len);

/* Whether the watched bytes were freed, and were all zero then. */
bool ks_witness_saw_wiped(void);
