/*
 * identity: reads the three PEM files of a listener or a channel, again when they change, and makes
 * the library's credentials of them.
 *
 * Private to pkg/rpc. Threads: one at a time (a server's is used under the library's lock, a
 * channel's on its loop).
 */
#pragma once

#include <stdbool.h>

#include <grpc/grpc_security.h>

#include "pkg/base/result.h"
#include "pkg/rpc/tls.h"

struct ks_rpc_identity;

/*
 * Makes an identity; never NULL. Copies the names and reads nothing. Free with
 * ks_rpc_identity_free.
 */
struct ks_rpc_identity *ks_rpc_identity_new(const struct ks_rpc_tls *tls);
void ks_rpc_identity_free(struct ks_rpc_identity *identity);

/*
 * Returns whether a file differs from the one that was read last, by its device, inode, size or
 * time of change.
 */
bool ks_rpc_identity_changed(const struct ks_rpc_identity *identity);

/*
 * Makes a listener's credentials. They require and verify a client certificate, and look at the
 * files for each connection. They borrow identity until the server that took them is destroyed.
 *
 * ret_credentials  the caller's, to release; untouched after a failure.
 *
 * Fails: VALIDATION (a file cannot be read, is empty or over KS_RPC_PEM_MAX).
 */
KS_MUST_USE ks_result ks_rpc_identity_serve(struct ks_rpc_identity *identity,
                                            grpc_server_credentials **ret_credentials);

/*
 * Makes a channel's credentials of the files as they are now. The handshake fails unless the server
 * chains to the CA and its one URI is server_spiffe (see client.h for a '/' at its end).
 *
 * ret_credentials  the caller's, to release; untouched after a failure.
 *
 * Fails: VALIDATION (as above).
 */
KS_MUST_USE ks_result ks_rpc_identity_connect(struct ks_rpc_identity *identity,
                                              const char *server_spiffe,
                                              grpc_channel_credentials **ret_credentials);
