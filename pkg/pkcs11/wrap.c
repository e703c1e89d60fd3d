#include <assert.h>
#include <string.h>

#include "pkg/crypto/random.h"
#include "pkg/pkcs11/session.h"

#define IV_LEN  12U
#define TAG_LEN 16U

static_assert(KS_TOKEN_WRAP_EXTRA == IV_LEN + TAG_LEN, "what wrapping adds");

/*
 * ulIvBits is set, although the text of PKCS#11 v2.40 does not have it: some modules read it from
 * the structure, and 0 would be an IV of 0 bits.
 */
static CK_GCM_PARAMS gcm_params(uint8_t *iv, ks_bytes aad)
{
    return (CK_GCM_PARAMS){
        .pIv = iv,
        .ulIvLen = IV_LEN,
        .ulIvBits = 8 * IV_LEN,
        .pAAD = (uint8_t *)(uintptr_t)aad.ptr,
        .ulAADLen = aad.len,
        .ulTagBits = 8 * TAG_LEN,
    };
}

ks_result ks_token_wrap(struct ks_token *token, ks_token_key key, ks_bytes aad, ks_bytes secret,
                        struct ks_buffer *out)
{
    assert(token && out);

    if (secret.len == 0 || secret.len > KS_TOKEN_WRAP_MAX) {
        return KS_RES(VALIDATION);
    }
    uint8_t wrapped[KS_TOKEN_WRAP_MAX + KS_TOKEN_WRAP_EXTRA];
    KS_TRY(ks_random_public(wrapped, IV_LEN));
    CK_GCM_PARAMS params = gcm_params(wrapped, aad);
    CK_MECHANISM mechanism = {CKM_AES_GCM, &params, sizeof(params)};
    CK_ULONG len = sizeof(wrapped) - IV_LEN;
    KS_TRY(ks_token_check(token->api->C_EncryptInit(token->session, &mechanism, key.handle)));
    KS_TRY(ks_token_check(token->api->C_Encrypt(token->session, (uint8_t *)(uintptr_t)secret.ptr,
                                                secret.len, wrapped + IV_LEN, &len)));
    if (len != secret.len + TAG_LEN) {
        return KS_RES(INTERNAL);
    }
    return ks_buffer_append(out, (ks_bytes){wrapped, IV_LEN + len});
}

/*
 * Modules report a wrong tag by different codes. These codes mean that the module could not check
 * the tag.
 */
static bool is_outage(CK_RV answer)
{
    static const CK_RV outages[] = {
        CKR_HOST_MEMORY,
        CKR_DEVICE_ERROR,
        CKR_DEVICE_MEMORY,
        CKR_DEVICE_REMOVED,
        CKR_SESSION_CLOSED,
        CKR_SESSION_HANDLE_INVALID,
        CKR_OPERATION_NOT_INITIALIZED,
        CKR_USER_NOT_LOGGED_IN,
        CKR_CRYPTOKI_NOT_INITIALIZED,
    };
    for (size_t i = 0; i < KS_COUNT(outages); i++) {
        if (outages[i] == answer) {
            return true;
        }
    }
    return false;
}

ks_result ks_token_unwrap(struct ks_token *token, ks_token_key key, ks_bytes aad, ks_bytes wrapped,
                          struct ks_buffer *out)
{
    assert(token && out);

    if (wrapped.len <= KS_TOKEN_WRAP_EXTRA ||
        wrapped.len > KS_TOKEN_WRAP_MAX + KS_TOKEN_WRAP_EXTRA) {
        return KS_RES(INVALID_CIPHERTEXT);
    }
    uint8_t iv[IV_LEN];
    memcpy(iv, wrapped.ptr, IV_LEN);
    CK_GCM_PARAMS params = gcm_params(iv, aad);
    CK_MECHANISM mechanism = {CKM_AES_GCM, &params, sizeof(params)};
    KS_TRY(ks_token_check(token->api->C_DecryptInit(token->session, &mechanism, key.handle)));

    KS_BUFFER_AUTO opened = {.len_max = KS_TOKEN_WRAP_MAX + KS_TOKEN_WRAP_EXTRA};
    uint8_t *place;
    KS_TRY(ks_buffer_extend(&opened, wrapped.len, &place));
    CK_ULONG len = opened.len;
    CK_RV answer =
        token->api->C_Decrypt(token->session, (uint8_t *)(uintptr_t)(wrapped.ptr + IV_LEN),
                              wrapped.len - IV_LEN, place, &len);
    if (answer != CKR_OK) {
        return is_outage(answer) ? KS_RES(INTERNAL) : KS_RES(INVALID_CIPHERTEXT);
    }
    if (len != wrapped.len - KS_TOKEN_WRAP_EXTRA) {
        return KS_RES(INTERNAL);
    }
    return ks_buffer_append(out, (ks_bytes){place, len});
}
