#include "services/hsm/answer/keys.h"

#include <assert.h>
#include <string.h>

#include "pkg/crypto/crypto.h"
#include "pkg/crypto/mac.h"
#include "pkg/crypto/random.h"
#include "pkg/ekt/ekt.h"
#include "pkg/ekt/material.h"
#include "pkg/keystate/keystate.h"
#include "services/hsm/answer/handlers.h"
#include "services/hsm/answer/records.h"
#include "services/hsm/memory/state.h"

#define STATE(name) KEYSTEAD__STORAGE__V1__KEY_STATE__KEY_STATE_##name

/* ---- Bindings ---- */

/* All but the material id. Fails: UNSUPPORTED (not made and not used here). */
static ks_result name_binding(const struct ks_hsm *hsm, const KeyRecord *key,
                              struct ks_hsm_binding *binding)
{
    binding->name = (struct ks_key_name){ks_bytes_of(hsm->region), ks_bytes_of(key->account),
                                         ks_bytes_of(key->key_id)};
    binding->spec = ks_keyspec_of(key->spec);
    binding->use = binding->spec ? ks_keyspec_use_of(binding->spec, key->usage) : NULL;
    bool supported =
        binding->use && key->origin == KEYSTEAD__STORAGE__V1__KEY_ORIGIN__KEY_ORIGIN_AWS_KMS;
    return supported ? KS_RES(OK) : KS_RES(UNSUPPORTED);
}

static ks_result encode(const KeyRecord *key, struct ks_hsm_binding *binding)
{
    const struct ks_binding parts = {
        .name = binding->name,
        .material_id = binding->material_id,
        .spec = binding->spec->number,
        .usage = binding->use->usage,
        .origin = (uint8_t)key->origin,
    };
    return ks_binding_encode(&parts, binding->encoded, &binding->encoded_len);
}

static ks_result bind(const struct ks_hsm *hsm, const KeyRecord *key, const KeyMaterial *material,
                      struct ks_hsm_binding *binding)
{
    KS_TRY(name_binding(hsm, key, binding));
    if (!ks_hex_read(ks_bytes_of(material->material_id), binding->material_id,
                     KS_MATERIAL_ID_LEN)) {
        return KS_RES(CORRUPT);
    }
    return encode(key, binding);
}

static ks_bytes encoding_of(const struct ks_hsm_binding *binding)
{
    return (ks_bytes){binding->encoded, binding->encoded_len};
}

/* ---- EKTs ---- */

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

