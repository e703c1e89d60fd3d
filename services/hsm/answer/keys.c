#include "services/hsm/answer/keys.h"

#include <assert.h>
#include <string.h>

#include "pkg/crypto/crypto.h"
#include "pkg/crypto/mac.h"
#include "pkg/crypto/random.h"
#include "pkg/ekt/ekt.h"
#include "pkg/ekt/material.h"
#include "services/hsm/answer/handlers.h"
#include "services/hsm/memory/state.h"

/* Whether keys of that spec, usage and origin are made and used here; fills spec and use. */
static bool is_supported(const KeyBinding *message, struct ks_hsm_binding *binding)
{
    binding->spec = ks_keyspec_of(message->spec);
    binding->use = binding->spec ? ks_keyspec_use_of(binding->spec, message->usage) : NULL;
    return binding->use && message->origin == KEYSTEAD__STORAGE__V1__KEY_ORIGIN__KEY_ORIGIN_AWS_KMS;
}

/* All but the material id, which does not exist yet when a key is made. */
static ks_result read_name(const struct ks_hsm *hsm, const KeyBinding *message,
                           struct ks_hsm_binding *binding)
{
    if (!message) {
        return KS_RES(VALIDATION);
    }
    binding->name = (struct ks_key_name){
        ks_bytes_of(message->region), ks_bytes_of(message->account), ks_bytes_of(message->key_id)};
    if (!ks_is_key_name(&binding->name)) {
        return KS_RES(VALIDATION);
    }
    if (!ks_bytes_equal(binding->name.region, ks_bytes_of(hsm->region))) {
        return KS_RES(ACCESS_DENIED);
    }
    return is_supported(message, binding) ? KS_RES(OK) : KS_RES(UNSUPPORTED);
}

static ks_result encode(const KeyBinding *message, struct ks_hsm_binding *binding)
{
    const struct ks_binding parts = {
        .name = binding->name,
        .material_id = binding->material_id,
        .spec = binding->spec->number,
        .usage = binding->use->usage,
        .origin = (uint8_t)message->origin,
    };
    return ks_binding_encode(&parts, binding->encoded, &binding->encoded_len);
}

ks_result ks_hsm_read_binding(const struct ks_hsm *hsm, const KeyBinding *message,
                              struct ks_hsm_binding *ret_binding)
{
    assert(hsm && ret_binding);

    KS_TRY(read_name(hsm, message, ret_binding));
    if (!ks_hex_read(ks_bytes_of(message->material_id), ret_binding->material_id,
                     KS_MATERIAL_ID_LEN)) {
        return KS_RES(VALIDATION);
    }
    return encode(message, ret_binding);
}

static ks_bytes encoding_of(const struct ks_hsm_binding *binding)
{
    return (ks_bytes){binding->encoded, binding->encoded_len};
}

/* What is wrong with an EKT is a keystore's matter, not a client's: its stored data is damaged. */
static ks_result unseal(struct ks_hsm *hsm, const struct ks_hsm_binding *binding, ks_bytes ekt,
                        ks_secret *ret_hbk)
{
    uint32_t generation = 0;
    if (ks_failed(ks_ekt_generation(ekt, &generation))) {
        return KS_RES(CORRUPT);
    }
    const struct ks_domain_key *domain = ks_domain_keys_find(&hsm->domain_keys, generation);
    if (!domain) {
        return KS_RES(UNAVAILABLE);
    }
    KS_SECRET_AUTO hbk = {.len = 0};
    ks_result r = ks_ekt_open(hsm->crypto, domain->mac, encoding_of(binding), ekt, &hbk);
    if (ks_failed(r)) {
        return r.code == KS_INVALID_CIPHERTEXT ? KS_RES(CORRUPT) : r;
    }
    if (!ks_hsm_spec_of(binding->spec)->fits(binding->spec, &hbk)) {
        return KS_RES(CORRUPT);
    }
    ks_secret_move(ret_hbk, &hbk);
    return KS_RES(OK);
}

