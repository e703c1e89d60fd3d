#include "keystead/kms/v1/crypto.pb-c.h"
#include "services/keystore/execute/call.h"
#include "services/keystore/operations/handlers.h"

static void is_drawn(struct ks_call *call, ks_result result, const INTERNAL(HsmReply) * reply)
{
    if (ks_failed(result)) {
        ks_call_fail_hsm(call, result, KS_OK);
        return;
    }
    KMS(GenerateRandomResponse) response = KMS_NEW(GENERATE_RANDOM_RESPONSE);
    response.plaintext = reply->plaintext;
    ks_call_reply(call, &response.base);
}

void ks_run_generate_random(struct ks_call *call)
{
    const KMS(GenerateRandomRequest) *request = (const KMS(GenerateRandomRequest) *)call->request;
    INTERNAL(HsmGenerateRandom) generate = INTERNAL_NEW(HSM_GENERATE_RANDOM);
    generate.number_of_bytes = (uint32_t)request->number_of_bytes;
    INTERNAL(HsmRequest) ask = INTERNAL_NEW(HSM_REQUEST);
    ask.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_GENERATE_RANDOM);
    ask.generate_random = &generate;
    ks_call_ask(call, &ask, is_drawn);
}
