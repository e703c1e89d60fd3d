#include "services/keystore/serve/peer.h"

#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/rpc/server.h"

static bool is_admitted(const struct ks_spiffe *spiffe, const char *region)
{
    switch (spiffe->kind) {
    case KS_SPIFFE_FRONTEND:
    case KS_SPIFFE_KEYSTORE:
        return strcmp(spiffe->region, region) == 0;
    case KS_SPIFFE_OPERATOR:
        return true;
    default:
        return false;
    }
}

ks_result ks_peer_admit(void *user, const struct ks_rpc_peer *peer, void **ret_session)
{
    struct ks_spiffe spiffe;
    if (ks_failed(ks_spiffe_parse(ks_bytes_of(peer->spiffe), &spiffe)) ||
        !is_admitted(&spiffe, user)) {
        return KS_RES(ACCESS_DENIED);
    }
    struct ks_spiffe *session = ks_alloc(1, sizeof(*session));
    *session = spiffe;
    *ret_session = session;
    return KS_RES(OK);
}

void ks_peer_forget(void *user, void *session)
{
    (void)user;
    ks_free(session);
}

bool ks_peer_is(const struct ks_rpc_peer *peer, enum ks_spiffe_kind kind)
{
    const struct ks_spiffe *session = peer->session;
    return session && session->kind == kind;
}

const char *ks_peer_zone(const struct ks_rpc_peer *peer)
{
    const struct ks_spiffe *session = peer->session;
    return session->zone;
}
