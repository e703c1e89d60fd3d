#include "keystead/kms/v1/keys.pb-c.h"
#include "services/keystore/execute/call.h"
#include "services/keystore/operations/handlers.h"
#include "services/keystore/operations/metadata.h"

/* Any state. AWS KMS API: DescribeKey. */
void ks_run_describe_key(struct ks_call *call)
{
    const struct ks_target *target = &call->targets[0];
    KMS(DescribeKeyResponse) response = KMS_NEW(DESCRIBE_KEY_RESPONSE);
    response.key_metadata = ks_metadata_of(call, target->key, &target->arn);
    ks_call_reply(call, &response.base);
}
