/*
 * session: who is at the other end of a connection to the internal listener, by its SPIFFE path.
 * TLS has checked that it chains to the process root.
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
 * ret_session  a struct ks_spiffe; ks_session_forget frees it.
 * Fails: ACCESS_DENIED (anybody else).
 */
ks_result ks_session_admit(void *user, const struct ks_rpc_peer *peer, void **ret_session);
void ks_session_forget(void *user, void *session);

/* Whether the peer is of that kind. */
bool ks_session_is(const struct ks_rpc_peer *peer, enum ks_spiffe_kind kind);

/* The zone that a keystore's certificate names. */
const char *ks_session_zone(const struct ks_rpc_peer *peer);
