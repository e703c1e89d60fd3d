#include "services/control/admit.h"

#include "pkg/arn/spiffe.h"
#include "pkg/rpc/server.h"

static ks_result admit(const struct ks_rpc_peer *peer, enum ks_spiffe_kind wanted)
{
    struct ks_spiffe spiffe;
    if (ks_failed(ks_spiffe_parse(ks_bytes_of(peer->spiffe), &spiffe)) || spiffe.kind != wanted) {
        return KS_RES(ACCESS_DENIED);
    }
    return KS_RES(OK);
}

ks_result ks_admit_operator(void *user, const struct ks_rpc_peer *peer, void **ret_session)
{
    (void)user;
    (void)ret_session;
    return admit(peer, KS_SPIFFE_OPERATOR);
}

ks_result ks_admit_keystore(void *user, const struct ks_rpc_peer *peer, void **ret_session)
{
    (void)user;
    (void)ret_session;
    return admit(peer, KS_SPIFFE_KEYSTORE);
}
