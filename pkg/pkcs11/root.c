#include <assert.h>
#include <string.h>

#include "pkg/pkcs11/session.h"

#define ROOT_KEY_LEN 32U

/*
 * The attributes of a root key. The first ones are asked for when it is made. By the last three the
 * token says that the key was never outside of it.
 */
static const struct flag {
    CK_ATTRIBUTE_TYPE type;
    CK_BBOOL value;
    bool asked;
} flags[] = {
    {CKA_TOKEN, CK_TRUE, true},
    {CKA_PRIVATE, CK_TRUE, true},
    {CKA_SENSITIVE, CK_TRUE, true},
    {CKA_EXTRACTABLE, CK_FALSE, true},
    {CKA_MODIFIABLE, CK_FALSE, true},
    {CKA_ENCRYPT, CK_TRUE, true},
    {CKA_DECRYPT, CK_TRUE, true},
    {CKA_WRAP, CK_FALSE, true},
    {CKA_UNWRAP, CK_FALSE, true},
    {CKA_SIGN, CK_FALSE, true},
    {CKA_VERIFY, CK_FALSE, true},
    {CKA_DERIVE, CK_FALSE, true},
    {CKA_ALWAYS_SENSITIVE, CK_TRUE, false},
    {CKA_NEVER_EXTRACTABLE, CK_TRUE, false},
    {CKA_LOCAL, CK_TRUE, false},
};

static ks_result refuse(ks_code code, const char *hint, const char **reterr_hint)
{
    *reterr_hint = hint;
    return (ks_result){code};
}

static bool reads(struct ks_token *token, CK_OBJECT_HANDLE key, CK_ATTRIBUTE wanted)
{
    uint8_t value[sizeof(CK_ULONG)];
    assert(wanted.ulValueLen <= sizeof(value));

    CK_ATTRIBUTE got = {wanted.type, value, sizeof(value)};
    return token->api->C_GetAttributeValue(token->session, key, &got, 1) == CKR_OK &&
           ks_bytes_equal((ks_bytes){value, got.ulValueLen},
                          (ks_bytes){wanted.pValue, wanted.ulValueLen});
}

static bool is_strong(struct ks_token *token, CK_OBJECT_HANDLE key)
{
    CK_KEY_TYPE type = CKK_AES;
    CK_ULONG len = ROOT_KEY_LEN;
    bool strong = reads(token, key, ks_token_attribute(CKA_KEY_TYPE, &type, sizeof(type))) &&
                  reads(token, key, ks_token_attribute(CKA_VALUE_LEN, &len, sizeof(len)));
    for (size_t i = 0; i < KS_COUNT(flags); i++) {
        CK_BBOOL value = flags[i].value;
        strong =
            strong && reads(token, key, ks_token_attribute(flags[i].type, &value, sizeof(value)));
    }
    return strong;
}

ks_result ks_token_find_root(struct ks_token *token, const char *label, ks_token_key *ret_key,
                             const char **reterr_hint)
{
    assert(token && label && ret_key && reterr_hint);

    struct ks_token_objects found = {0};
    ks_result searched = ks_token_find(token, CKO_SECRET_KEY, label, &found);
    if (ks_failed(searched)) {
        return refuse(searched.code, "the token cannot be searched", reterr_hint);
    }
    if (found.count == 0) {
        return refuse(KS_NOT_FOUND, "the token has no root key with that label", reterr_hint);
    }
    if (found.count > 1) {
        return refuse(KS_ALREADY_EXISTS, "two keys in the token have that label", reterr_hint);
    }
    if (!is_strong(token, found.handles[0])) {
        return refuse(KS_ACCESS_DENIED,
                      "the root key could leave its token, came from outside or may be changed: "
                      "let the hsm make its own",
                      reterr_hint);
    }
    ret_key->handle = found.handles[0];
    return KS_RES(OK);
}

static CK_RV generate(struct ks_token *token, const char *label, CK_OBJECT_HANDLE *ret_key)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_ULONG len = ROOT_KEY_LEN;
    CK_ATTRIBUTE wanted[4 + KS_COUNT(flags)] = {
        ks_token_attribute(CKA_CLASS, &class, sizeof(class)),
        ks_token_attribute(CKA_KEY_TYPE, &type, sizeof(type)),
        ks_token_attribute(CKA_VALUE_LEN, &len, sizeof(len)),
        ks_token_attribute(CKA_LABEL, label, strlen(label)),
    };
    CK_ULONG count = 4;
    for (size_t i = 0; i < KS_COUNT(flags); i++) {
        if (flags[i].asked) {
            wanted[count++] =
                ks_token_attribute(flags[i].type, &flags[i].value, sizeof(flags[i].value));
        }
    }
    CK_MECHANISM mechanism = {.mechanism = CKM_AES_KEY_GEN};
    return token->api->C_GenerateKey(token->session, &mechanism, wanted, count, ret_key);
}

ks_result ks_token_make_root(struct ks_token *token, const char *label, ks_token_key *ret_key,
                             const char **reterr_hint)
{
    assert(token && label && ret_key && reterr_hint);

    struct ks_token_objects found = {0};
    ks_result searched = ks_token_find(token, CKO_SECRET_KEY, label, &found);
    if (ks_failed(searched)) {
        return refuse(searched.code, "the token cannot be searched", reterr_hint);
    }
    if (found.count > 0) {
        return refuse(KS_ALREADY_EXISTS, "the token has a key with that label", reterr_hint);
    }
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    if (generate(token, label, &key) != CKR_OK) {
        return refuse(KS_INTERNAL, "the token makes no AES-256 key: is it full or read-only?",
                      reterr_hint);
    }
    if (!is_strong(token, key)) {
        (void)token->api->C_DestroyObject(token->session, key);
        return refuse(KS_ACCESS_DENIED, "the token makes weaker keys than asked for", reterr_hint);
    }
    ret_key->handle = key;
    return KS_RES(OK);
}

ks_result ks_token_find_or_make_root(struct ks_token *token, const char *label,
                                     ks_token_key *ret_key, const char **reterr_hint)
{
    ks_result found = ks_token_find_root(token, label, ret_key, reterr_hint);
    return found.code == KS_NOT_FOUND ? ks_token_make_root(token, label, ret_key, reterr_hint)
                                      : found;
}

ks_result ks_token_destroy_root(struct ks_token *token, const char *label)
{
    struct ks_token_objects found = {0};
    KS_TRY(ks_token_find(token, CKO_SECRET_KEY, label, &found));
    if (found.count == 0) {
        return KS_RES(NOT_FOUND);
    }
    for (size_t i = 0; i < found.count; i++) {
        KS_TRY(ks_token_check(token->api->C_DestroyObject(token->session, found.handles[i])));
    }
    return KS_RES(OK);
}
