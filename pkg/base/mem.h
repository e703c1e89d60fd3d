/*
 * mem: the only code that allocates. When memory is exhausted, the process aborts: recovery code
 * that no test reaches is worse than a restart, and whatever a client can grow meets its own bound
 * long before that.
 *
 * Threads: any thread.
 */
#pragma once

#include <stddef.h>

/* Runs fn on the address of the variable when it leaves its scope. */
#define KS_CLEANUP(fn) __attribute__((cleanup(fn)))

/* The number of elements of an array. Wrong for a pointer. */
#define KS_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Returns zeroed memory for count elements of size bytes; never NULL. Free with ks_free. */
void *ks_alloc(size_t count, size_t size);

/*
 * Grows or shrinks memory of ks_alloc and returns its new place; never NULL. What is added is not
 * zeroed. Not for secrets: the bytes at the old place are not wiped.
 */
void *ks_realloc(void *ptr, size_t count, size_t size);

/* Returns a copy of a C string on the heap; never NULL. Free with ks_free. */
char *ks_strdup(const char *text);

/* Frees what the functions above returned. NULL is allowed. */
void ks_free(void *ptr);

/* Cleanup for `KS_AUTO_FREE char *name`: frees the pointer at ptr_to_ptr. */
void ks_free_at(void *ptr_to_ptr);
#define KS_AUTO_FREE KS_CLEANUP(ks_free_at)

/* Zeroes len bytes. The compiler cannot optimise this away. */
void ks_wipe(void *ptr, size_t len);
