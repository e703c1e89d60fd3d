/*
 * mem: the one place that allocates. Exhaustion aborts: an out-of-memory path that is never
 * tested is worse than a restart, and everything a client can grow has a bound long before.
 *
 * Threads: any.
 */
#pragma once

#include <stddef.h>

/* Runs fn on the address of the variable when it leaves its scope. */
#define KS_CLEANUP(fn) __attribute__((cleanup(fn)))

/* Elements of an array, not of a pointer. */
#define KS_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Zeroed memory for count elements of size bytes; never NULL. Free with ks_free. */
void *ks_alloc(size_t count, size_t size);

/* Grows or shrinks; what is added is not zeroed. Never for secrets: the old bytes stay behind. */
void *ks_realloc(void *ptr, size_t count, size_t size);

/* A heap copy of a C string; never NULL. Free with ks_free. */
char *ks_strdup(const char *text);

/* Frees what the above returned; NULL is fine. */
void ks_free(void *ptr);

/* Cleanup for `KS_AUTO_FREE char *name`: frees the pointer that stands in *ptr_to_ptr. */
void ks_free_at(void *ptr_to_ptr);
#define KS_AUTO_FREE KS_CLEANUP(ks_free_at)

/* Zeroes len bytes; the compiler may not leave it out. */
void ks_wipe(void *ptr, size_t len);