ks_result ks_hsm_use_key(struct ks_hsm *hsm, const struct ks_hsm_binding *binding, ks_bytes ekt,
                         void **ret_key)
{
    assert(hsm && binding && ret_key);

    if (ekt.len > KS_EKT_LEN_MAX) {
        return KS_RES(CORRUPT);
    }
    const struct ks_key_cache_id id = {
        .material_id = binding->material_id,
        .ekt = ekt,
        .binding = encoding_of(binding),
    };
    void *held = ks_key_cache_find(hsm->cache, &id);
    if (held) {
        *ret_key = held;
        return KS_RES(OK);
    }
    const struct ks_hsm_spec *spec = ks_hsm_spec_of(binding->spec);
    struct ks_loaded_key loaded = {.unload = spec->unload};
    KS_SECRET_AUTO hbk = {.len = 0};
    KS_TRY(unseal(hsm, binding, ekt, &hbk));
    KS_TRY(spec->load(&hbk, &loaded.key));
    ks_key_cache_put(hsm->cache, &id, loaded);
    *ret_key = loaded.key;
    return KS_RES(OK);
}

/* Seals hbk under a generation that is held, into the reply. */
static ks_result reply_ekt(struct ks_hsm_call *call, const struct ks_hsm_binding *binding,
                           uint32_t generation, const ks_secret *hbk)
{
    struct ks_hsm *hsm = call->hsm;
    const struct ks_domain_key *domain = ks_domain_keys_find(&hsm->domain_keys, generation);
    if (!domain) {
        return KS_RES(UNAVAILABLE);
    }
    uint8_t salt[KS_EKT_SALT_LEN];
    const struct ks_ekt_seal how = {
        .generation = generation, .salt = salt, .binding = encoding_of(binding)};
    KS_TRY(ks_random_nonce(hsm->crypto, salt, sizeof(salt)));
    KS_TRY(ks_hsm_place(call->arena, KS_EKT_EXTRA_LEN + hbk->len, &call->reply->ekt));
    KS_TRY(ks_ekt_seal(hsm->crypto, domain->mac, &how, hbk, call->reply->ekt.data,
                       &call->reply->ekt.len));
    call->reply->generation = generation;
    return KS_RES(OK);
}

ks_result ks_hsm_create_key(struct ks_hsm_call *call)
{
    const KeyBinding *message = call->request->create_key->binding;
    struct ks_hsm_binding binding = {0};
    KS_TRY(read_name(call->hsm, message, &binding));
    if (message->material_id[0] != '\0') {
        return KS_RES(VALIDATION);
    }
    KS_SECRET_AUTO hbk = {.len = 0};
    KS_MAC_AUTO *mac = NULL;
    KS_TRY(ks_hsm_spec_of(binding.spec)->make(binding.spec, &hbk));
    KS_TRY(ks_mac_new(&hbk, &mac));
    KS_TRY(ks_material_id(mac, binding.name.account, binding.name.key_id, binding.material_id));
    KS_TRY(encode(message, &binding));
    KS_TRY(reply_ekt(call, &binding, call->request->create_key->generation, &hbk));

    char *text = ks_arena_alloc(call->arena, 2 * KS_MATERIAL_ID_LEN + 1);
    if (!text) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    ks_hex_write((ks_bytes){binding.material_id, KS_MATERIAL_ID_LEN}, text);
    call->reply->material_id = text;
    return KS_RES(OK);
}

ks_result ks_hsm_reseal(struct ks_hsm_call *call)
{
    const Keystead__Internal__V1__HsmReseal *reseal = call->request->reseal;
    struct ks_hsm_binding binding;
    KS_SECRET_AUTO hbk = {.len = 0};
    KS_TRY(ks_hsm_read_binding(call->hsm, reseal->binding, &binding));
    KS_TRY(unseal(call->hsm, &binding, ks_hsm_field(&reseal->ekt), &hbk));
    return reply_ekt(call, &binding, reseal->generation, &hbk);
}

ks_result ks_hsm_evict(struct ks_hsm_call *call)
{
    uint8_t id[KS_MATERIAL_ID_LEN];
    if (!ks_hex_read(ks_bytes_of(call->request->evict->material_id), id, sizeof(id))) {
        return KS_RES(VALIDATION);
    }
    ks_key_cache_evict(call->hsm->cache, id);
    return KS_RES(OK);
}
