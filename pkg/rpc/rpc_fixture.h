/*
 * rpc_fixture: certificates, a loop, a server and a channel for the tests of pkg/rpc.
 *
 * Threads: the test's.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "pkg/rpc/client.h"
#include "pkg/rpc/loop.h"
#include "pkg/rpc/server.h"
#include "tests/harness/gauge.h"

#define FIXTURE_WAIT_MS GAUGE_WAIT_MS

/* Group setup and teardown: the library, two loops, and certificates in a folder of their own. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

extern struct ks_rpc_loop *fixture_loop;        /* servers' */
extern struct ks_rpc_loop *fixture_client_loop; /* channels' */

/*
 * Returns the files of a certificate of the folder; static memory, which the eighth call after
 * reuses.
 */
struct ks_rpc_tls fixture_tls(const char *root, const char *name);

/* The path of a file in the folder; borrowed as above. */
const char *fixture_path(const char *file);

/* Puts the contents of one file of the folder into another's place, by rename. */
void fixture_replace(const char *file, const char *with);

/* Fills what a test left empty (address, server certificate, loop) and starts it. */
struct ks_rpc_server *fixture_server(struct ks_rpc_server_options options);

/* A channel with that certificate; the server must be one of spiffe://test/server/. */
struct ks_rpc_channel *fixture_channel(const struct ks_rpc_server *server, const char *certificate);
struct ks_rpc_channel *fixture_channel_to(int port, struct ks_rpc_tls tls, const char *spiffe);

/* Makes a unary call and waits for it. The response is appended to `to`. */
ks_result fixture_call(struct ks_rpc_channel *channel, const char *method, ks_bytes request,
                       struct ks_buffer *to, struct ks_rpc_error *reterr_error);
