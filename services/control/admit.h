/*
 * admit: who may speak to control's listeners, by the path of their SPIFFE ID. The root has been
 * checked by TLS before.
 *
 * Threads: pure over the arguments; any.
 */
#pragma once

#include "pkg/base/result.h"

struct ks_rpc_peer;

/* user is not looked at. Fails: ACCESS_DENIED (no operator). */
ks_result ks_admit_operator(void *user, const struct ks_rpc_peer *peer, void **ret_session);

/* The same for keystores of any region. */
ks_result ks_admit_keystore(void *user, const struct ks_rpc_peer *peer, void **ret_session);
