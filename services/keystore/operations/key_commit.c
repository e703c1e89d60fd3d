#include "services/keystore/operations/key_commit.h"

#include "services/keystore/execute/seal.h"
#include "services/keystore/records/name.h"

STORED(KeyRecord) ks_key_copy(const struct ks_call *call)
{
    return *call->targets[0].key;
}

static void compare_key(const struct ks_call *call, struct ks_change *change)
{
    const struct ks_target *target = &call->targets[0];
    struct ks_name name = ks_name_key(target->account, target->key_id);
    ks_change_compare(change, ks_name_bytes(&name), target->key_revision);
}

void ks_key_commit(struct ks_call *call, const STORED(KeyRecord) * record,
                   const ProtobufCMessage *response)
{
    const struct ks_seal seal = {&call->targets[0], record};
    ks_seal_commit(call, &seal, 1, NULL, response);
}

void ks_key_commit_unchanged(struct ks_call *call, const ProtobufCMessage *response)
{
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    compare_key(call, &change);
    ks_call_commit(call, &change, response);
}
