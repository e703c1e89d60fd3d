#include "pkg/custody/block.h"

#include <assert.h>
#include <string.h>

#include "pkg/crypto/aead.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/kdf.h"
#include "pkg/custody/head.h"
#include "pkg/form/form.h"
#include "pkg/transit/peer.h"
#include "pkg/transit/signing.h"

#define BLOCK_LABEL       KS_LITERAL("keystead/key-block/v1")
#define STREAM_LABEL      KS_LITERAL("keystead/backup/stream/v1")
#define DOMAIN_KEYS_LABEL KS_LITERAL("keystead/backup/domain-keys/v1")
#define ENTRY_LEN         (4U + KS_BLOCK_DOMAIN_KEY_LEN)

static_assert(KS_BLOCK_SIGNATURE_MAX == KS_EC_SIGNATURE_MAX, "a P-384 signature fits");
static_assert(KS_BLOCK_LEN_MAX <= KS_SIGNED_BODY_MAX, "all can be signed");

void ks_block_keys_done(struct ks_block_keys *keys)
{
    ks_wipe(keys, sizeof(*keys));
}

static ks_result derive(struct ks_crypto *crypto, const ks_secret *key, ks_bytes label,
                        const uint8_t *backup, ks_secret *ret_key)
{
    struct ks_mac *mac = NULL;
    KS_TRY(ks_crypto_mac(crypto, key, &mac));
    return ks_kdf_counter(mac, label, (ks_bytes){backup, KS_CUSTODY_HASH_LEN}, KS_AEAD_KEY_LEN,
                          ret_key);
}

ks_result ks_backup_stream_key(struct ks_crypto *crypto, const ks_secret *key,
                               const uint8_t *backup, ks_secret *ret_key)
{
    assert(crypto && key && backup);
    assert(key->len == KS_BACKUP_KEY_LEN);

    return derive(crypto, key, STREAM_LABEL, backup, ret_key);
}

/* Sealing */

/* What each custodian's key and the ephemeral one agree on: once, for all boxes. */
struct agreements {
    ks_secret shared[KS_CUSTODIANS_MAX];
};

static void agreements_done(struct agreements *agreements)
{
    ks_wipe(agreements, sizeof(*agreements));
}

static ks_result agree(const struct ks_block_maker *maker, struct agreements *ret_agreements)
{
    for (size_t i = 0; i < maker->kit->count; i++) {
        KS_EC_AUTO *custodian = NULL;
        ks_bytes spki = {maker->kit->keys[i], KS_CUSTODY_PUBLIC_LEN};
        KS_TRY(ks_ec_read_public(spki, &custodian));
        KS_TRY(ks_ec_agree(maker->ephemeral, custodian, &ret_agreements->shared[i]));
    }
    return KS_RES(OK);
}

/* Seals what stands at the start of place, from the last custodian of the subset to the first. */
static ks_result nest(struct ks_crypto *crypto, const struct agreements *agreements, ks_bytes head,
                      uint8_t subset, uint8_t needed, uint8_t *place)
{
    for (uint8_t position = needed; position > 0; position--) {
        const struct ks_layer layer = {head, subset, position};
        const ks_secret *shared = &agreements->shared[ks_custody_member(subset, position) - 1];
        uint8_t bound[KS_LAYER_BOUND_MAX];
        KS_SECRET_AUTO key = {.len = 0};
        KS_TRY(ks_layer_key(crypto, shared, &layer, &key));
        const struct ks_aead_box box = {.key = &key, .aad = ks_layer_bound(&layer, bound)};
        size_t len = ks_layer_sealed_len(needed, position) - KS_CUSTODY_TAG_LEN;
        KS_TRY(ks_aead_seal(crypto, &box, (ks_bytes){place, len}, place));
    }
    return KS_RES(OK);
}

