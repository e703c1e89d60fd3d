/*
 * admit: decides which peers may use control's listeners, by the path of their SPIFFE ID. TLS has
 * checked before that their certificates chain to the listener's root.
 *
 * Threads: pure over the arguments; any.
 */
#pragma once

#include "pkg/base/result.h"

struct ks_rpc_peer;

/*
 * The admin listener's admit hook: lets operators in. There is no session, so ret_session is never
 * written; user is not looked at.
 * Fails: ACCESS_DENIED (the peer is no operator).
 */
ks_result ks_admit_operator(void *user, const struct ks_rpc_peer *peer, void **ret_session);

/*
 * The internal listener's admit hook: lets keystores of any region in, with the same arguments.
 * Fails: ACCESS_DENIED (the peer is no keystore).
 */
ks_result ks_admit_keystore(void *user, const struct ks_rpc_peer *peer, void **ret_session);
