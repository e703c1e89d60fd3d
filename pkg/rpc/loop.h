/*
 * loop: one thread that runs the callbacks of servers, clients, streams and timers, one at a time.
 * Data that belongs to one loop needs no lock.
 *
 * Callbacks must not block: work that can wait goes to a pool, which answers from its own thread.
 *
 * Threads: each function says from where it may be called.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/result.h"

#define KS_RPC_LOOP_NAME_MAX 15U /* bytes: what Linux shows as a thread's name */

struct ks_rpc_loop;
struct ks_rpc_timer;

/*
 * Starts the RPC library; its errors go to the log from then on. It also raises the least TLS
 * version to 1.3 for the whole process. main calls this once, before any thread exists and after it
 * has blocked the signals that it waits for: the library's threads inherit the mask, and a thread
 * that does not block SIGTERM would receive it. A process that forks calls this afterwards, because
 * the library does not survive a fork.
 */
void ks_rpc_init(void);

/* Stops the library and joins its threads. Every server, channel and loop must have been freed. */
void ks_rpc_shutdown(void);

/*
 * Starts a loop; never NULL. name is copied and cut at KS_RPC_LOOP_NAME_MAX. Free with
 * ks_rpc_loop_free.
 */
struct ks_rpc_loop *ks_rpc_loop_new(const char *name);

/*
 * Cancels the timers, runs what was posted, ends the thread and joins it. The servers and channels
 * that use the loop must have been freed. Not to be called on the loop's own thread. NULL is fine.
 */
void ks_rpc_loop_free(struct ks_rpc_loop *loop);

/* Returns whether the caller runs on the loop's thread. Any thread. */
bool ks_rpc_loop_is_current(const struct ks_rpc_loop *loop);

/*
 * Runs fn(arg) on the loop's thread, soon and never inside this call. Functions that one thread
 * posts run in the order in which it posts them. May be called on any thread until ks_rpc_loop_free
 * is called, and on the loop itself during that.
 */
void ks_rpc_loop_post(struct ks_rpc_loop *loop, void (*fn)(void *arg), void *arg);

/*
 * Waits until the loop has run everything that was posted before, and has returned from it. Not to
 * be called on the loop's own thread, nor after ks_rpc_loop_free.
 */
void ks_rpc_loop_await_turn(struct ks_rpc_loop *loop);

/*
 * Runs fn(arg) on the loop's thread once delay_ms have passed. The timer that is returned is freed
 * before fn runs, or by ks_rpc_loop_free, without running. To be called on the loop's thread.
 */
struct ks_rpc_timer *ks_rpc_loop_after(struct ks_rpc_loop *loop, int64_t delay_ms,
                                       void (*fn)(void *arg), void *arg);

/* Frees a timer that has not run yet. To be called on its loop's thread. NULL is fine. */
void ks_rpc_timer_cancel(struct ks_rpc_timer *timer);
