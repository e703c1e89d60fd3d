#include "pkg/custody/head.h"

#include <assert.h>
#include <string.h>

#include "pkg/crypto/aead.h"
#include "pkg/crypto/ec.h"
#include "pkg/crypto/hash.h"
#include "pkg/crypto/kdf.h"
#include "pkg/form/form.h"

#define VERSION     1U
#define LAYER_LABEL "keystead/custody/layer/v1"

static_assert(KS_CUSTODY_TAG_LEN == KS_AEAD_TAG_LEN, "the tag is the cipher's");

bool ks_custody_head_read(struct ks_reader *in, struct ks_custody_head *ret_head)
{
    const uint8_t *begin = in->rest.ptr;
    size_t len = in->rest.len;
    struct ks_custody_head head = {.period = 0};
    uint8_t version = ks_read_u8(in);
    head.backup = ks_read_bytes(in, KS_CUSTODY_HASH_LEN).ptr;
    head.kit = ks_read_bytes(in, KS_CUSTODY_HASH_LEN).ptr;
    ks_bytes region = ks_read_short(in);
    head.period = ks_read_u32(in);
    head.needed = ks_read_u8(in);
    head.count = ks_read_u8(in);
    head.ephemeral = ks_read_bytes(in, KS_CUSTODY_PUBLIC_LEN);
    if (in->bad || version != VERSION || !ks_is_region(region) || head.period == 0 ||
        head.needed == 0 || head.needed > head.count || head.count > KS_CUSTODIANS_MAX) {
        return false;
    }
    memcpy(head.region, region.ptr, region.len);
    head.bytes = (ks_bytes){begin, len - in->rest.len};
    *ret_head = head;
    return true;
}

ks_result ks_custody_head_append(const struct ks_block_maker *maker, struct ks_buffer *out)
{
    const struct ks_kit *kit = maker->kit;
    uint8_t place[KS_CUSTODY_HEAD_MAX];
    KS_BUFFER_AUTO ephemeral = {.len_max = KS_CUSTODY_PUBLIC_LEN};
    KS_TRY(ks_ec_write_public_der(maker->ephemeral, &ephemeral));
    struct ks_writer writer = {.ptr = place, .capacity = sizeof(place)};
    ks_write_u8(&writer, VERSION);
    ks_write_bytes(&writer, (ks_bytes){maker->backup, KS_CUSTODY_HASH_LEN});
    ks_write_bytes(&writer, (ks_bytes){kit->id, sizeof(kit->id)});
    ks_write_short(&writer, ks_bytes_of(kit->region));
    ks_write_u32(&writer, kit->period);
    ks_write_u8(&writer, kit->needed);
    ks_write_u8(&writer, kit->count);
    ks_write_bytes(&writer, ks_buffer_bytes(&ephemeral));
    assert(!writer.full);
    return ks_buffer_append(out, ks_written(&writer));
}

ks_result ks_layer_key(struct ks_crypto *crypto, const ks_secret *shared,
                       const struct ks_layer *layer, ks_secret *ret_key)
{
    uint8_t hash[KS_SHA384_LEN];
    uint8_t place[sizeof(LAYER_LABEL) + sizeof(hash) + 2];
    KS_TRY(ks_hash_sha384(crypto, &layer->head, 1, hash));
    struct ks_writer info = {.ptr = place, .capacity = sizeof(place)};
    ks_write_bytes(&info, (ks_bytes){(const uint8_t *)LAYER_LABEL, sizeof(LAYER_LABEL)});
    ks_write_bytes(&info, (ks_bytes){hash, sizeof(hash)});
    ks_write_u8(&info, layer->subset);
    ks_write_u8(&info, layer->position);
    assert(!info.full);
    return ks_kdf_hkdf(shared, (ks_bytes){NULL, 0}, ks_written(&info), KS_AEAD_KEY_LEN, ret_key);
}

ks_bytes ks_layer_bound(const struct ks_layer *layer, uint8_t place[static KS_LAYER_BOUND_MAX])
{
    struct ks_writer bound = {.ptr = place, .capacity = KS_LAYER_BOUND_MAX};
    ks_write_bytes(&bound, layer->head);
    ks_write_u8(&bound, layer->subset);
    ks_write_u8(&bound, layer->position);
    assert(!bound.full);
    return ks_written(&bound);
}

size_t ks_layer_sealed_len(uint8_t needed, uint8_t position)
{
    assert(position > 0 && position <= needed);

    return KS_BACKUP_KEY_LEN + (size_t)KS_CUSTODY_TAG_LEN * (needed - position + 1U);
}
