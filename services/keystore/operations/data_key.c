#include "keystead/kms/v1/crypto.pb-c.h"
#include "pkg/keyspec/keyspec.h"
#include "services/keystore/execute/call.h"
#include "services/keystore/operations/binding.h"
#include "services/keystore/operations/handlers.h"
#include "services/keystore/records/key.h"

/* What both requests have, in the same words. */
struct wish {
    int spec;
    bool has_number;
    int32_t number;
    const void *context;
    size_t context_count;
    bool dry_run;
    bool without_plaintext;
};

#define WISH_OF(request)                                                                           \
    {                                                                                              \
        .spec = (int)(request)->key_spec,                                                          \
        .has_number = (request)->number_of_bytes_presence_case != 0,                               \
        .number = (request)->number_of_bytes, .context = (request)->encryption_context,            \
        .context_count = (request)->n_encryption_context, .dry_run = (request)->dry_run            \
    }

static struct wish wish_of(const struct ks_call *call)
{
    const KMS(GenerateDataKeyRequest) *request = (const KMS(GenerateDataKeyRequest) *)call->request;
    struct wish wish = WISH_OF(request);
    return wish;
}

static struct wish wish_without_plaintext_of(const struct ks_call *call)
{
    const KMS(GenerateDataKeyWithoutPlaintextRequest) *request =
        (const KMS(GenerateDataKeyWithoutPlaintextRequest) *)call->request;
    struct wish wish = WISH_OF(request);
    wish.without_plaintext = true;
    return wish;
}

static int32_t bytes_of(const struct wish *wish)
{
    const struct ks_data_keyspec *spec = ks_data_keyspec_of((uint32_t)wish->spec);
    return wish->has_number || !spec ? wish->number : (int32_t)spec->len;
}

static void ask_hsm(struct ks_call *call, const struct wish *wish,
                    void (*then)(struct ks_call *call, ks_result result,
                                 const INTERNAL(HsmReply) * reply))
{
    const struct ks_target *target = &call->targets[0];
    INTERNAL(HsmGenerateDataKey) generate = INTERNAL_NEW(HSM_GENERATE_DATA_KEY);
    generate.key = ks_binding_use(call, target, NULL);
    generate.number_of_bytes = (uint32_t)bytes_of(wish);
    generate.without_plaintext = wish->without_plaintext;
    generate.context = ks_binding_context(call, wish->context, wish->context_count);
    generate.n_context = wish->context_count;
    INTERNAL(HsmRequest) ask = INTERNAL_NEW(HSM_REQUEST);
    ask.dry_run = wish->dry_run;
    ask.operation_case = INTERNAL_ENUM(HSM_REQUEST__OPERATION_GENERATE_DATA_KEY);
    ask.generate_data_key = &generate;
    ks_call_ask(call, &ask, then);
}

static char *material_id_of(const struct ks_call *call)
{
    return ks_record_current_material(call->targets[0].key)->material_id;
}

/* GenerateDataKey */

static void is_generated(struct ks_call *call, ks_result result, const INTERNAL(HsmReply) * reply)
{
    if (ks_failed(result)) {
        ks_call_fail_hsm(call, result, KS_OK);
        return;
    }
    KMS(GenerateDataKeyResponse) response = KMS_NEW(GENERATE_DATA_KEY_RESPONSE);
    if (wish_of(call).dry_run) {
        response.dry_run = true;
        ks_call_reply(call, &response.base);
        return;
    }
    response.ciphertext_blob = reply->blob;
    response.plaintext = reply->plaintext;
    response.key_id = call->targets[0].arn.text;
    response.key_material_id = material_id_of(call);
    ks_call_reply(call, &response.base);
}

void ks_run_generate_data_key(struct ks_call *call)
{
    const struct wish wish = wish_of(call);
    ask_hsm(call, &wish, is_generated);
}

/* GenerateDataKeyWithoutPlaintext */

static void is_generated_without_plaintext(struct ks_call *call, ks_result result,
                                           const INTERNAL(HsmReply) * reply)
{
    if (ks_failed(result)) {
        ks_call_fail_hsm(call, result, KS_OK);
        return;
    }
    KMS(GenerateDataKeyWithoutPlaintextResponse)
    response = KMS_NEW(GENERATE_DATA_KEY_WITHOUT_PLAINTEXT_RESPONSE);
    if (wish_without_plaintext_of(call).dry_run) {
        response.dry_run = true;
        ks_call_reply(call, &response.base);
        return;
    }
    response.ciphertext_blob = reply->blob;
    response.key_id = call->targets[0].arn.text;
    response.key_material_id = material_id_of(call);
    ks_call_reply(call, &response.base);
}

void ks_run_generate_data_key_without_plaintext(struct ks_call *call)
{
    const struct wish wish = wish_without_plaintext_of(call);
    ask_hsm(call, &wish, is_generated_without_plaintext);
}
