#include "keystead/kms/v1/keys.pb-c.h"
#include "services/keystore/execute/call.h"
#include "services/keystore/execute/limits.h"
#include "services/keystore/operations/handlers.h"
#include "services/keystore/operations/metadata.h"

bool ks_check_describe_key(struct ks_call *call)
{
    const KMS(DescribeKeyRequest) *request = (const KMS(DescribeKeyRequest) *)call->request;
    return ks_limit_grant_tokens(call, request->n_grant_tokens);
}

/* Any state. AWS KMS API: DescribeKey. */
void ks_run_describe_key(struct ks_call *call)
{
    const struct ks_target *target = &call->targets[0];
    KMS(DescribeKeyResponse) response = KMS_NEW(DESCRIBE_KEY_RESPONSE);
    response.key_metadata = ks_metadata_of(call, target->key, &target->arn);
    ks_call_reply(call, &response.base);
}
