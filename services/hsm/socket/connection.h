/*
 * connection: one client of the socket: frames in, frames out, both bounded.
 *
 * While a reply waits to be read, nothing more is taken from that client: its next requests stay in
 * the kernel's buffer, and others are served.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/bytes.h"

struct ks_hsm;

struct ks_connection {
    int fd;          /* -1: this place is free */
    uint32_t events; /* what epoll waits for: the loop's to keep */
    struct ks_buffer in;
    struct ks_buffer out;
};

/* Takes fd over. */
void ks_connection_init(struct ks_connection *connection, int fd);

/* Closes and wipes. A free place is fine. */
void ks_connection_done(struct ks_connection *connection);

/*
 * Reads what has come, answers whole frames, writes what can be written.
 * Fails: CANCELLED (the client has closed), VALIDATION, LIMIT_EXCEEDED (it sends what is no
 * request), INTERNAL (the socket). After any of them the connection is to be closed.
 */
KS_MUST_USE ks_result ks_connection_serve(struct ks_connection *connection, struct ks_hsm *hsm);

/* Whether it waits for room to write, not for bytes to read. */
bool ks_connection_waits_to_write(const struct ks_connection *connection);
