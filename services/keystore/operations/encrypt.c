#include "keystead/kms/v1/crypto.pb-c.h"
#include "services/keystore/execute/call.h"
#include "services/keystore/operations/binding.h"
#include "services/keystore/operations/handlers.h"

static void is_encrypted(struct ks_call *call, ks_result result, const INTERNAL(HsmReply) * reply)
{
    const KMS(EncryptRequest) *request = (const KMS(EncryptRequest) *)call->request;
    if (ks_failed(result)) {
        ks_call_fail_hsm(call, result, KS_OK);
        return;
    }
    KMS(EncryptResponse) response = KMS_NEW(ENCRYPT_RESPONSE);
    if (request->dry_run) {
        response.dry_run = true;
        ks_call_reply(call, &response.base);
        return;
    }
    response.ciphertext_blob = reply->blob;
    response.key_id = call->targets[0].arn.text;
    response.encryption_algorithm =
        KMS_ENUM(ENCRYPTION_ALGORITHM__ENCRYPTION_ALGORITHM_SYMMETRIC_DEFAULT);
    ks_call_reply(call, &response.base);
}

void ks_run_encrypt(struct ks_call *call)
{
    const KMS(EncryptRequest) *request = (const KMS(EncryptRequest) *)call->request;
    const struct ks_target *target = &call->targets[0];
    INTERNAL(HsmEncrypt) encrypt = INTERNAL_NEW(HSM_ENCRYPT);
    encrypt.key = ks_binding_use(call, target, NULL);
    encrypt.plaintext = request->plaintext;
    encrypt.context =
        ks_binding_context(call, request->encryption_context, request->n_encryption_context);
    encrypt.n_context = request->n_encryption_context;
    INTERNAL(HsmRequest) ask = INTERNAL_NEW(HSM_REQUEST);
    ask.dry_run = request->dry_run;
    ask.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_ENCRYPT);
    ask.encrypt = &encrypt;
    ks_call_ask(call, &ask, is_encrypted);
}
