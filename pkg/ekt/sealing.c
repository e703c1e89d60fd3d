#include "pkg/ekt/sealing.h"

#include <assert.h>

#include "pkg/crypto/aead.h"
#include "pkg/crypto/hash.h"
#include "pkg/crypto/kdf.h"
#include "pkg/ekt/generation.h"
#include "pkg/form/form.h"

#define CONTEXT_MAX (KS_SEALING_SALT_LEN + KS_SHA256_LEN)

static_assert(KS_SEALING_TAG_LEN == KS_AEAD_TAG_LEN, "the tag is the cipher's");

ks_result ks_sealed_parse(ks_bytes bytes, struct ks_sealed *ret_sealed)
{
    assert(ret_sealed);

    struct ks_reader in = {.rest = bytes};
    uint8_t version = ks_read_u8(&in);
    struct ks_sealed sealed = {.generation = ks_read_u32(&in)};
    sealed.salt = ks_read_bytes(&in, KS_SEALING_SALT_LEN);
    sealed.head = (ks_bytes){bytes.ptr, KS_SEALING_HEAD_LEN};
    sealed.body = in.rest;
    bool fits = !in.bad && sealed.body.len > KS_SEALING_TAG_LEN &&
                sealed.body.len <= KS_SECRET_MAX + KS_SEALING_TAG_LEN;
    if (!fits || version != KS_SEALING_VERSION || !ks_is_generation(sealed.generation)) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    *ret_sealed = sealed;
    return KS_RES(OK);
}

static ks_result derive(const struct ks_sealing *sealing, ks_bytes salt, ks_secret *ret_key)
{
    uint8_t context[CONTEXT_MAX];
    struct ks_writer out = {.ptr = context, .capacity = sizeof(context)};
    ks_write_bytes(&out, salt);
    ks_write_bytes(&out, sealing->derivation);
    assert(!out.full);
    return ks_kdf_counter(sealing->key, sealing->label, ks_written(&out), KS_AEAD_KEY_LEN, ret_key);
}

static ks_bytes write_aad(const struct ks_sealing *sealing, ks_bytes head, uint8_t *place)
{
    struct ks_writer out = {.ptr = place, .capacity = KS_SEALING_AAD_MAX};
    ks_write_bytes(&out, head);
    ks_write_bytes(&out, sealing->aad);
    assert(!out.full);
    return ks_written(&out);
}

ks_result ks_sealing_seal(const struct ks_sealing *sealing, uint32_t generation,
                          const uint8_t *salt, const ks_secret *secret, uint8_t *ret_sealed)
{
    assert(ks_is_generation(generation));
    assert(secret->len > 0 && secret->len <= KS_SECRET_MAX);

    struct ks_writer out = {.ptr = ret_sealed, .capacity = KS_SEALING_HEAD_LEN};
    ks_write_u8(&out, KS_SEALING_VERSION);
    ks_write_u32(&out, generation);
    ks_write_bytes(&out, (ks_bytes){salt, KS_SEALING_SALT_LEN});
    assert(!out.full);

    KS_SECRET_AUTO key = {.len = 0};
    KS_TRY(derive(sealing, (ks_bytes){salt, KS_SEALING_SALT_LEN}, &key));
    uint8_t aad[KS_SEALING_AAD_MAX];
    const struct ks_aead_box box = {.key = &key, .aad = write_aad(sealing, ks_written(&out), aad)};
    return ks_aead_seal(sealing->crypto, &box, ks_secret_bytes(secret),
                        ret_sealed + KS_SEALING_HEAD_LEN);
}

ks_result ks_sealing_open(const struct ks_sealing *sealing, const struct ks_sealed *sealed,
                          ks_secret *ret_secret)
{
    assert(ret_secret);
    assert(sealed->body.len > KS_SEALING_TAG_LEN);

    KS_SECRET_AUTO key = {.len = 0};
    KS_SECRET_AUTO secret = {.len = sealed->body.len - KS_SEALING_TAG_LEN};
    KS_TRY(derive(sealing, sealed->salt, &key));
    uint8_t aad[KS_SEALING_AAD_MAX];
    const struct ks_aead_box box = {.key = &key, .aad = write_aad(sealing, sealed->head, aad)};
    KS_TRY(ks_aead_open(sealing->crypto, &box, sealed->body, secret.bytes));
    ks_secret_move(ret_secret, &secret);
    return KS_RES(OK);
}
