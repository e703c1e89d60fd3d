/* The boxes that the custodians of one subset hand on. */
#include <assert.h>
#include <string.h>

#include "pkg/crypto/aead.h"
#include "pkg/crypto/ec.h"
#include "pkg/custody/head.h"
#include "pkg/form/form.h"

#define VERSION 1U

static ks_result append(const struct ks_layer *layer, ks_bytes sealed, struct ks_buffer *out)
{
    uint8_t place[KS_BOX_LEN_MAX];
    struct ks_writer writer = {.ptr = place, .capacity = sizeof(place)};
    ks_write_u8(&writer, VERSION);
    ks_write_bytes(&writer, layer->head);
    ks_write_u8(&writer, layer->subset);
    ks_write_u8(&writer, layer->position);
    ks_write_bytes(&writer, sealed);
    assert(!writer.full);
    return ks_buffer_append(out, ks_written(&writer));
}

ks_result ks_block_box(const struct ks_block *block, uint8_t subset, struct ks_buffer *out)
{
    assert(block && out);

    uint8_t subsets[KS_CUSTODY_SUBSETS_MAX];
    size_t count = ks_custody_subsets(block->head.needed, block->head.count, subsets);
    size_t len = ks_layer_sealed_len(block->head.needed, 1);
    for (size_t i = 0; i < count; i++) {
        if (subsets[i] == subset) {
            const struct ks_layer layer = {block->head.bytes, subset, 1};
            return append(&layer, (ks_bytes){block->boxes.ptr + i * len, len}, out);
        }
    }
    return KS_RES(NOT_FOUND);
}

static bool is_subset(const struct ks_custody_head *head, uint8_t subset)
{
    uint8_t subsets[KS_CUSTODY_SUBSETS_MAX];
    size_t count = ks_custody_subsets(head->needed, head->count, subsets);
    for (size_t i = 0; i < count; i++) {
        if (subsets[i] == subset) {
            return true;
        }
    }
    return false;
}

ks_result ks_box_read(ks_bytes bytes, struct ks_box *ret_box)
{
    assert(ret_box);

    struct ks_reader in = {.rest = bytes};
    struct ks_box box = {.subset = 0};
    if (ks_read_u8(&in) != VERSION || !ks_custody_head_read(&in, &box.head)) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    box.subset = ks_read_u8(&in);
    box.position = ks_read_u8(&in);
    if (in.bad || !is_subset(&box.head, box.subset) || box.position == 0 ||
        box.position > box.head.needed) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    box.sealed = ks_read_bytes(&in, ks_layer_sealed_len(box.head.needed, box.position));
    if (!ks_read_all(&in)) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    *ret_box = box;
    return KS_RES(OK);
}

/* place takes box->sealed.len - KS_CUSTODY_TAG_LEN bytes; they are zero after a failure. */
static ks_result open_layer(struct ks_crypto *crypto, const struct ks_box *box,
                            const struct ks_ec_key *own, uint8_t *place)
{
    const struct ks_layer layer = {box->head.bytes, box->subset, box->position};
    uint8_t bound[KS_LAYER_BOUND_MAX];
    KS_EC_AUTO *ephemeral = NULL;
    KS_SECRET_AUTO shared = {.len = 0};
    KS_SECRET_AUTO key = {.len = 0};
    memset(place, 0, box->sealed.len - KS_CUSTODY_TAG_LEN);
    if (ks_failed(ks_ec_read_public(box->head.ephemeral, &ephemeral)) ||
        ks_failed(ks_ec_agree(own, ephemeral, &shared))) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    KS_TRY(ks_layer_key(crypto, &shared, &layer, &key));
    const struct ks_aead_box sealed = {.key = &key, .aad = ks_layer_bound(&layer, bound)};
    return ks_aead_open(crypto, &sealed, box->sealed, place);
}

ks_result ks_box_open(struct ks_crypto *crypto, const struct ks_box *box,
                      const struct ks_ec_key *own, struct ks_buffer *out)
{
    assert(crypto && box && own && out);

    if (box->position == box->head.needed) {
        return KS_RES(VALIDATION);
    }
    uint8_t inner[KS_BOX_SEALED_MAX]; /* a box for another custodian: nothing secret */
    const struct ks_layer next = {box->head.bytes, box->subset, (uint8_t)(box->position + 1)};
    KS_TRY(open_layer(crypto, box, own, inner));
    return append(&next, (ks_bytes){inner, box->sealed.len - KS_CUSTODY_TAG_LEN}, out);
}

ks_result ks_box_open_key(struct ks_crypto *crypto, const struct ks_box *box,
                          const struct ks_ec_key *own, ks_secret *ret_key)
{
    assert(crypto && box && own && ret_key);

    if (box->position != box->head.needed) {
        return KS_RES(VALIDATION);
    }
    KS_SECRET_AUTO key = {.len = KS_BACKUP_KEY_LEN};
    KS_TRY(open_layer(crypto, box, own, key.bytes));
    ks_secret_move(ret_key, &key);
    return KS_RES(OK);
}
