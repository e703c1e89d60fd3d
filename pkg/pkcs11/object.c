#include <assert.h>
#include <string.h>

#include "pkg/pkcs11/session.h"

/*
 * Each object gets the next number, as 8 bytes in CKA_OBJECT_ID. So the newest object is known,
 * also when a crash has left the one before it.
 */
#define NUMBER_LEN 8U

static void number_to_bytes(uint64_t number, uint8_t ret_bytes[static NUMBER_LEN])
{
    for (unsigned i = 0; i < NUMBER_LEN; i++) {
        ret_bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    }
}

static ks_result read_number(struct ks_token *token, CK_OBJECT_HANDLE object, uint64_t *ret_number)
{
    uint8_t bytes[NUMBER_LEN];
    CK_ATTRIBUTE got = {CKA_OBJECT_ID, bytes, sizeof(bytes)};
    KS_TRY(ks_token_check(token->api->C_GetAttributeValue(token->session, object, &got, 1)));
    if (got.ulValueLen != NUMBER_LEN) {
        return KS_RES(INTERNAL);
    }
    uint64_t number = 0;
    for (unsigned i = 0; i < NUMBER_LEN; i++) {
        number = number << 8 | bytes[i];
    }
    *ret_number = number;
    return KS_RES(OK);
}

/* Finds the newest object of that label. Fails: NOT_FOUND, INTERNAL, VALIDATION (label). */
static ks_result find_newest(struct ks_token *token, const char *label,
                             struct ks_token_objects *ret_all, CK_OBJECT_HANDLE *ret_newest,
                             uint64_t *ret_number)
{
    KS_TRY(ks_token_find(token, CKO_DATA, label, ret_all));
    if (ret_all->count == 0) {
        return KS_RES(NOT_FOUND);
    }
    uint64_t highest = 0;
    for (size_t i = 0; i < ret_all->count; i++) {
        uint64_t number = 0;
        KS_TRY(read_number(token, ret_all->handles[i], &number));
        if (i == 0 || number > highest) {
            highest = number;
            *ret_newest = ret_all->handles[i];
        }
    }
    *ret_number = highest;
    return KS_RES(OK);
}

static ks_result destroy_all(struct ks_token *token, const struct ks_token_objects *objects)
{
    for (size_t i = 0; i < objects->count; i++) {
        KS_TRY(ks_token_check(token->api->C_DestroyObject(token->session, objects->handles[i])));
    }
    return KS_RES(OK);
}

static CK_RV create(struct ks_token *token, const char *label, uint64_t number, ks_bytes data)
{
    CK_OBJECT_CLASS class = CKO_DATA;
    CK_BBOOL yes = CK_TRUE;
    CK_BBOOL no = CK_FALSE;
    uint8_t number_bytes[NUMBER_LEN];
    number_to_bytes(number, number_bytes);
    const ks_bytes application = KS_LITERAL(KS_TOKEN_APPLICATION);
    CK_ATTRIBUTE wanted[] = {
        ks_token_attribute(CKA_CLASS, &class, sizeof(class)),
        ks_token_attribute(CKA_TOKEN, &yes, sizeof(yes)),
        ks_token_attribute(CKA_PRIVATE, &yes, sizeof(yes)),
        ks_token_attribute(CKA_MODIFIABLE, &no, sizeof(no)),
        ks_token_attribute(CKA_LABEL, label, strlen(label)),
        ks_token_attribute(CKA_APPLICATION, application.ptr, application.len),
        ks_token_attribute(CKA_OBJECT_ID, number_bytes, sizeof(number_bytes)),
        ks_token_attribute(CKA_VALUE, data.ptr, data.len),
    };
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    return token->api->C_CreateObject(token->session, wanted, KS_COUNT(wanted), &object);
}

ks_result ks_token_put(struct ks_token *token, const char *label, ks_bytes data)
{
    assert(token && label);

    if (data.len == 0 || data.len > KS_TOKEN_OBJECT_MAX) {
        return KS_RES(VALIDATION);
    }
    struct ks_token_objects older = {0};
    CK_OBJECT_HANDLE newest = CK_INVALID_HANDLE;
    uint64_t number = 0;
    ks_result found = find_newest(token, label, &older, &newest, &number);
    if (ks_failed(found) && found.code != KS_NOT_FOUND) {
        return found;
    }
    KS_TRY(ks_token_check(create(token, label, number + 1, data)));
    return destroy_all(token, &older);
}

ks_result ks_token_get(struct ks_token *token, const char *label, struct ks_buffer *out)
{
    assert(token && label && out);

    struct ks_token_objects all = {0};
    CK_OBJECT_HANDLE newest = CK_INVALID_HANDLE;
    uint64_t number = 0;
    KS_TRY(find_newest(token, label, &all, &newest, &number));

    KS_BUFFER_AUTO value = {.len_max = KS_TOKEN_OBJECT_MAX};
    uint8_t *place;
    KS_TRY(ks_buffer_extend(&value, KS_TOKEN_OBJECT_MAX, &place));
    CK_ATTRIBUTE got = {CKA_VALUE, place, KS_TOKEN_OBJECT_MAX};
    KS_TRY(ks_token_check(token->api->C_GetAttributeValue(token->session, newest, &got, 1)));
    if (got.ulValueLen > KS_TOKEN_OBJECT_MAX) {
        return KS_RES(INTERNAL);
    }
    return ks_buffer_append(out, (ks_bytes){place, got.ulValueLen});
}

ks_result ks_token_delete(struct ks_token *token, const char *label)
{
    struct ks_token_objects all = {0};
    KS_TRY(ks_token_find(token, CKO_DATA, label, &all));
    return all.count == 0 ? KS_RES(NOT_FOUND) : destroy_all(token, &all);
}
