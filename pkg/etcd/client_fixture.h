/*
 * client_fixture: one real member for a whole test program, a new client for each of its tests, and
 * what the tests of calls and of watches do with them.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/etcd/etcd.h"
#include "tests/harness/etcd_fixture.h"

/* A machine that builds at the same time may be slow: 256 handshakes take it ten seconds. The calls
 * that must time out ask for less. */
#define PATIENT_MS 20000

extern struct etcd_fixture *cell; /* from start_cell to stop_cell */
extern struct ks_etcd *client;    /* from open_client to close_client; a test may free it */

/* cmocka's set-up and tear-down: of the program, then of each test. */
int start_cell(void **state);
int stop_cell(void **state);
int open_client(void **state);
int close_client(void **state);

/* Options of a client that waits PATIENT_MS; pointers into the fixture. */
struct ks_etcd_options patient_options(const struct etcd_fixture *of);

/* Milliseconds of the boot clock. */
int64_t now_ms(void);

/* Operations on one key; they borrow their strings. */
struct ks_etcd_op put_op(const char *key, const char *value);
struct ks_etcd_op range_op(const char *key);

/* Puts one key in a transaction of its own; gives its revision. */
int64_t put(const char *key, const char *value);

/* Fails the test unless the key has this value; NULL: unless it is absent. */
void assert_value(const char *key, const char *expected);

/* Runs the client until *value has reached count; fails the test after PATIENT_MS. */
void run_until(const size_t *value, size_t count);

/* A call's end that must be DONE: user is a size_t, which is counted up. */
void count_done(void *user, const struct ks_etcd_answer *answer);

/* How a call ended; user of note_end. */
struct ended {
    size_t count;
    enum ks_etcd_cause cause;
    bool may_be_applied;
    int64_t at_ms;
};

void note_end(void *user, const struct ks_etcd_answer *answer);

/* Starts a put that ends in *ended. timeout_ms 0: the client's. */
void start_put(struct ended *ended, int64_t timeout_ms);
