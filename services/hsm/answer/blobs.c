/* Encrypt, Decrypt, GenerateDataKey, ReEncrypt, GenerateRandom. */
#include <assert.h>

#include "pkg/crypto/crypto.h"
#include "pkg/crypto/random.h"
#include "pkg/frame/frame.h"
#include "proto/keystead/internal/v1/hsm_limits.h"
#include "services/hsm/answer/handlers.h"
#include "services/hsm/answer/keys.h"
#include "services/hsm/memory/state.h"

/*
 * Bytes that one request draws at most. A batch of the longest replies fits a frame: each holds a
 * data key, its blob, which is a few names longer, and what protobuf puts around them.
 */
#define DRAWN_LEN_MAX (KS_FRAME_LEN_MAX / KS_HSM_BATCH_MAX / 4U)

static_assert(DRAWN_LEN_MAX <= KS_RANDOM_MAX, "one draw");
static_assert(DRAWN_LEN_MAX <= KS_HSM_DRAWN_MAX, "what a keystore counts with");

/* A key and a context, as they stand in several requests. */
struct use {
    const KeyUse *key;
    ContextEntry *const *context;
    size_t context_count;
};

/* The same, ready. Its key and context are borrowed until the next one is prepared. */
struct ready {
    struct ks_hsm_binding binding;
    struct ks_hsm_use use;
    const struct ks_hsm_spec *spec;
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

/*
 * The key and context of one use, which must be what the key is for.
 * Fails: as ks_hsm_use_key; VALIDATION (the context).
 */
static ks_result prepare(struct ks_hsm_call *call, const struct use *use, enum ks_key_usage needed,
                         struct ready *ret_ready)
{
    struct ks_hsm *hsm = call->hsm;
    struct ks_hsm_binding *binding = &ret_ready->binding;
    ret_ready->use =
        (struct ks_hsm_use){.crypto = hsm->crypto, .arena = call->arena, .binding = binding};
    KS_TRY(encode_context(hsm, use, &ret_ready->use.context));
    KS_TRY(ks_hsm_use_key(call, use->key, needed, binding, &ret_ready->use.key));
    ret_ready->spec = ks_hsm_spec_of(binding->spec);
    return KS_RES(OK);
}

static ks_result encrypt(const struct ready *ready, ks_bytes plaintext,
                         ProtobufCBinaryData *ret_blob)
{
    if (plaintext.len == 0) {
        return KS_RES(VALIDATION);
    }
    return ready->spec->encrypt ? ready->spec->encrypt(&ready->use, plaintext, ret_blob)
                                : KS_RES(UNSUPPORTED);
}

ks_result ks_hsm_encrypt(struct ks_hsm_call *call)
{
    const HsmEncrypt *wish = call->request->encrypt;
    const struct use use = {wish->key, wish->context, wish->n_context};
    struct ready ready;
    KS_TRY(prepare(call, &use, KS_USAGE_ENCRYPT_DECRYPT, &ready));
    return encrypt(&ready, ks_hsm_field(&wish->plaintext), &call->reply->blob);
}

static ks_result decrypt(struct ks_hsm_call *call, const HsmDecrypt *wish,
                         ProtobufCBinaryData *ret_plaintext)
{
    const struct use use = {wish->key, wish->context, wish->n_context};
    struct ready ready;
    KS_TRY(prepare(call, &use, KS_USAGE_ENCRYPT_DECRYPT, &ready));
    if (!ready.spec->decrypt) {
        return KS_RES(UNSUPPORTED);
    }
    return ready.spec->decrypt(&ready.use, ks_hsm_field(&wish->blob), ret_plaintext);
}

ks_result ks_hsm_decrypt(struct ks_hsm_call *call)
{
    return decrypt(call, call->request->decrypt, &call->reply->plaintext);
}

ks_result ks_hsm_generate_data_key(struct ks_hsm_call *call)
{
    const HsmGenerateDataKey *wish = call->request->generate_data_key;
    const struct use use = {wish->key, wish->context, wish->n_context};
    struct ready ready;
    ProtobufCBinaryData key;
    if (wish->number_of_bytes == 0 || wish->number_of_bytes > DRAWN_LEN_MAX) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(prepare(call, &use, KS_USAGE_ENCRYPT_DECRYPT, &ready));
    KS_TRY(ks_hsm_place(call->arena, wish->number_of_bytes, &key));
    KS_TRY(ks_random_private(key.data, key.len));
    KS_TRY(encrypt(&ready, ks_hsm_field(&key), &call->reply->blob));
    if (!wish->without_plaintext) {
        call->reply->plaintext = key;
    }
    return KS_RES(OK);
}

ks_result ks_hsm_re_encrypt(struct ks_hsm_call *call)
{
    const HsmReEncrypt *move = call->request->re_encrypt;
    const struct use use = {move->destination, move->destination_context,
                            move->n_destination_context};
    struct ready ready;
    ProtobufCBinaryData plaintext;
    if (!move->source) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(decrypt(call, move->source, &plaintext));
    KS_TRY(prepare(call, &use, KS_USAGE_ENCRYPT_DECRYPT, &ready));
    return encrypt(&ready, ks_hsm_field(&plaintext), &call->reply->blob);
}

ks_result ks_hsm_generate_random(struct ks_hsm_call *call)
{
    uint32_t len = call->request->generate_random->number_of_bytes;
    if (len == 0 || len > DRAWN_LEN_MAX) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(ks_hsm_place(call->arena, len, &call->reply->plaintext));
    return ks_random_private(call->reply->plaintext.data, len);
}
