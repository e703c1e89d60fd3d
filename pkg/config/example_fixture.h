/*
 * example_fixture: the claim that a program's example in the tree is what the program prints: one of
 * them alone would grow old.
 *
 * Threads: one.
 */
#pragma once

#include "pkg/config/config.h"

/* Fails the cmocka test unless the file holds the table's example, byte for byte. */
void ks_example_assert_stored(const struct ks_config_table *table, const char *path);
