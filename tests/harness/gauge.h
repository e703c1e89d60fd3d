/*
 * gauge: how a test waits: for a number that callbacks raise, or, where nothing calls back, for a
 * condition. Both fail the test after GAUGE_WAIT_MS.
 *
 * Threads: any.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#define GAUGE_WAIT_MS 10000 /* for what must happen */

struct gauge {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int value; /* guarded by lock */
};
#define GAUGE_INIT                                                                                 \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0                                     \
    }

/* Adds one and wakes those that wait. */
void gauge_raise(struct gauge *gauge);

/* Makes it value and wakes those that wait. */
void gauge_set(struct gauge *gauge, int value);

int gauge_read(struct gauge *gauge);

/* Makes it 0. */
void gauge_reset(struct gauge *gauge);

/* Waits until it is at least value. */
void gauge_await(struct gauge *gauge, int value);

/* Waits until the expression is true; it is evaluated about once a millisecond, in this thread. */
#define await_true(expression)                                                                     \
    do {                                                                                           \
        for (int await_ms_ = 0; !(expression); await_ms_++) {                                      \
            gauge_nap(await_ms_, #expression, __FILE__, __LINE__);                                 \
        }                                                                                          \
    } while (0)

/* await_true's own. Sleeps for a millisecond; fails the test when GAUGE_WAIT_MS have been slept. */
void gauge_nap(int slept_ms, const char *expression, const char *file, int line);
