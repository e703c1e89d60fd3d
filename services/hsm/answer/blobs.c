/* Encrypt, Decrypt, GenerateDataKey, ReEncrypt, GenerateRandom. */
#include <assert.h>
#include <string.h>

#include "pkg/blob/blob.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/random.h"
#include "services/hsm/answer/handlers.h"
#include "services/hsm/answer/keys.h"
#include "services/hsm/memory/state.h"

#define DATA_KEY_LEN_MAX 1024U /* AWS KMS API: GenerateDataKey, NumberOfBytes */
#define RANDOM_LEN_MAX   1024U /* AWS KMS API: GenerateRandom, NumberOfBytes */

static_assert(DATA_KEY_LEN_MAX <= KS_BLOB_PLAINTEXT_MAX, "a data key fits a blob");
static_assert(DATA_KEY_LEN_MAX <= KS_RANDOM_MAX && RANDOM_LEN_MAX <= KS_RANDOM_MAX, "one draw");

/* A key and a context, as they stand in several requests. */
struct use {
    const KeyBinding *binding;
    const ProtobufCBinaryData *ekt;
    ContextEntry *const *context;
    size_t context_count;
};

/* The same, ready: key is borrowed until the next key is used, context until the next context. */
struct ready {
    struct ks_hsm_binding binding;
    struct ks_mac *key;
    ks_bytes context;
};

static ks_result encode_context(struct ks_hsm *hsm, const struct use *use, ks_bytes *ret_context)
{
    struct ks_context_pair pairs[KS_CONTEXT_PAIRS_MAX];
    if (use->context_count > KS_CONTEXT_PAIRS_MAX) {
        return KS_RES(VALIDATION);
    }
    for (size_t i = 0; i < use->context_count; i++) {
        pairs[i] = (struct ks_context_pair){ks_bytes_of(use->context[i]->key),
                                            ks_bytes_of(use->context[i]->value)};
    }
    size_t len = 0;
    KS_TRY(ks_context_encode(pairs, use->context_count, hsm->context, &len));
    *ret_context = (ks_bytes){hsm->context, len};
    return KS_RES(OK);
}

static ks_result prepare(struct ks_hsm *hsm, const struct use *use, struct ready *ret_ready)
{
    KS_TRY(ks_hsm_read_binding(hsm, use->binding, &ret_ready->binding));
    KS_TRY(encode_context(hsm, use, &ret_ready->context));
    return ks_hsm_use_key(hsm, &ret_ready->binding, ks_hsm_field(use->ekt), &ret_ready->key);
}

/* Seals plaintext under what is ready, into the reply. */
static ks_result reply_blob(struct ks_hsm_call *call, const struct ready *ready, ks_bytes plaintext)
{
    uint8_t nonce[KS_BLOB_NONCE_LEN];
    const struct ks_blob_content content = {
        .name = ready->binding.name,
        .material_id = ready->binding.material_id,
        .nonce = nonce,
        .context = ready->context,
        .plaintext = plaintext,
    };
    ProtobufCBinaryData *blob = &call->reply->blob;
    KS_TRY(ks_random_nonce(call->hsm->crypto, nonce, sizeof(nonce)));
    KS_TRY(ks_hsm_place(call->arena, ks_blob_sealed_len(content.name.region.len, plaintext.len),
                        blob));
    return ks_blob_seal(call->hsm->crypto, ready->key, &content, blob->data, &blob->len);
}

ks_result ks_hsm_encrypt(struct ks_hsm_call *call)
{
    const HsmEncrypt *encrypt = call->request->encrypt;
    const struct use use = {encrypt->binding, &encrypt->ekt, encrypt->context, encrypt->n_context};
    struct ready ready;
    ks_bytes plaintext = ks_hsm_field(&encrypt->plaintext);
    if (plaintext.len == 0 || plaintext.len > KS_BLOB_PLAINTEXT_MAX) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(prepare(call->hsm, &use, &ready));
    return reply_blob(call, &ready, plaintext);
}

/*
 * Opens a blob into the arena. It must say that it belongs to the very key that the keystore
 * named: whoever wrote its header is not to choose the key.
 */
static ks_result open_blob(struct ks_hsm_call *call, const HsmDecrypt *decrypt,
                           ProtobufCBinaryData *ret_plaintext)
{
    const struct use use = {decrypt->binding, &decrypt->ekt, decrypt->context, decrypt->n_context};
    struct ready ready;
    struct ks_blob blob;
    KS_TRY(prepare(call->hsm, &use, &ready));
    KS_TRY(ks_blob_parse(ks_hsm_field(&decrypt->blob), &blob));
    if (!ks_key_name_equal(&blob.name, &ready.binding.name) ||
        !ks_bytes_equal((ks_bytes){blob.material_id, KS_MATERIAL_ID_LEN},
                        (ks_bytes){ready.binding.material_id, KS_MATERIAL_ID_LEN})) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    ProtobufCBinaryData plaintext;
    KS_TRY(ks_hsm_place(call->arena, blob.sealed.len - KS_BLOB_TAG_LEN, &plaintext));
    KS_TRY(ks_blob_open(call->hsm->crypto, ready.key, &blob, ready.context, plaintext.data,
                        &plaintext.len));
    *ret_plaintext = plaintext;
    return KS_RES(OK);
}

ks_result ks_hsm_decrypt(struct ks_hsm_call *call)
{
    return open_blob(call, call->request->decrypt, &call->reply->plaintext);
}

ks_result ks_hsm_generate_data_key(struct ks_hsm_call *call)
{
    const HsmGenerateDataKey *wish = call->request->generate_data_key;
    const struct use use = {wish->binding, &wish->ekt, wish->context, wish->n_context};
    struct ready ready;
    ProtobufCBinaryData key;
    if (wish->number_of_bytes == 0 || wish->number_of_bytes > DATA_KEY_LEN_MAX) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(prepare(call->hsm, &use, &ready));
    KS_TRY(ks_hsm_place(call->arena, wish->number_of_bytes, &key));
    KS_TRY(ks_random_private(key.data, key.len));
    KS_TRY(reply_blob(call, &ready, ks_hsm_field(&key)));
    if (!wish->without_plaintext) {
        call->reply->plaintext = key;
    }
    return KS_RES(OK);
}

ks_result ks_hsm_re_encrypt(struct ks_hsm_call *call)
{
    const HsmReEncrypt *move = call->request->re_encrypt;
    const struct use use = {move->destination, &move->destination_ekt, move->destination_context,
                            move->n_destination_context};
    struct ready ready;
    ProtobufCBinaryData plaintext;
    if (!move->source) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(open_blob(call, move->source, &plaintext));
    KS_TRY(prepare(call->hsm, &use, &ready));
    return reply_blob(call, &ready, ks_hsm_field(&plaintext));
}

ks_result ks_hsm_generate_random(struct ks_hsm_call *call)
{
    uint32_t len = call->request->generate_random->number_of_bytes;
    if (len == 0 || len > RANDOM_LEN_MAX) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(ks_hsm_place(call->arena, len, &call->reply->plaintext));
    return ks_random_private(call->reply->plaintext.data, len);
}
