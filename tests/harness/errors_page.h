/*
 * errors_page: the methods that docs/errors.md lists as those that an empty message changes
 * something through. Each listener's test compares them with what its methods do.
 *
 * Threads: the test's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Returns whether the page lists the method: "/keystead.kms.v1.KeyManagementService/CreateKey". */
bool errors_page_lists(const char *path);

/* Returns how many listed methods' paths begin so; "/": how many there are. */
size_t errors_page_count(const char *prefix);
