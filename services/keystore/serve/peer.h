/*
 * peer: what is at the other end of a connection to the internal listener, by its SPIFFE path. TLS
 * has checked that its certificate chains to the process root.
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
 * region, control, and operators.
 * ret_session  a struct ks_spiffe; ks_peer_forget frees it. Written on success only.
 * Fails: ACCESS_DENIED (anything else).
 */
ks_result ks_peer_admit(void *user, const struct ks_rpc_peer *peer, void **ret_session);
void ks_peer_forget(void *user, void *session);

/* Whether the peer is of that kind; false for one that was not admitted. */
bool ks_peer_is(const struct ks_rpc_peer *peer, enum ks_spiffe_kind kind);

/* The zone that a keystore's certificate names; borrowed as long as the connection. */
const char *ks_peer_zone(const struct ks_rpc_peer *peer);
