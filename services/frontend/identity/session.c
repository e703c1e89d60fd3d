#include "services/frontend/identity/session.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pkg/arn/spiffe.h"
#include "pkg/base/hash.h"
#include "pkg/base/mem.h"
#include "pkg/crypto/x509.h"
#include "pkg/rpc/server.h"

__attribute__((format(printf, 2, 3))) static void set_key(struct ks_session_key *key,
                                                          const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(key->text, sizeof(key->text), format, args);
    va_end(args);
    assert(len > 0 && (size_t)len < sizeof(key->text));

    key->hash = ks_plain_hash(ks_bytes_of(key->text));
}

ks_result ks_session_admit(void *user, const struct ks_rpc_peer *peer, void **ret_session)
{
    struct ks_spiffe spiffe;
    if (ks_failed(ks_spiffe_parse(ks_bytes_of(peer->spiffe), &spiffe)) ||
        spiffe.kind != KS_SPIFFE_ACCOUNT_USER) {
        return KS_RES(ACCESS_DENIED);
    }
    struct ks_x509_info info;
    if (ks_failed(ks_x509_read(ks_bytes_of(peer->certificate_pem), &info))) {
        return KS_RES(UNAUTHENTICATED);
    }
    struct ks_session *session = ks_alloc(1, sizeof(*session));
    memcpy(session->account, spiffe.account, sizeof(session->account));
    memcpy(session->user, spiffe.name, sizeof(session->user));
    ks_arn_of_user(user, session->account, session->user, &session->principal);
    set_key(&session->certificate_key, "certificate/%s", info.serial_hex);
    set_key(&session->user_key, "user/%s/%s", session->account, session->user);
    set_key(&session->account_key, "account/%s", session->account);
    *ret_session = session;
    return KS_RES(OK);
}

void ks_session_forget(void *user, void *session)
{
    (void)user;
    ks_free(session);
}

static const struct ks_identity *find(const struct ks_identities *identities,
                                      const struct ks_session_key *key)
{
    return ks_identities_find(identities, key->text, key->hash);
}

/* Whether the records let the session in. */
static bool is_good(const struct ks_session *session, const struct ks_identities *identities,
                    int64_t *ret_not_after_ms)
{
    const struct ks_identity *certificate = find(identities, &session->certificate_key);
    const struct ks_identity *user = find(identities, &session->user_key);
    if (!certificate || !user || !find(identities, &session->account_key)) {
        return false;
    }
    *ret_not_after_ms = certificate->not_after_ms;
    return certificate->revoked_at_ms == 0 && strcmp(certificate->account, session->account) == 0 &&
           strcmp(certificate->user, session->user) == 0 && user->user_id[0] != 0 &&
           strcmp(certificate->user_id, user->user_id) == 0;
}

ks_result ks_session_check(struct ks_session *session, const struct ks_rcu *identities,
                           int64_t now_ms)
{
    KS_RCU_AUTO snapshot = ks_rcu_acquire(identities);
    if (!snapshot.version) {
        return KS_RES(UNAVAILABLE);
    }
    uint64_t number = ks_identities_number(snapshot.version);
    if (session->good_in != number) {
        session->good_in = is_good(session, snapshot.version, &session->not_after_ms) ? number : 0;
    }
    bool good = session->good_in == number && now_ms < session->not_after_ms;
    return good ? KS_RES(OK) : KS_RES(UNAUTHENTICATED);
}
