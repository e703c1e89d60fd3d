#include "keystead/kms/v1/crypto.pb-c.h"
#include "services/keystore/execute/call.h"
#include "services/keystore/operations/binding.h"
#include "services/keystore/operations/handlers.h"

static void is_decrypted(struct ks_call *call, ks_result result, const INTERNAL(HsmReply) * reply)
{
    const KMS(DecryptRequest) *request = (const KMS(DecryptRequest) *)call->request;
    if (ks_failed(result)) {
        ks_call_fail_hsm(call, result, KS_INVALID_CIPHERTEXT);
        return;
    }
    const struct ks_target *target = &call->targets[0];
    KMS(DecryptResponse) response = KMS_NEW(DECRYPT_RESPONSE);
    if (request->dry_run) {
        response.dry_run = true;
        ks_call_reply(call, &response.base);
        return;
    }
    response.key_id = ks_lend_text(target->arn.text);
    response.plaintext = reply->plaintext;
    response.encryption_algorithm =
        KMS_ENUM(ENCRYPTION_ALGORITHM__ENCRYPTION_ALGORITHM_SYMMETRIC_DEFAULT);
    response.key_material_id = ks_lend_text(target->material_id);
    ks_call_reply(call, &response.base);
}

void ks_run_decrypt(struct ks_call *call)
{
    const KMS(DecryptRequest) *request = (const KMS(DecryptRequest) *)call->request;
    const struct ks_target *target = &call->targets[0];
    if (!ks_binding_material(call, target)) {
        return;
    }
    INTERNAL(HsmDecrypt) decrypt = INTERNAL_NEW(HSM_DECRYPT);
    decrypt.key = ks_binding_use(call, target, target->material_id);
    decrypt.blob = request->ciphertext_blob;
    decrypt.context =
        ks_binding_context(call, request->encryption_context, request->n_encryption_context);
    decrypt.n_context = request->n_encryption_context;
    INTERNAL(HsmRequest) ask = INTERNAL_NEW(HSM_REQUEST);
    ask.dry_run = request->dry_run;
    ask.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_DECRYPT);
    ask.decrypt = &decrypt;
    ks_call_ask(call, &ask, is_decrypted);
}
