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
 * Makes a worker, which runs from ks_worker_start on. It may be poked before that, so what pokes it
 * and what it runs can be made in any order. Never NULL; ks_worker_free.
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
 * Waits until run has returned, and ends the thread. Until the worker is freed it may still be
 * poked, without effect, so what it uses can be freed before what pokes it.
 */
void ks_worker_stop(struct ks_worker *worker);

/* Stops the worker if it runs, and frees it. NULL is fine. */
void ks_worker_free(struct ks_worker *worker);

/* Has run called soon. A poke that comes while it runs has it called once more. */
void ks_worker_poke(struct ks_worker *worker);

/* Whether ks_worker_stop waits for run to return. */
bool ks_worker_is_stopping(struct ks_worker *worker);
