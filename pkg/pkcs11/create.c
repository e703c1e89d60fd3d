#include <assert.h>
#include <string.h>

#include "pkg/crypto/random.h"
#include "pkg/pkcs11/pin.h"
#include "pkg/pkcs11/session.h"

#define OFFICER_PIN_LEN 32U /* hex digits: 128 bits */

static ks_result refuse(ks_code code, const char *hint, const char **reterr_hint)
{
    *reterr_hint = hint;
    return (ks_result){code};
}

/* A label is found before anything is made: two tokens of one label would open neither. */
static ks_result check_label(struct ks_token *token, const char *label, const char **reterr_hint)
{
    ks_result found = ks_token_find_slot(token, label, reterr_hint);
    if (found.code == KS_NOT_FOUND) {
        return KS_RES(OK);
    }
    return ks_failed(found) ? found
                            : refuse(KS_ALREADY_EXISTS, "a token has that label", reterr_hint);
}

static ks_result find_free_slot(struct ks_token *token, const char **reterr_hint)
{
    CK_SLOT_ID slots[KS_TOKEN_SLOTS_MAX];
    CK_ULONG slot_count = KS_TOKEN_SLOTS_MAX;
    KS_TRY(ks_token_translate(token->api->C_GetSlotList(CK_TRUE, slots, &slot_count),
                              "the module does not list its slots", reterr_hint));
    for (CK_ULONG i = 0; i < slot_count; i++) {
        CK_TOKEN_INFO about;
        if (token->api->C_GetTokenInfo(slots[i], &about) == CKR_OK &&
            (about.flags & CKF_TOKEN_INITIALIZED) == 0) {
            token->slot = slots[i];
            return KS_RES(OK);
        }
    }
    return refuse(KS_NOT_FOUND, "the module has no free slot for another token", reterr_hint);
}

/* A PIN of digits that every module takes. */
static void write_digits(const ks_secret *seed, char ret_pin[static OFFICER_PIN_LEN])
{
    for (size_t i = 0; i < OFFICER_PIN_LEN; i++) {
        unsigned byte = seed->bytes[i / 2];
        ret_pin[i] = "0123456789abcdef"[i % 2 ? byte & 15U : byte >> 4];
    }
}

static ks_result initialise(struct ks_token *token, const char *label, ks_bytes pin,
                            const char **reterr_hint)
{
    uint8_t padded[KS_TOKEN_LABEL_MAX];
    char officer[OFFICER_PIN_LEN];
    KS_SECRET_AUTO seed = {.len = 0};
    KS_TRY(ks_random_secret(OFFICER_PIN_LEN / 2, &seed));
    write_digits(&seed, officer);
    CK_UTF8CHAR *officer_pin = (CK_UTF8CHAR *)officer;
    memset(padded, ' ', sizeof(padded));
    memcpy(padded, label, strlen(label));

    CK_FLAGS flags = CKF_RW_SESSION | CKF_SERIAL_SESSION;
    CK_RV answer = token->api->C_InitToken(token->slot, officer_pin, OFFICER_PIN_LEN, padded);
    answer = answer != CKR_OK
                 ? answer
                 : token->api->C_OpenSession(token->slot, flags, NULL, NULL, &token->session);
    answer = answer != CKR_OK
                 ? answer
                 : token->api->C_Login(token->session, CKU_SO, officer_pin, OFFICER_PIN_LEN);
    answer = answer != CKR_OK ? answer
                              : token->api->C_InitPIN(token->session,
                                                      (CK_UTF8CHAR *)(uintptr_t)pin.ptr, pin.len);
    ks_wipe(officer, sizeof(officer));
    return ks_token_translate(answer,
                              "the module does not initialise a token: may this user write "
                              "to its token directory?",
                              reterr_hint);
}

ks_result ks_token_create(const struct ks_token_options *options, const char **reterr_hint)
{
    assert(options && reterr_hint);

    KS_BUFFER_AUTO pin = {.len_max = KS_TOKEN_PIN_MAX};
    KS_TRY(ks_pin_read(options->pin_path, &pin, reterr_hint));
    KS_TOKEN_AUTO *token = ks_alloc(1, sizeof(*token));
    KS_TRY(ks_token_load(token, options->module_path, reterr_hint));
    KS_TRY(check_label(token, options->token_label, reterr_hint));
    KS_TRY(find_free_slot(token, reterr_hint));
    return initialise(token, options->token_label, ks_buffer_bytes(&pin), reterr_hint);
}