static ks_result append_boxes(struct ks_crypto *crypto, const struct ks_block_maker *maker,
                              const ks_secret *key, struct ks_buffer *out)
{
    const struct ks_kit *kit = maker->kit;
    uint8_t head_copy[KS_CUSTODY_HEAD_MAX];
    ks_bytes head = {head_copy, out->len};
    uint8_t subsets[KS_CUSTODY_SUBSETS_MAX];
    KS_CLEANUP(agreements_done) struct agreements agreements = {0};
    memcpy(head_copy, out->ptr, out->len);
    KS_TRY(agree(maker, &agreements));
    size_t count = ks_custody_subsets(kit->needed, kit->count, subsets);
    for (size_t i = 0; i < count; i++) {
        uint8_t *place = NULL;
        KS_TRY(ks_buffer_extend(out, ks_layer_sealed_len(kit->needed, 1), &place));
        memcpy(place, key->bytes, KS_BACKUP_KEY_LEN);
        KS_TRY(nest(crypto, &agreements, head, subsets[i], kit->needed, place));
    }
    return KS_RES(OK);
}

static bool are_ascending(const struct ks_block_keys *keys)
{
    bool good = keys->count > 0 && keys->count <= KS_BLOCK_DOMAIN_KEYS_MAX;
    for (size_t i = 0; good && i < keys->count; i++) {
        uint32_t before = i > 0 ? keys->keys[i - 1].generation : 0;
        good =
            keys->keys[i].generation > before && keys->keys[i].key.len == KS_BLOCK_DOMAIN_KEY_LEN;
    }
    return good;
}

static ks_result append_domain_keys(struct ks_crypto *crypto, const struct ks_block_maker *maker,
                                    const ks_secret *key, const struct ks_block_keys *keys,
                                    struct ks_buffer *out)
{
    KS_BUFFER_AUTO before = {.len_max = KS_BLOCK_LEN_MAX};
    KS_SECRET_AUTO under = {.len = 0};
    KS_TRY(derive(crypto, key, DOMAIN_KEYS_LABEL, maker->backup, &under));
    KS_TRY(ks_buffer_append(&before, ks_buffer_bytes(out)));
    uint8_t *place = NULL;
    size_t len = keys->count * ENTRY_LEN;
    KS_TRY(ks_buffer_extend(out, 2 + len + KS_CUSTODY_TAG_LEN, &place));
    struct ks_writer writer = {.ptr = place, .capacity = 2 + len};
    ks_write_u16(&writer, (uint16_t)(len + KS_CUSTODY_TAG_LEN));
    for (size_t i = 0; i < keys->count; i++) {
        ks_write_u32(&writer, keys->keys[i].generation);
        ks_write_bytes(&writer, ks_secret_bytes(&keys->keys[i].key));
    }
    assert(!writer.full && writer.len == 2 + len);
    const struct ks_aead_box box = {.key = &under, .aad = ks_buffer_bytes(&before)};
    return ks_aead_seal(crypto, &box, (ks_bytes){place + 2, len}, place + 2);
}

static ks_result append_signature(const struct ks_block_maker *maker, struct ks_buffer *out)
{
    uint8_t length[2];
    struct ks_writer writer = {.ptr = length, .capacity = sizeof(length)};
    ks_write_u16(&writer, (uint16_t)maker->certificate.len);
    KS_TRY(ks_buffer_append(out, ks_written(&writer)));
    KS_TRY(ks_buffer_append(out, maker->certificate));
    KS_BUFFER_AUTO body = {.len_max = KS_BLOCK_LEN_MAX};
    KS_TRY(ks_buffer_append(&body, ks_buffer_bytes(out)));
    ks_bytes bytes = ks_buffer_bytes(&body);
    const struct ks_signed what = {BLOCK_LABEL, &bytes, 1};
    return ks_signed_append(&what, maker->identity, out);
}

ks_result ks_block_seal(struct ks_crypto *crypto, const struct ks_block_maker *maker,
                        const ks_secret *key, const struct ks_block_keys *keys,
                        struct ks_buffer *out)
{
    assert(crypto && maker && out->len == 0);
    assert(key->len == KS_BACKUP_KEY_LEN);

    const struct ks_kit *kit = maker->kit;
    uint8_t subsets[KS_CUSTODY_SUBSETS_MAX];
    if (ks_custody_subsets(kit->needed, kit->count, subsets) == 0 || kit->period == 0 ||
        !are_ascending(keys) || maker->certificate.len == 0 ||
        maker->certificate.len > KS_PEER_CERTIFICATE_MAX) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(ks_custody_head_append(maker, out));
    KS_TRY(append_boxes(crypto, maker, key, out));
    KS_TRY(append_domain_keys(crypto, maker, key, keys, out));
    return append_signature(maker, out);
}

