#include "keystead/kms/v1/crypto.pb-c.h"
#include "services/keystore/execute/call.h"
#include "services/keystore/operations/binding.h"
#include "services/keystore/operations/handlers.h"
#include "services/keystore/records/key.h"

/* Places in call->targets. */
enum { SOURCE, DESTINATION };

static void is_re_encrypted(struct ks_call *call, ks_result result,
                            const INTERNAL(HsmReply) * reply)
{
    const KMS(ReEncryptRequest) *request = (const KMS(ReEncryptRequest) *)call->request;
    if (ks_failed(result)) {
        ks_call_fail_hsm(call, result, KS_INVALID_CIPHERTEXT);
        return;
    }
    const struct ks_target *source = &call->targets[SOURCE];
    const struct ks_target *destination = &call->targets[DESTINATION];
    KMS(ReEncryptResponse) response = KMS_NEW(RE_ENCRYPT_RESPONSE);
    if (request->dry_run) {
        response.dry_run = true;
        ks_call_reply(call, &response.base);
        return;
    }
    response.ciphertext_blob = reply->blob;
    response.source_key_id = ks_lend_text(source->arn.text);
    response.key_id = ks_lend_text(destination->arn.text);
    response.source_encryption_algorithm =
        KMS_ENUM(ENCRYPTION_ALGORITHM__ENCRYPTION_ALGORITHM_SYMMETRIC_DEFAULT);
    response.destination_encryption_algorithm =
        KMS_ENUM(ENCRYPTION_ALGORITHM__ENCRYPTION_ALGORITHM_SYMMETRIC_DEFAULT);
    response.source_key_material_id = ks_lend_text(source->material_id);
    response.destination_key_material_id =
        ks_record_current_material(destination->key)->material_id;
    ks_call_reply(call, &response.base);
}

static void ask_hsm(struct ks_call *call)
{
    const KMS(ReEncryptRequest) *request = (const KMS(ReEncryptRequest) *)call->request;

    INTERNAL(HsmDecrypt) source = INTERNAL_NEW(HSM_DECRYPT);
    source.key = ks_binding_use(call, &call->targets[SOURCE], call->targets[SOURCE].material_id);
    source.blob = request->ciphertext_blob;
    source.context = ks_binding_context(call, request->source_encryption_context,
                                        request->n_source_encryption_context);
    source.n_context = request->n_source_encryption_context;

    INTERNAL(HsmReEncrypt) re_encrypt = INTERNAL_NEW(HSM_RE_ENCRYPT);
    re_encrypt.source = &source;
    re_encrypt.destination = ks_binding_use(call, &call->targets[DESTINATION], NULL);
    re_encrypt.destination_context = ks_binding_context(
        call, request->destination_encryption_context, request->n_destination_encryption_context);
    re_encrypt.n_destination_context = request->n_destination_encryption_context;

    INTERNAL(HsmRequest) ask = INTERNAL_NEW(HSM_REQUEST);
    ask.dry_run = request->dry_run;
    ask.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_RE_ENCRYPT);
    ask.re_encrypt = &re_encrypt;
    ks_call_ask(call, &ask, is_re_encrypted);
}

void ks_run_re_encrypt(struct ks_call *call)
{
    if (ks_binding_material(call, &call->targets[SOURCE])) {
        ask_hsm(call);
    }
}
