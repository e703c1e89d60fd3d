/*
 * engine_suite: what both engines promise through store.h, as one set of tests.
 *
 * Threads: the test's own.
 */
#pragma once

#include "pkg/store/store.h"

struct engine_suite {
    const char *name;
    /* Fills what the engine needs for the test called test_name; the suite sets folder and callbacks. */
    void (*prepare)(struct ks_store_options *options, const char *test_name);
};

/* Runs every test; the count of failures. */
int engine_suite_run(const struct engine_suite *which);