/* Reading */

ks_result ks_block_read(ks_bytes bytes, struct ks_block *ret_block)
{
    assert(ret_block);

    struct ks_reader in = {.rest = bytes};
    struct ks_block block = {.head = {.period = 0}};
    uint8_t subsets[KS_CUSTODY_SUBSETS_MAX];
    if (!ks_custody_head_read(&in, &block.head)) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    size_t count = ks_custody_subsets(block.head.needed, block.head.count, subsets);
    block.boxes = ks_read_bytes(&in, count * ks_layer_sealed_len(block.head.needed, 1));
    block.before = (ks_bytes){bytes.ptr, bytes.len - in.rest.len};
    block.domain_keys = ks_read_long(&in);
    block.certificate = ks_read_long(&in);
    block.body = (ks_bytes){bytes.ptr, bytes.len - in.rest.len};
    block.signature = ks_read_long(&in);
    size_t entries_len = block.domain_keys.len - KS_CUSTODY_TAG_LEN;
    bool fits = ks_read_all(&in) && block.domain_keys.len > KS_CUSTODY_TAG_LEN &&
                entries_len % ENTRY_LEN == 0 &&
                entries_len / ENTRY_LEN <= KS_BLOCK_DOMAIN_KEYS_MAX && block.certificate.len > 0 &&
                block.certificate.len <= KS_PEER_CERTIFICATE_MAX &&
                block.signature.len <= KS_BLOCK_SIGNATURE_MAX;
    if (!fits) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    *ret_block = block;
    return KS_RES(OK);
}

ks_result ks_block_verify(const struct ks_block *block, const struct ks_peer_trust *trust,
                          struct ks_peer *ret_peer)
{
    assert(block && block->body.ptr);
    assert(ret_peer);

    struct ks_peer peer;
    KS_EC_AUTO *key = NULL;
    KS_TRY(ks_peer_check(trust, block->certificate, &peer, &key));
    const struct ks_signed what = {BLOCK_LABEL, &block->body, 1};
    if (strcmp(peer.region, block->head.region) != 0 ||
        ks_failed(ks_signed_verify(&what, key, block->signature))) {
        return KS_RES(ACCESS_DENIED);
    }
    *ret_peer = peer;
    return KS_RES(OK);
}

/* plain is a whole number of entries. */
static ks_result read_keys(ks_bytes plain, struct ks_block_keys *ret_keys)
{
    KS_BLOCK_KEYS_AUTO keys = {.count = 0};
    struct ks_reader in = {.rest = plain};
    while (in.rest.len > 0) {
        ks_secret *key = &keys.keys[keys.count].key;
        keys.keys[keys.count].generation = ks_read_u32(&in);
        ks_bytes bytes = ks_read_bytes(&in, KS_BLOCK_DOMAIN_KEY_LEN);
        memcpy(key->bytes, bytes.ptr, bytes.len);
        key->len = bytes.len;
        keys.count++;
    }
    if (!are_ascending(&keys)) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    *ret_keys = keys;
    return KS_RES(OK);
}

ks_result ks_block_open(struct ks_crypto *crypto, const struct ks_block *block,
                        const ks_secret *key, struct ks_block_keys *ret_keys)
{
    assert(crypto && block && ret_keys);
    assert(key->len == KS_BACKUP_KEY_LEN);

    KS_SECRET_AUTO under = {.len = 0};
    KS_BUFFER_AUTO plain = {.len_max = KS_BLOCK_DOMAIN_KEYS_MAX * ENTRY_LEN};
    uint8_t *place = NULL;
    KS_TRY(derive(crypto, key, DOMAIN_KEYS_LABEL, block->head.backup, &under));
    KS_TRY(ks_buffer_extend(&plain, block->domain_keys.len - KS_CUSTODY_TAG_LEN, &place));
    const struct ks_aead_box box = {.key = &under, .aad = block->before};
    KS_TRY(ks_aead_open(crypto, &box, block->domain_keys, place));
    return read_keys(ks_buffer_bytes(&plain), ret_keys);
}
