/*
 * peer: tells what is at the other end of a connection to the internal listener, by the SPIFFE path
 * of its certificate. TLS has checked that the certificate chains to the process root.
 *
 * Threads: constant once made; any.
 */
#pragma once

#include <stdbool.h>

#include "pkg/arn/spiffe.h"
#include "pkg/base/result.h"

struct ks_rpc_peer;

/*
 * The listener's admit hook; user is the region's name. Lets in frontends and keystores of the
 * region, and operators. Control is followed from here, and has nothing to ask.
 * ret_session  a struct ks_spiffe; ks_peer_forget frees it. Written on success only.
 * Fails: ACCESS_DENIED (the peer is anything else).
 */
ks_result ks_peer_admit(void *user, const struct ks_rpc_peer *peer, void **ret_session);

/* The listener's forget hook: frees a session. user is not used. */
void ks_peer_forget(void *user, void *session);

/* Returns whether the peer is of that kind; false for one that was not admitted. */
bool ks_peer_is(const struct ks_rpc_peer *peer, enum ks_spiffe_kind kind);

/*
 * Returns the zone that the certificate of a keystore names, borrowed as long as the connection.
 * The peer must be one for which ks_peer_is says that it is a keystore.
 */
const char *ks_peer_zone(const struct ks_rpc_peer *peer);
