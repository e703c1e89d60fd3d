/*
 * session: what is known of the client at the other end of a connection. It is read once from the
 * client's certificate, and is checked against the current identities at each call. A revocation
 * therefore counts as soon as it is known here, on open connections, too.
 *
 * Threads: a session belongs to one loop.
 */
#pragma once

#include <stdint.h>

#include "pkg/arn/arn.h"
#include "pkg/base/result.h"
#include "pkg/rcu/rcu.h"
#include "services/frontend/identity/identities.h"

struct ks_rpc_peer;

/* A record's key with its hash. */
struct ks_session_key {
    char text[KS_IDENTITY_KEY_MAX + 1];
    uint64_t hash;
};

struct ks_session {
    char account[KS_ACCOUNT_LEN + 1];
    char user[KS_USER_NAME_LEN_MAX + 1];
    struct ks_arn principal; /* arn:aws:iam::<account>:user/<user> */
    struct ks_session_key certificate_key;
    struct ks_session_key user_key;
    struct ks_session_key account_key;
    uint64_t good_in;     /* number of the last version that let it in; 0: none */
    int64_t not_after_ms; /* of the certificate, by that version */
};

/*
 * The listener's admit hook (ks_rpc_server_options): makes the session of a new connection. user is
 * the partition ("aws").
 * ret_session  a struct ks_session; ks_session_forget frees it. Untouched after a failure.
 * Fails: ACCESS_DENIED (the certificate is not a user's), UNAUTHENTICATED (it cannot be read).
 */
KS_MUST_USE ks_result ks_session_admit(void *user, const struct ks_rpc_peer *peer,
                                       void **ret_session);

/* The listener's forget hook: frees a session. user is not used. */
void ks_session_forget(void *user, void *session);

/*
 * Succeeds if the client may call just now: its certificate is on record, and neither revoked nor
 * expired, and the account and the user that it was issued to exist.
 *
 * session  remembers the version that was asked, so that the next call costs little.
 * now_ms   cell time (ks_lane_now_ms).
 *
 * Fails: UNAUTHENTICATED (the client may not call), UNAVAILABLE (no identities are known yet).
 */
KS_MUST_USE ks_result ks_session_check(struct ks_session *session, const struct ks_rcu *identities,
                                       int64_t now_ms);
