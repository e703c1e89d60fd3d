#include "pkg/crypto/aead.h"

#include <assert.h>
#include <string.h>

#include "pkg/crypto/context.h"
#include "pkg/crypto/openssl.h"

static const uint8_t zero_iv[KS_AEAD_IV_LEN];

static ks_result check_box(const struct ks_aead_box *box, size_t text_len)
{
    assert(box && box->key);

    bool fits = box->key->len == KS_AEAD_KEY_LEN && text_len <= KS_AEAD_LEN_MAX &&
                box->aad.len <= KS_AEAD_LEN_MAX;
    return fits ? KS_RES(OK) : KS_RES(VALIDATION);
}

ks_result ks_aead_seal(struct ks_crypto *crypto, const struct ks_aead_box *box, ks_bytes plaintext,
                       uint8_t *ret_sealed)
{
    assert(crypto && ret_sealed);
    KS_TRY(check_box(box, plaintext.len));

    EVP_CIPHER_CTX *ctx = crypto->seal;
    const uint8_t *iv = box->iv ? box->iv : zero_iv;
    uint8_t *tag = ret_sealed + plaintext.len;
    int n = 0;
    /* Empty data is not passed on: OpenSSL takes a NULL input as the end of the message. */
    bool sealed = EVP_EncryptInit_ex2(ctx, NULL, box->key->bytes, iv, NULL) == 1 &&
                  (box->aad.len == 0 ||
                   EVP_EncryptUpdate(ctx, NULL, &n, box->aad.ptr, (int)box->aad.len) == 1) &&
                  (plaintext.len == 0 || EVP_EncryptUpdate(ctx, ret_sealed, &n, plaintext.ptr,
                                                           (int)plaintext.len) == 1) &&
                  EVP_EncryptFinal_ex(ctx, tag, &n) == 1 &&
                  EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, KS_AEAD_TAG_LEN, tag) == 1;
    return ks_openssl_check(sealed);
}

ks_result ks_aead_open(struct ks_crypto *crypto, const struct ks_aead_box *box, ks_bytes sealed,
                       uint8_t *ret_plaintext)
{
    assert(crypto && ret_plaintext);
    KS_TRY(check_box(box, 0));
    if (sealed.len < KS_AEAD_TAG_LEN || sealed.len > KS_AEAD_LEN_MAX + KS_AEAD_TAG_LEN) {
        return KS_RES(INVALID_CIPHERTEXT);
    }

    EVP_CIPHER_CTX *ctx = crypto->open;
    const uint8_t *iv = box->iv ? box->iv : zero_iv;
    size_t len = sealed.len - KS_AEAD_TAG_LEN;
    uint8_t tag[KS_AEAD_TAG_LEN];
    memcpy(tag, sealed.ptr + len, sizeof(tag));
    int n = 0;
    bool ready = EVP_DecryptInit_ex2(ctx, NULL, box->key->bytes, iv, NULL) == 1 &&
                 EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, KS_AEAD_TAG_LEN, tag) == 1 &&
                 (box->aad.len == 0 ||
                  EVP_DecryptUpdate(ctx, NULL, &n, box->aad.ptr, (int)box->aad.len) == 1) &&
                 (len == 0 || EVP_DecryptUpdate(ctx, ret_plaintext, &n, sealed.ptr, (int)len) == 1);
    uint8_t rest[KS_AEAD_TAG_LEN];
    if (ready && EVP_DecryptFinal_ex(ctx, rest, &n) == 1) {
        return KS_RES(OK);
    }
    ks_wipe(ret_plaintext, len);
    return ks_openssl_fail(ready ? KS_INVALID_CIPHERTEXT : KS_INTERNAL);
}

void ks_aead_segment_iv(const uint8_t *prefix, uint32_t index, bool last,
                        uint8_t ret_iv[static KS_AEAD_IV_LEN])
{
    memset(ret_iv, 0, KS_AEAD_IV_LEN);
    if (prefix) {
        memcpy(ret_iv, prefix, KS_AEAD_PREFIX_LEN);
    }
    for (unsigned i = 0; i < 4; i++) {
        ret_iv[KS_AEAD_PREFIX_LEN + i] = (uint8_t)(index >> (24 - 8 * i));
    }
    ret_iv[KS_AEAD_IV_LEN - 1] = last ? 1 : 0;
}
