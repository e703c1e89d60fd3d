/*
 * peer: finds out what is at the other end of a connection, once for each connection, and remembers
 * it.
 *
 * The library gives all calls of a connection the same authentication context. Its address is the
 * key of the entry: while the entry holds the context, no other connection can have that address. A
 * connection that has ended keeps its entry until another one needs the place.
 *
 * Private to pkg/rpc. Threads: a cache belongs to one loop; a peer is counted, any thread.
 */
#pragma once

#include <grpc/grpc.h>

#include "pkg/rpc/server.h"

#define KS_RPC_PEERS_MAX 512U /* remembered connections on one loop */

struct ks_rpc_known_peer; /* a counted ks_rpc_peer */

struct ks_rpc_peers {
    const struct ks_rpc_server_options *options; /* for admit and forget */
    struct ks_rpc_known_peer *entries[KS_RPC_PEERS_MAX];
};

/*
 * Finds the peer of call, asking admit if it is new.
 *
 * ret_peer  with a ref for the caller, also on failure.
 * Fails: UNAUTHENTICATED (nobody: a plaintext connection, or the certificate has ended), or what
 * admit said.
 */
KS_MUST_USE ks_result ks_rpc_peers_find(struct ks_rpc_peers *peers, grpc_call *call,
                                        struct ks_rpc_known_peer **ret_peer);

/* Returns whether the peer's certificate has ended since. */
bool ks_rpc_peer_has_ended(const struct ks_rpc_peer *peer);

const struct ks_rpc_peer *ks_rpc_known_peer(const struct ks_rpc_known_peer *peer);
void ks_rpc_known_peer_unref(struct ks_rpc_known_peer *peer);

/* Drops every entry. */
void ks_rpc_peers_done(struct ks_rpc_peers *peers);