static ks_result load_key(struct ks_hsm *hsm, const struct ks_hsm_binding *binding, ks_bytes ekt,
                          void **ret_key)
{
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

/* Seals hbk under a generation that is held, into material. */
static ks_result seal(struct ks_hsm_call *call, const struct ks_hsm_binding *binding,
                      const ks_secret *hbk, KeyMaterial *material)
{
    struct ks_hsm *hsm = call->hsm;
    const struct ks_domain_key *domain =
        ks_domain_keys_find(&hsm->domain_keys, material->generation);
    if (!domain) {
        return KS_RES(UNAVAILABLE);
    }
    uint8_t salt[KS_EKT_SALT_LEN];
    const struct ks_ekt_seal how = {
        .generation = material->generation, .salt = salt, .binding = encoding_of(binding)};
    KS_TRY(ks_random_nonce(hsm->crypto, salt, sizeof(salt)));
    KS_TRY(ks_hsm_place(call->arena, KS_EKT_EXTRA_LEN + hbk->len, &material->ekt));
    return ks_ekt_seal(hsm->crypto, domain->mac, &how, hbk, material->ekt.data, &material->ekt.len);
}

/* ---- Uses ---- */

/* A destroyed key is in no state that allows anything. */
static ks_result check_state(const KeyRecord *key)
{
    ks_key_state state;
    if (!ks_key_state_of((uint32_t)key->state, &state)) {
        return KS_RES(INVALID_STATE);
    }
    return (ks_result){ks_key_allows(state, KS_KEY_RULE_USE).code};
}

static ks_result check_alias(const KeyRecord *key, const char *alias)
{
    bool found = alias[0] == '\0';
    for (size_t i = 0; i < key->n_aliases && !found; i++) {
        found = strcmp(key->aliases[i]->name, alias) == 0;
    }
    return found ? KS_RES(OK) : KS_RES(CORRUPT);
}

/* The material of this id; the last one if id is empty. NULL: there is none. */
static const KeyMaterial *material_of(const KeyRecord *key, const char *id)
{
    for (size_t i = key->n_materials; i > 0; i--) {
        if (id[0] == '\0' || strcmp(key->materials[i - 1]->material_id, id) == 0) {
            return key->materials[i - 1];
        }
    }
    return NULL;
}

ks_result ks_hsm_use_key(struct ks_hsm_call *call, const KeyUse *use, enum ks_key_usage needed,
                         struct ks_hsm_binding *ret_binding, void **ret_key)
{
    const struct ks_hsm_record *record = NULL;
    if (!use) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(ks_hsm_record_at(call, use->key, &record));
    KS_TRY(check_state(record->key));
    KS_TRY(check_alias(record->key, use->alias));
    const KeyMaterial *material = material_of(record->key, use->material_id);
    if (!material) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    KS_TRY(bind(call->hsm, record->key, material, ret_binding));
    KS_TRY(ks_keyspec_allows(ret_binding->spec->number, ret_binding->use->usage, needed));
    return load_key(call->hsm, ret_binding, ks_hsm_field(&material->ekt), ret_key);
}

/* ---- Records that are made ---- */

/* A new key's material, in the arena, under generation. */
static ks_result make_material(struct ks_hsm_call *call, const KeyRecord *key, uint32_t generation,
                               KeyMaterial **ret_material)
{
    struct ks_hsm_binding binding = {0};
    KS_SECRET_AUTO hbk = {.len = 0};
    KS_MAC_AUTO *mac = NULL;
    KeyMaterial *material = ks_arena_alloc(call->arena, sizeof(*material));
    char *id = ks_arena_alloc(call->arena, 2 * KS_MATERIAL_ID_LEN + 1);
    if (!material || !id) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    keystead__storage__v1__key_material__init(material);
    KS_TRY(name_binding(call->hsm, key, &binding));
    KS_TRY(ks_hsm_spec_of(binding.spec)->make(binding.spec, &hbk));
    KS_TRY(ks_mac_new(&hbk, &mac));
    KS_TRY(ks_material_id(mac, binding.name.account, binding.name.key_id, binding.material_id));
    KS_TRY(encode(key, &binding));
    ks_hex_write((ks_bytes){binding.material_id, KS_MATERIAL_ID_LEN}, id);
    material->material_id = id;
    material->generation = generation;
    material->created_at_ms = key->created_at_ms;
    KS_TRY(seal(call, &binding, &hbk, material));
    *ret_material = material;
    return KS_RES(OK);
}

ks_result ks_hsm_create_key(struct ks_hsm_call *call)
{
    uint32_t generation = call->request->create_key->generation;
    KeyRecord *key = NULL;
    KeyMaterial *material = NULL;
    KS_TRY(ks_hsm_read_body(call, ks_hsm_field(&call->request->create_key->body), &key));
    if (key->n_materials > 0 || key->n_aliases > 0 || key->state == STATE(DESTROYED)) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(make_material(call, key, generation, &material));
    key->materials = &material;
    key->n_materials = 1;
    return ks_hsm_make_record(call, key, 1, generation);
}

static bool is_same_text(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static bool are_same_materials(const KeyRecord *a, const KeyRecord *b)
{
    bool same = a->n_materials == b->n_materials;
    for (size_t i = 0; same && i < a->n_materials; i++) {
        const KeyMaterial *x = a->materials[i];
        const KeyMaterial *y = b->materials[i];
        same = is_same_text(x->material_id, y->material_id) && x->generation == y->generation &&
               x->created_at_ms == y->created_at_ms &&
               ks_bytes_equal(ks_hsm_field(&x->ekt), ks_hsm_field(&y->ekt));
    }
    return same;
}

/* What a key is, it stays, but for its materials: those go when it is destroyed. */
static ks_result check_change(const KeyRecord *before, const KeyRecord *after)
{
    bool destroys = after->state == STATE(DESTROYED);
    if (before->state == STATE(DESTROYED) ||
        (destroys && before->state != STATE(PENDING_DELETION))) {
        return KS_RES(INVALID_STATE);
    }
    bool same = is_same_text(before->account, after->account) &&
                is_same_text(before->key_id, after->key_id) && before->spec == after->spec &&
                before->usage == after->usage && before->origin == after->origin &&
                before->created_at_ms == after->created_at_ms &&
                (destroys ? after->n_materials == 0 : are_same_materials(before, after));
    return same ? KS_RES(OK) : KS_RES(VALIDATION);
}

ks_result ks_hsm_seal_records(struct ks_hsm_call *call)
{
    const HsmSealRecords *wish = call->request->seal_records;
    if (wish->n_changes == 0 || wish->n_changes > KS_HSM_CHANGES_MAX) {
        return KS_RES(VALIDATION);
    }
    for (size_t i = 0; i < wish->n_changes; i++) {
        const struct ks_hsm_record *before = NULL;
        KeyRecord *after = NULL;
        KS_TRY(ks_hsm_record_at(call, wish->changes[i]->previous, &before));
        KS_TRY(ks_hsm_read_body(call, ks_hsm_field(&wish->changes[i]->body), &after));
        KS_TRY(check_change(before->key, after));
        KS_TRY(ks_hsm_make_record(call, after, before->envelope.counter + 1, wish->generation));
    }
    return KS_RES(OK);
}

static ks_result reseal(struct ks_hsm_call *call, const KeyRecord *key, KeyMaterial *material,
                        uint32_t generation)
{
    struct ks_hsm_binding binding;
    KS_SECRET_AUTO hbk = {.len = 0};
    KS_TRY(bind(call->hsm, key, material, &binding));
    KS_TRY(unseal(call->hsm, &binding, ks_hsm_field(&material->ekt), &hbk));
    material->generation = generation;
    return seal(call, &binding, &hbk, material);
}

/* The record is unpacked anew: what other requests of the batch rest on stays as it is. */
ks_result ks_hsm_reseal(struct ks_hsm_call *call)
{
    uint32_t generation = call->request->reseal->generation;
    const struct ks_hsm_record *before = NULL;
    KeyRecord *key = NULL;
    KS_TRY(ks_hsm_record_at(call, call->request->reseal->record, &before));
    KS_TRY(ks_hsm_read_body(call, before->envelope.body, &key));
    for (size_t i = 0; i < key->n_materials; i++) {
        KS_TRY(reseal(call, key, key->materials[i], generation));
    }
    return ks_hsm_make_record(call, key, before->envelope.counter + 1, generation);
}

/* ks_hsm_check_all has done it. */
ks_result ks_hsm_check_records(struct ks_hsm_call *call)
{
    return call->request->n_records > 0 ? KS_RES(OK) : KS_RES(VALIDATION);
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
