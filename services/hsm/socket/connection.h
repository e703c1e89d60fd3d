/*
 * connection: serves one client of the socket, with bounded buffers for the frames that come and
 * go.
 *
 * While a client does not read its reply, nothing more is read from it: its next requests stay in
 * the kernel's buffer, and other clients are served.
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

/* Makes a connection of fd, which is taken over. */
void ks_connection_init(struct ks_connection *connection, int fd);

/* Closes the connection and wipes its buffers. A free place is fine. */
void ks_connection_done(struct ks_connection *connection);

/*
 * Reads what has come, answers whole frames, and writes what can be written.
 * Fails: CANCELLED (the client has closed the connection), VALIDATION and LIMIT_EXCEEDED (it sent
 * something that is no request), INTERNAL (the socket failed). The caller must then close the
 * connection.
 */
KS_MUST_USE ks_result ks_connection_serve(struct ks_connection *connection, struct ks_hsm *hsm);

/* Returns whether the connection waits for room to write, and not for bytes to read. */
bool ks_connection_waits_to_write(const struct ks_connection *connection);
