/*
 * home: says in which region a process is, and which other regions there are.
 *
 * Threads: constant after start; any.
 */
#pragma once

#include <stddef.h>

struct ks_home {
    const char *partition;            /* "aws" */
    const char *region;               /* "ap-seoul-1" */
    const char *const *known_regions; /* of the installation; its own may be among them */
    size_t known_region_count;
};
