/*
 * process: what the long-running programs that speak RPC have in common: how they start, what they
 * tell the kernel about their memory and signals, and how they are stopped.
 *
 *     int main(int argc, char **argv)
 *     {
 *         ks_process_begin();
 *         ... read the settings ...
 *         if (ks_failed(ks_process_open("keystore", level))) {
 *             return EXIT_FAILURE;
 *         }
 *         ... start to serve ...
 *         ks_process_await_stop();
 *         ... stop serving ...
 *         ks_process_close();
 *     }
 *
 * Threads: main's.
 */
#pragma once

#include "pkg/base/log.h"
#include "pkg/base/result.h"

/*
 * Sets what holds for every thread, so main calls it first, before there is another thread:
 * - what was freed stays with the process, because to get it from the kernel again costs more than
 *   to use it: a process keeps the memory that it once needed;
 * - no core file is written and no process of the same user may attach a debugger, because keys and
 *   plaintexts are in memory;
 * - SIGPIPE is ignored: writing to a connection that is gone fails, and does not end the process;
 * - SIGTERM and SIGINT are blocked, and wait for ks_process_await_stop.
 */
void ks_process_begin(void);

/*
 * Opens the log under that name (borrowed for good), makes OpenSSL ready and starts the RPC
 * library.
 *
 * Fails: INTERNAL or UNSUPPORTED (OpenSSL cannot be used; the log says so). The RPC library was not
 * started then, and ks_process_close is not called.
 */
KS_MUST_USE ks_result ks_process_open(const char *name, enum ks_log_level level);

/* Waits for SIGTERM or SIGINT, logs it, and returns its number. */
int ks_process_await_stop(void);

/* Stops the RPC library. After every server, channel and loop was freed. */
void ks_process_close(void);
