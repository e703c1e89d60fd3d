/*
 * skip: how a test says that it can't run here. tests/suites counts such tests and shows why.
 *
 * Only for what a machine may lack by its nature (root, a kernel's permission, a build without
 * sanitizers). What deploy/install installs is there: a test that misses it fails.
 *
 * Threads: the test's.
 */
#pragma once

/* Ends the running test. why: ends a sentence, printed for the suite. The caller includes cmocka.h. */
#define skip_because(why)                                                                          \
    do {                                                                                           \
        print_message("[  BECAUSE ] %s\n", why);                                                   \
        skip();                                                                                    \
    } while (0)
