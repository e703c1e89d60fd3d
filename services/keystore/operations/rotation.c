#include "keystead/kms/v1/rotation.pb-c.h"

#include "services/keystore/execute/call.h"
#include "services/keystore/operations/handlers.h"

/* No key's material is rotated yet. */
void ks_run_get_key_rotation_status(struct ks_call *call)
{
    KMS(GetKeyRotationStatusResponse) response = KMS_NEW(GET_KEY_ROTATION_STATUS_RESPONSE);
    response.key_rotation_enabled = false;
    response.key_id = call->targets[0].arn.text;
    ks_call_reply(call, &response.base);
}
