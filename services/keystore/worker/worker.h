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

/*
 * A worker that may be poked already and runs from ks_worker_start on; so what pokes it and what it
 * runs can be made in any order. Free with ks_worker_free.
 *
 * name       of the thread, at most 15 bytes; borrowed.
 */
struct ks_worker *ks_worker_new(const char *name, int64_t period_ms);

/*
 * Runs at once for the first time. run looks at ks_worker_is_stopping between steps that take long.
 * Fails: INTERNAL (no thread).
 */
KS_MUST_USE ks_result ks_worker_start(struct ks_worker *worker,
                                      void (*run)(void *user, struct ks_worker *worker),
                                      void *user);

/*
 * Waits until run has returned, and ends the thread; the worker may still be poked, in vain, until
 * it is freed. So what pokes it and what it uses can be freed in between.
 */
void ks_worker_stop(struct ks_worker *worker);

/* Stops, if that was not done. NULL is fine. */
void ks_worker_free(struct ks_worker *worker);

/* Run soon; what came while it runs makes it run once more. */
void ks_worker_poke(struct ks_worker *worker);

bool ks_worker_is_stopping(struct ks_worker *worker);
