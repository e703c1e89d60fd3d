/*
 * worker: a thread for work that may wait. It runs a function when it is poked, and once a period
 * even if it is not.
 *
 * Threads: `run` on the worker's thread, one at a time; the other functions from any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/result.h"

struct ks_worker;

/*
 * Makes a worker, which runs from ks_worker_start on. It may be poked before that, so that the
 * parts that poke it and those that it runs can be made in any order. Never NULL; free with
 * ks_worker_free.
 *
 * name  of the thread, at most 15 bytes; borrowed.
 */
struct ks_worker *ks_worker_new(const char *name, int64_t period_ms);

/*
 * Starts the thread, which calls run(user, worker) at once for the first time. run looks at
 * ks_worker_is_stopping between steps that take long.
 * Fails: INTERNAL (there is no thread to be had; run is never called).
 */
KS_MUST_USE ks_result ks_worker_start(struct ks_worker *worker,
                                      void (*run)(void *user, struct ks_worker *worker),
                                      void *user);

/*
 * Waits until run has returned, and ends the thread. The worker may still be poked until it is
 * freed; that has no effect. So the parts that it uses can be freed before those that poke it.
 */
void ks_worker_stop(struct ks_worker *worker);

/* Stops the worker if it runs, and frees it. NULL is fine. */
void ks_worker_free(struct ks_worker *worker);

/* Has run called soon; if it runs just now, it is called once more afterwards. */
void ks_worker_poke(struct ks_worker *worker);

/* Returns whether ks_worker_stop waits for run to return. */
bool ks_worker_is_stopping(struct ks_worker *worker);
