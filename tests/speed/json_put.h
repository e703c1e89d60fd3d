/*
 * json_put: single puts through etcd's JSON gateway, over HTTP/1.1. It is the yardstick that
 * figures are compared with, so it stays as it is and shares no code with pkg/etcd.
 *
 * Threads: one.
 */
#pragma once

#include "pkg/base/bytes.h"

#define JSON_PUTS_MAX    256U /* under way at a time */
#define JSON_PUT_BROKEN  2U   /* code: no answer in time, or the connection broke */
#define JSON_PUT_REFUSED 10U  /* code: an HTTP status other than 200 */

struct json_puts;

/* code  0: done. */
typedef void json_put_done(void *user, unsigned code);

/*
 * Connects to one member ("https://127.0.0.1:2379") with PEM files. Arguments are copied. Ends the
 * program if libcurl can't be used.
 */
struct json_puts *json_puts_new(const char *endpoint, const char *ca_file, const char *cert_file,
                                const char *key_file);

/* Frees it, and with it what is under way, which makes no callback any more. */
void json_puts_free(struct json_puts *puts);

/*
 * Starts one put, which ends in done, made by json_puts_run. Ends the program if JSON_PUTS_MAX are
 * under way.
 */
void json_put(struct json_puts *puts, ks_bytes key, ks_bytes value, json_put_done *done,
              void *user);

/* Waits at most timeout_ms until something can be done, and does it. */
void json_puts_run(struct json_puts *puts, int64_t timeout_ms);

/* Returns how many puts are under way. */
size_t json_puts_pending(const struct json_puts *puts);
