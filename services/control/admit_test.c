#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/rpc/server.h"
#include "services/control/admit.h"

/* Who may speak at which door. */
static const struct {
    const char *spiffe;
    bool operator_door;
    bool keystore_door;
} peers[] = {
    {"spiffe://keystead/operator/alice", true, false},
    {"spiffe://keystead/region/ap-seoul-1/keystore/ap-seoul-1a", false, true},
    {"spiffe://keystead/region/us-oregon-1/keystore/us-oregon-1c", false, true},
    {"spiffe://keystead/region/ap-seoul-1/keystore/us-oregon-1a", false, false},
    {"spiffe://keystead/region/ap-seoul-1/frontend/frontend-1", false, false},
    {"spiffe://keystead/account/111122223333/user/alice", false, false},
    {"spiffe://keystead/control", false, false},
    {"spiffe://keystead/hsm/ap-seoul-1/ap-seoul-1a", false, false},
    {"spiffe://elsewhere/operator/alice", false, false},
    {"spiffe://keystead/operator/", false, false},
    {"spiffe://keystead/operator", false, false},
    {"spiffe://keystead/operator/alice/", false, false},
    {"spiffe://keystead/operator/alice/bob", false, false},
    {"SPIFFE://keystead/operator/alice", false, false},
    {"", false, false},
};

static ks_code at_door(ks_result (*door)(void *user, const struct ks_rpc_peer *peer,
                                         void **ret_session),
                       const char *spiffe)
{
    const struct ks_rpc_peer peer = {.spiffe = spiffe, .certificate_pem = "", .address = ""};
    void *session = NULL;
    ks_code code = door(NULL, &peer, &session).code;
    assert_null(session);
    return code;
}

static void each_door_lets_in_its_own_kind_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(peers); i++) {
        assert_int_equal(at_door(ks_admit_operator, peers[i].spiffe),
                         peers[i].operator_door ? KS_OK : KS_ACCESS_DENIED);
        assert_int_equal(at_door(ks_admit_keystore, peers[i].spiffe),
                         peers[i].keystore_door ? KS_OK : KS_ACCESS_DENIED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_door_lets_in_its_own_kind_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
