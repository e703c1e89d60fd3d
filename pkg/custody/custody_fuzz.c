/*
 * Any bytes as a kit, a block, a box and a handed key: what reads as one is as long as its parts, and
 * nothing of it opens or is signed.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/ec.h"
#include "pkg/custody/restore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ks_ec_key *key;

static void try_kit(ks_bytes bytes)
{
    struct ks_kit kit;
    struct ks_kit again;
    KS_BUFFER_AUTO out = {.len_max = KS_KIT_LEN_MAX};
    if (ks_failed(ks_kit_read(bytes, &kit))) {
        return;
    }
    ks_result r = ks_kit_open(bytes, key, &again);
    assert(r.code == KS_ACCESS_DENIED);
    r = ks_kit_sign(&kit, key, &out);
    assert(!ks_failed(r));
    r = ks_kit_open(ks_buffer_bytes(&out), key, &again);
    assert(!ks_failed(r));
    assert(
        ks_bytes_equal((ks_bytes){kit.id, sizeof(kit.id)}, (ks_bytes){again.id, sizeof(again.id)}));
}

static void try_block(struct ks_crypto *crypto, ks_bytes bytes)
{
    struct ks_block block;
    KS_BLOCK_KEYS_AUTO keys = {.count = 0};
    KS_SECRET_AUTO zero = {.len = KS_BACKUP_KEY_LEN};
    uint8_t subsets[KS_CUSTODY_SUBSETS_MAX];
    if (ks_failed(ks_block_read(bytes, &block))) {
        return;
    }
    assert(block.body.len + 2 + block.signature.len == bytes.len);
    ks_result r = ks_block_open(crypto, &block, &zero, &keys);
    assert(r.code == KS_INVALID_CIPHERTEXT);
    size_t count = ks_custody_subsets(block.head.needed, block.head.count, subsets);
    for (size_t i = 0; i < count; i++) {
        KS_BUFFER_AUTO out = {.len_max = KS_BOX_LEN_MAX};
        struct ks_box box;
        r = ks_block_box(&block, subsets[i], &out);
        assert(!ks_failed(r));
        r = ks_box_read(ks_buffer_bytes(&out), &box);
        assert(!ks_failed(r) && box.position == 1);
    }
}

static void try_box(struct ks_crypto *crypto, ks_bytes bytes)
{
    struct ks_box box;
    KS_BUFFER_AUTO out = {.len_max = KS_BOX_LEN_MAX};
    KS_SECRET_AUTO opened = {.len = 0};
    if (ks_failed(ks_box_read(bytes, &box))) {
        return;
    }
    bool is_last = box.position == box.head.needed;
    ks_result next = ks_box_open(crypto, &box, key, &out);
    ks_result last = ks_box_open_key(crypto, &box, key, &opened);
    assert(next.code == (is_last ? KS_VALIDATION : KS_INVALID_CIPHERTEXT));
    assert(last.code == (is_last ? KS_INVALID_CIPHERTEXT : KS_VALIDATION));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ks_result r = ks_crypto_init(&(struct ks_crypto_options){0});
    assert(!ks_failed(r));
    if (!key) {
        r = ks_ec_generate(KS_EC_P384, &key);
        assert(!ks_failed(r));
    }
    KS_CRYPTO_AUTO *crypto = ks_crypto_new();
    static const uint8_t hash[KS_TRANSIT_HASH_LEN];
    KS_SECRET_AUTO handed = {.len = 0};
    ks_bytes bytes = {data, size};
    try_kit(bytes);
    try_block(crypto, bytes);
    try_box(crypto, bytes);
    r = ks_handed_key_open(crypto, bytes, hash, key, &handed);
    assert(r.code == KS_INVALID_CIPHERTEXT);
    r = ks_restore_order_check(crypto, bytes, hash, bytes, key);
    assert(r.code == KS_ACCESS_DENIED);
    return 0;
}
