/* SYMMETRIC_DEFAULT: blobs of proto/formats/blob-v1.md. The key is an HMAC keyed with the HBK. */
#include "pkg/blob/blob.h"
#include "pkg/crypto/mac.h"
#include "pkg/crypto/random.h"
#include "services/hsm/specs/spec.h"

static ks_result make(const struct ks_keyspec *spec, ks_secret *ret_material)
{
    return ks_random_secret(spec->material_len, ret_material);
}

static bool fits(const struct ks_keyspec *spec, const ks_secret *material)
{
    return material->len == spec->material_len;
}

static ks_result load(const ks_secret *material, void **ret_key)
{
    struct ks_mac *mac = NULL;
    KS_TRY(ks_mac_new(material, &mac));
    *ret_key = mac;
    return KS_RES(OK);
}

static void unload(void *key)
{
    ks_mac_free(key);
}

static ks_result encrypt(const struct ks_hsm_use *use, ks_bytes plaintext,
                         ProtobufCBinaryData *ret_blob)
{
    uint8_t nonce[KS_BLOB_NONCE_LEN];
    const struct ks_blob_content content = {
        .name = use->binding->name,
        .material_id = use->binding->material_id,
        .nonce = nonce,
        .context = use->context,
        .plaintext = plaintext,
    };
    ProtobufCBinaryData blob;
    if (plaintext.len > use->binding->use->algorithms[0].data_len_max) {
        return KS_RES(VALIDATION);
    }
    KS_TRY(ks_random_nonce(use->crypto, nonce, sizeof(nonce)));
    KS_TRY(ks_hsm_place(use->arena, ks_blob_sealed_len(content.name.region.len, plaintext.len),
                        &blob));
    KS_TRY(ks_blob_seal(use->crypto, use->key, &content, blob.data, &blob.len));
    *ret_blob = blob;
    return KS_RES(OK);
}

/*
 * The blob must say that it belongs to the very key that the keystore named: whoever wrote its
 * header is not to choose the key.
 */
static ks_result decrypt(const struct ks_hsm_use *use, ks_bytes bytes,
                         ProtobufCBinaryData *ret_plaintext)
{
    const struct ks_hsm_binding *binding = use->binding;
    struct ks_blob blob;
    KS_TRY(ks_blob_parse(bytes, &blob));
    if (!ks_key_name_equal(&blob.name, &binding->name) ||
        !ks_bytes_equal((ks_bytes){blob.material_id, KS_MATERIAL_ID_LEN},
                        (ks_bytes){binding->material_id, KS_MATERIAL_ID_LEN})) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    ProtobufCBinaryData plaintext;
    KS_TRY(ks_hsm_place(use->arena, blob.sealed.len - KS_BLOB_TAG_LEN, &plaintext));
    KS_TRY(
        ks_blob_open(use->crypto, use->key, &blob, use->context, plaintext.data, &plaintext.len));
    *ret_plaintext = plaintext;
    return KS_RES(OK);
}

extern const struct ks_hsm_spec ks_hsm_symmetric;

const struct ks_hsm_spec ks_hsm_symmetric = {
    .make = make,
    .fits = fits,
    .load = load,
    .unload = unload,
    .encrypt = encrypt,
    .decrypt = decrypt,
};
