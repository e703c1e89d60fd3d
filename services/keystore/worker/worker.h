/*
 * worker: a thread for work that may wait: it runs a function when poked, and once a period anyway.
 *
 * Threads: `run` on the worker's thread, one at a time; the other functions from any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/result.h"

struct ks_worker;

struct ks_worker_options {
    const char *name; /* of the thread, at most 15 bytes */
    int64_t period_ms;
    /* Looks at ks_worker_is_stopping between steps that take long. */
    void (*run)(void *user, struct ks_worker *worker);
    void *user;
};

/* Starts; runs at once for the first time. Free with ks_worker_free. Fails: INTERNAL (no thread). */
KS_MUST_USE ks_result ks_worker_new(const struct ks_worker_options *options,
                                    struct ks_worker **ret_worker);

/* Waits until run has returned, and ends the thread. NULL is fine. */
void ks_worker_free(struct ks_worker *worker);

/* Run soon; what came while it runs makes it run once more. NULL is fine. */
void ks_worker_poke(struct ks_worker *worker);

/* Tells it to end, without waiting: for several that are freed one after the other. */
void ks_worker_stop(struct ks_worker *worker);

bool ks_worker_is_stopping(struct ks_worker *worker);
