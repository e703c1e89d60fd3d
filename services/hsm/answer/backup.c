/* Backups: the custodian kit, the keys of a backup, and how a new hsm takes its domain keys over. */
#include <assert.h>
#include <string.h>

#include "pkg/crypto/crypto.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/hash.h"
#include "pkg/crypto/random.h"
#include "pkg/custody/restore.h"
#include "pkg/ekt/generation.h"
#include "services/hsm/answer/domain.h"
#include "services/hsm/answer/handlers.h"
#include "services/hsm/memory/state.h"

#define HEADER_LEN_MAX 4096U

static_assert(KS_BLOCK_DOMAIN_KEYS_MAX == KS_DOMAIN_KEYS_MAX, "a block carries all that is held");
static_assert(KS_TRANSIT_BACKUP_LEN == KS_CUSTODY_HASH_LEN, "backups have one name");

/* The period only grows; the same kit again changes nothing. */
ks_result ks_hsm_install_kit(struct ks_hsm_call *call)
{
    struct ks_hsm *hsm = call->hsm;
    struct ks_kit kit;
    ks_bytes bytes = ks_hsm_field(&call->request->install_kit->kit);
    if (ks_failed(ks_kit_open(bytes, hsm->root_public, &kit)) ||
        strcmp(kit.region, hsm->region) != 0 || kit.period < hsm->kit.period) {
        return KS_RES(ACCESS_DENIED);
    }
    if (kit.period == hsm->kit.period && !ks_bytes_equal((ks_bytes){kit.id, sizeof(kit.id)},
                                                         (ks_bytes){hsm->kit.id, sizeof(kit.id)})) {
        return KS_RES(ACCESS_DENIED);
    }
    hsm->kit = kit;
    return KS_RES(OK);
}

static void collect(const struct ks_hsm *hsm, struct ks_block_keys *ret_keys)
{
    uint32_t generations[KS_DOMAIN_KEYS_MAX];
    ret_keys->count = ks_domain_keys_list(&hsm->domain_keys, generations);
    for (size_t i = 0; i < ret_keys->count; i++) {
        ret_keys->keys[i].generation = generations[i];
        ret_keys->keys[i].key = ks_domain_keys_find(&hsm->domain_keys, generations[i])->key;
    }
}

static ks_result put_field(struct ks_hsm_call *call, ks_bytes bytes, ProtobufCBinaryData *ret_field)
{
    KS_TRY(ks_hsm_place(call->arena, bytes.len, ret_field));
    memcpy(ret_field->data, bytes.ptr, bytes.len);
    return KS_RES(OK);
}

static ks_result begin(struct ks_hsm_call *call, ks_bytes header, const struct ks_block_keys *keys)
{
    struct ks_hsm *hsm = call->hsm;
    uint8_t backup[KS_CUSTODY_HASH_LEN];
    KS_EC_AUTO *ephemeral = NULL;
    KS_SECRET_AUTO key = {.len = 0};
    KS_SECRET_AUTO stream = {.len = 0};
    KS_BUFFER_AUTO block = {.len_max = KS_BLOCK_LEN_MAX};
    KS_TRY(ks_hash_sha256(hsm->crypto, &header, 1, backup));
    KS_TRY(ks_ec_generate(KS_EC_P384, &ephemeral));
    KS_TRY(ks_random_secret(KS_BACKUP_KEY_LEN, &key));
    const struct ks_block_maker maker = {
        .kit = &hsm->kit,
        .backup = backup,
        .ephemeral = ephemeral,
        .certificate = hsm->certificate,
        .identity = hsm->identity,
    };
    KS_TRY(ks_block_seal(hsm->crypto, &maker, &key, keys, &block));
    KS_TRY(ks_backup_stream_key(hsm->crypto, &key, backup, &stream));
    KS_TRY(put_field(call, ks_secret_bytes(&stream), &call->reply->stream_key));
    return put_field(call, ks_buffer_bytes(&block), &call->reply->key_block);
}

ks_result ks_hsm_backup_begin(struct ks_hsm_call *call)
{
    const struct ks_hsm *hsm = call->hsm;
    ks_bytes header = ks_hsm_field(&call->request->backup_begin->header);
    KS_BLOCK_KEYS_AUTO keys = {.count = 0};
    if (header.len == 0 || header.len > HEADER_LEN_MAX) {
        return KS_RES(VALIDATION);
    }
    if (hsm->kit.period == 0) {
        return KS_RES(INVALID_STATE);
    }
    if (call->request->backup_begin->period != hsm->kit.period) {
        return KS_RES(CONFLICT);
    }
    collect(hsm, &keys);
    return keys.count == 0 ? KS_RES(NOT_FOUND) : begin(call, header, &keys);
}

