/*
 * folder: a folder of a test's own, and a pause.
 *
 * Whatever goes wrong ends the program. Threads: any.
 */
#pragma once

#include <stdint.h>

/* Makes a folder; the caller frees its name with ks_free after test_folder_remove. */
char *test_folder_new(const char *name);

/* Removes it with all that is in it. */
void test_folder_remove(const char *folder);

/* Waits. */
void test_sleep_ms(int64_t ms);
