/*
 * contents: which records of a cell are in its backup. Whatever the table does not leave out is in
 * it, so that a kind of records which is added later is not lost.
 *
 * Threads: pure; any thread.
 */
#pragma once

#include <stdbool.h>

#include "pkg/base/bytes.h"

/* Returns whether the record of that key is in a backup. */
bool ks_backup_keeps(ks_bytes key);