ks_result ks_hsm_challenge_restore(struct ks_hsm_call *call)
{
    struct ks_hsm *hsm = call->hsm;
    ks_bytes backup = ks_hsm_field(&call->request->challenge->backup);
    uint8_t request_hash[KS_TRANSIT_REQUEST_LEN];
    struct ks_issued issued = {.purpose = KS_TRANSIT_RESTORE};
    if (backup.len != KS_TRANSIT_BACKUP_LEN || call->request->challenge->generation != 0) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(
        ks_restore_request_hash(hsm->crypto, ks_bytes_of(hsm->region), backup.ptr, request_hash));
    memcpy(issued.backup, backup.ptr, backup.len);
    return ks_hsm_issue(call, &issued, backup, request_hash);
}

/* The backup key, from a custodian who has answered the challenge of this very block. */
static ks_result take_key(struct ks_hsm_call *call, const struct ks_block *block,
                          ks_secret *ret_key)
{
    struct ks_hsm *hsm = call->hsm;
    const Keystead__Internal__V1__HsmRestore *request = call->request->restore;
    const uint8_t *nonce = NULL;
    struct ks_issued issued;
    ks_bytes handed = ks_hsm_field(&request->handed_key);
    KS_TRY(ks_handed_key_nonce(handed, &nonce));
    KS_TRY(ks_challenges_take(&hsm->challenges, nonce, ks_clock_boot_ns(hsm->clock), &issued));
    if (issued.purpose != KS_TRANSIT_RESTORE ||
        !ks_bytes_equal((ks_bytes){issued.backup, sizeof(issued.backup)},
                        (ks_bytes){block->head.backup, KS_CUSTODY_HASH_LEN}) ||
        strcmp(block->head.region, hsm->region) != 0) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    KS_TRY(ks_restore_order_check(hsm->crypto, ks_hsm_field(&request->order), issued.hash,
                                  ks_hsm_field(&request->key_block), hsm->root_public));
    return ks_handed_key_open(hsm->crypto, handed, issued.hash, hsm->transit, ret_key);
}

/* Nothing is held yet: what fails here leaves the hsm as it was. */
static ks_result wrap_all(struct ks_hsm_call *call, const struct ks_block_keys *keys)
{
    HsmRestoredKey **restored = ks_arena_alloc(call->arena, keys->count * sizeof(void *));
    if (!restored) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    for (size_t i = 0; i < keys->count; i++) {
        restored[i] = ks_arena_alloc(call->arena, sizeof(**restored));
        if (!restored[i]) {
            return KS_RES(LIMIT_EXCEEDED);
        }
        keystead__internal__v1__hsm_restored_key__init(restored[i]);
        restored[i]->generation = keys->keys[i].generation;
        KS_TRY(
            ks_hsm_wrap(call, keys->keys[i].generation, &keys->keys[i].key, &restored[i]->wrapped));
    }
    call->reply->restored = restored;
    call->reply->n_restored = keys->count;
    return KS_RES(OK);
}

/* Takes all over, or none. The keys are wiped as they go. */
static ks_result hold_all(struct ks_hsm *hsm, struct ks_block_keys *keys)
{
    bool is_new[KS_BLOCK_DOMAIN_KEYS_MAX] = {false};
    for (size_t i = 0; i < keys->count; i++) {
        uint32_t generation = keys->keys[i].generation;
        is_new[i] = !ks_domain_keys_find(&hsm->domain_keys, generation);
        ks_result r = ks_domain_keys_put(&hsm->domain_keys, generation, &keys->keys[i].key);
        for (size_t j = i; ks_failed(r) && j > 0; j--) {
            if (is_new[j - 1]) {
                ks_result dropped =
                    ks_domain_keys_drop(&hsm->domain_keys, keys->keys[j - 1].generation);
                assert(!ks_failed(dropped));
            }
        }
        KS_TRY(r);
    }
    return KS_RES(OK);
}

ks_result ks_hsm_restore(struct ks_hsm_call *call)
{
    struct ks_hsm *hsm = call->hsm;
    struct ks_block block;
    KS_SECRET_AUTO key = {.len = 0};
    KS_BLOCK_KEYS_AUTO keys = {.count = 0};
    KS_TRY(ks_block_read(ks_hsm_field(&call->request->restore->key_block), &block));
    KS_TRY(take_key(call, &block, &key));
    KS_TRY(ks_block_open(hsm->crypto, &block, &key, &keys));
    for (size_t i = 0; i < keys.count; i++) {
        if (!ks_is_generation(keys.keys[i].generation)) {
            return KS_RES(INVALID_CIPHERTEXT);
        }
    }
    KS_TRY(wrap_all(call, &keys));
    return hold_all(hsm, &keys);
}
