/*
 * loop: one thread that runs what servers, clients, streams and timers report, one callback at a
 * time. What belongs to one loop needs no lock.
 *
 * Callbacks must not block: work that can wait goes to a pool, which answers from its own thread.
 *
 * Threads: each function says from where it may be called.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/result.h"

#define KS_RPC_LOOP_NAME_MAX  15U  /* bytes: what Linux shows as a thread's name */
#define KS_RPC_LOOP_TURNS_MAX 256U /* events that what was deferred waits for */

struct ks_rpc_loop;
struct ks_rpc_timer;

/*
 * Starts the RPC library; its errors go to the log from then on. Called once, by main, before any
 * thread exists and after the signals that main waits for were blocked: the library's threads
 * inherit the mask, and one that does not block SIGTERM would take it. Also after daemonizing:
 * the library does not survive a fork.
 *
 * Also raises the least TLS version to 1.3 for the whole process.
 */
void ks_rpc_init(void);

/* Stops the library and joins its threads. After every server, channel and loop was freed. */
void ks_rpc_shutdown(void);

/* A running loop; name is copied and cut at KS_RPC_LOOP_NAME_MAX. Free with ks_rpc_loop_free. */
struct ks_rpc_loop *ks_rpc_loop_new(const char *name);

/*
 * Cancels the timers, runs what was posted, ends the thread and joins it. After the servers and
 * channels that use the loop were freed. Not from the loop's own thread. NULL is fine.
 */
void ks_rpc_loop_free(struct ks_rpc_loop *loop);

/* Whether the caller runs on the loop's thread. Any thread. */
bool ks_rpc_loop_is_current(const struct ks_rpc_loop *loop);

/*
 * Runs fn(arg) on the loop's thread, soon, never before returning; what one thread posts runs in
 * its order. Any thread, until ks_rpc_loop_free is called (and from the loop itself during it).
 */
void ks_rpc_loop_post(struct ks_rpc_loop *loop, void (*fn)(void *arg), void *arg);

/*
 * Waits until the loop has run all that was posted before, and has left what it was running. Not
 * from the loop's own thread. Before ks_rpc_loop_free.
 */
void ks_rpc_loop_await_turn(struct ks_rpc_loop *loop);

/*
 * Runs fn(arg) once the loop has dealt with all that is waiting for it at the moment, at the latest
 * after KS_RPC_LOOP_TURNS_MAX more callbacks: for a sender that puts what those bring into one
 * message. From the loop's thread.
 */
void ks_rpc_loop_defer(struct ks_rpc_loop *loop, void (*fn)(void *arg), void *arg);

/*
 * Runs fn(arg) on the loop's thread once delay_ms have passed; the returned timer is gone by then.
 * From the loop's thread. On ks_rpc_loop_free a timer goes without running.
 */
struct ks_rpc_timer *ks_rpc_loop_after(struct ks_rpc_loop *loop, int64_t delay_ms,
                                       void (*fn)(void *arg), void *arg);

/* The timer will not run, and is gone. From its loop's thread, before it ran. NULL is fine. */
void ks_rpc_timer_cancel(struct ks_rpc_timer *timer);
