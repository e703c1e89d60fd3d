#include "pkg/blob/blob.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/secret.h"
#include "pkg/crypto/aead.h"
#include "pkg/crypto/hash.h"
#include "pkg/crypto/kdf.h"
#include "pkg/form/form.h"

#define VERSION           1U
#define SYMMETRIC_DEFAULT 1U
#define BEFORE_REGION_LEN 3U /* version, algorithm, length of the region */
#define BEHIND_REGION_LEN (KS_ACCOUNT_LEN + KS_KEY_ID_LEN + KS_MATERIAL_ID_LEN + KS_BLOB_NONCE_LEN)
#define DERIVED_LEN       (KS_AEAD_KEY_LEN + KS_BLOB_COMMIT_LEN)

static_assert(KS_BLOB_LEN_MAX <= 6144, "AWS clients accept no longer blob");
static_assert(KS_BLOB_TAG_LEN == KS_AEAD_TAG_LEN, "the tag is the cipher's");
static_assert(DERIVED_LEN <= KS_SECRET_MAX, "both keys come from one derivation");

ks_result ks_blob_parse(ks_bytes bytes, struct ks_blob *ret_blob)
{
    assert(ret_blob);

    struct ks_reader in = {.rest = bytes};
    uint8_t version = ks_read_u8(&in);
    uint8_t algorithm = ks_read_u8(&in);
    struct ks_blob blob = {0};
    blob.name.region = ks_read_short(&in);
    blob.name.account = ks_read_bytes(&in, KS_ACCOUNT_LEN);
    blob.name.key_id = ks_read_bytes(&in, KS_KEY_ID_LEN);
    blob.material_id = ks_read_bytes(&in, KS_MATERIAL_ID_LEN).ptr;
    blob.nonce = ks_read_bytes(&in, KS_BLOB_NONCE_LEN).ptr;
    blob.header = (ks_bytes){bytes.ptr, bytes.len - in.rest.len};
    blob.commitment = ks_read_bytes(&in, KS_BLOB_COMMIT_LEN).ptr;
    blob.sealed = in.rest;
    bool fits = !in.bad && blob.sealed.len > KS_BLOB_TAG_LEN &&
                blob.sealed.len <= KS_BLOB_PLAINTEXT_MAX + KS_BLOB_TAG_LEN;
    if (!fits || version != VERSION || algorithm != SYMMETRIC_DEFAULT ||
        !ks_is_key_name(&blob.name)) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    *ret_blob = blob;
    return KS_RES(OK);
}

size_t ks_blob_sealed_len(size_t region_len, size_t plaintext_len)
{
    return BEFORE_REGION_LEN + region_len + BEHIND_REGION_LEN + KS_BLOB_COMMIT_LEN + plaintext_len +
           KS_BLOB_TAG_LEN;
}

/* K_enc ‖ K_commit. */
static ks_result derive(struct ks_crypto *crypto, struct ks_mac *hbk, const struct ks_blob *blob,
                        ks_bytes context, ks_secret *ret_derived)
{
    uint8_t derivation[KS_BLOB_NONCE_LEN + KS_SHA256_LEN];
    memcpy(derivation, blob->nonce, KS_BLOB_NONCE_LEN);
    const ks_bytes parts[] = {blob->header, context};
    KS_TRY(ks_hash_sha256(crypto, parts, KS_COUNT(parts), derivation + KS_BLOB_NONCE_LEN));
    return ks_kdf_counter(hbk, KS_LITERAL("keystead/blob/v1"),
                          (ks_bytes){derivation, sizeof(derivation)}, DERIVED_LEN, ret_derived);
}

static void split(const ks_secret *derived, ks_secret *ret_key, ks_bytes *ret_commitment)
{
    assert(derived->len == DERIVED_LEN);

    memcpy(ret_key->bytes, derived->bytes, KS_AEAD_KEY_LEN);
    ret_key->len = KS_AEAD_KEY_LEN;
    *ret_commitment = (ks_bytes){derived->bytes + KS_AEAD_KEY_LEN, KS_BLOB_COMMIT_LEN};
}

static ks_bytes write_header(const struct ks_blob_content *content, uint8_t *place)
{
    struct ks_writer out = {.ptr = place, .capacity = KS_BLOB_HEADER_MAX};
    ks_write_u8(&out, VERSION);
    ks_write_u8(&out, SYMMETRIC_DEFAULT);
    ks_write_short(&out, content->name.region);
    ks_write_bytes(&out, content->name.account);
    ks_write_bytes(&out, content->name.key_id);
    ks_write_bytes(&out, (ks_bytes){content->material_id, KS_MATERIAL_ID_LEN});
    ks_write_bytes(&out, (ks_bytes){content->nonce, KS_BLOB_NONCE_LEN});
    assert(!out.full);
    return ks_written(&out);
}

ks_result ks_blob_seal(struct ks_crypto *crypto, struct ks_mac *hbk,
                       const struct ks_blob_content *content, uint8_t *ret_blob, size_t *ret_len)
{
    assert(crypto && hbk && content);
    assert(content->material_id && content->nonce);

    if (content->plaintext.len == 0 || content->plaintext.len > KS_BLOB_PLAINTEXT_MAX ||
        !ks_is_key_name(&content->name)) {
        return KS_RES(VALIDATION);
    }
    struct ks_blob blob = {.nonce = content->nonce, .header = write_header(content, ret_blob)};
    KS_SECRET_AUTO derived = {.len = 0};
    KS_SECRET_AUTO key = {.len = 0};
    ks_bytes commitment;
    KS_TRY(derive(crypto, hbk, &blob, content->context, &derived));
    split(&derived, &key, &commitment);

    uint8_t *place = ret_blob + blob.header.len;
    memcpy(place, commitment.ptr, commitment.len);
    const struct ks_aead_box box = {.key = &key, .aad = blob.header};
    KS_TRY(ks_aead_seal(crypto, &box, content->plaintext, place + KS_BLOB_COMMIT_LEN));
    *ret_len = ks_blob_sealed_len(content->name.region.len, content->plaintext.len);
    return KS_RES(OK);
}

ks_result ks_blob_open(struct ks_crypto *crypto, struct ks_mac *hbk, const struct ks_blob *blob,
                       ks_bytes context, uint8_t *ret_plaintext, size_t *ret_len)
{
    assert(crypto && hbk && blob);
    assert(blob->sealed.len > KS_BLOB_TAG_LEN);

    size_t len = blob->sealed.len - KS_BLOB_TAG_LEN;
    memset(ret_plaintext, 0, len);
    KS_SECRET_AUTO derived = {.len = 0};
    KS_SECRET_AUTO key = {.len = 0};
    ks_bytes commitment;
    KS_TRY(derive(crypto, hbk, blob, context, &derived));
    split(&derived, &key, &commitment);
    if (!ks_secret_equal(commitment, (ks_bytes){blob->commitment, KS_BLOB_COMMIT_LEN})) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    const struct ks_aead_box box = {.key = &key, .aad = blob->header};
    KS_TRY(ks_aead_open(crypto, &box, blob->sealed, ret_plaintext));
    *ret_len = len;
    return KS_RES(OK);
}
