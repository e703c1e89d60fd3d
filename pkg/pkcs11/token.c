#include "pkg/pkcs11/token.h"

#include <assert.h>
#include <dlfcn.h>
#include <string.h>

#include "pkg/pkcs11/pin.h"
#include "pkg/pkcs11/session.h"

/* The answers of a module while a token is opened, and what an operator can do about each. */
static const struct answer {
    CK_RV answer;
    ks_code code;
    const char *hint;
} answers[] = {
    {CKR_PIN_INCORRECT, KS_ACCESS_DENIED, "the token refuses the PIN in the PIN file"},
    {CKR_PIN_INVALID, KS_ACCESS_DENIED, "the token refuses the PIN in the PIN file"},
    {CKR_PIN_LEN_RANGE, KS_ACCESS_DENIED, "the token refuses the PIN in the PIN file"},
    {CKR_PIN_LOCKED, KS_ACCESS_DENIED, "the PIN is locked: its security officer must set it anew"},
    {CKR_PIN_EXPIRED, KS_ACCESS_DENIED, "the PIN has expired: its user must set it anew"},
    {CKR_USER_PIN_NOT_INITIALIZED, KS_ACCESS_DENIED, "the token has no user PIN yet: set one"},
    {CKR_TOKEN_WRITE_PROTECTED, KS_ACCESS_DENIED, "the token is write protected"},
    {CKR_MECHANISM_INVALID, KS_UNSUPPORTED, "the token has no AES-GCM: another one is needed"},
    {CKR_CRYPTOKI_ALREADY_INITIALIZED, KS_INTERNAL, "the module is in use in this process"},
};

static ks_result refuse(ks_code code, const char *hint, const char **reterr_hint)
{
    *reterr_hint = hint;
    return (ks_result){code};
}

ks_result ks_token_translate(CK_RV answer, const char *other_hint, const char **reterr_hint)
{
    if (answer == CKR_OK) {
        return KS_RES(OK);
    }
    for (size_t i = 0; i < KS_COUNT(answers); i++) {
        if (answers[i].answer == answer) {
            return refuse(answers[i].code, answers[i].hint, reterr_hint);
        }
    }
    return refuse(KS_INTERNAL, other_hint, reterr_hint);
}

ks_result ks_token_check(CK_RV answer)
{
    return answer == CKR_OK ? KS_RES(OK) : KS_RES(INTERNAL);
}

CK_ATTRIBUTE ks_token_attribute(CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    return (CK_ATTRIBUTE){type, (void *)(uintptr_t)value, len};
}

ks_result ks_token_load(struct ks_token *token, const char *path, const char **reterr_hint)
{
    token->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!token->library) {
        return refuse(KS_NOT_FOUND, "the PKCS#11 module cannot be loaded: check its path",
                      reterr_hint);
    }
    void *symbol = dlsym(token->library, "C_GetFunctionList");
    CK_C_GetFunctionList get_list = NULL;
    /*
     * ISO C has no cast from an object pointer to a function pointer. POSIX says that both have one
     * form.
     */
    static_assert(sizeof(symbol) == sizeof(get_list), "dlsym gives functions");
    memcpy(&get_list, &symbol, sizeof(get_list));
    if (!get_list || get_list(&token->api) != CKR_OK) {
        return refuse(KS_NOT_FOUND, "the library is no PKCS#11 module", reterr_hint);
    }

    CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK};
    KS_TRY(ks_token_translate(
        token->api->C_Initialize(&arguments),
        "the module does not start: for SoftHSM2, check SOFTHSM2_CONF and that this "
        "user may read and write its token directory",
        reterr_hint));
    token->initialized = true;
    return KS_RES(OK);
}

/* CK_TOKEN_INFO pads labels with blanks. */
static bool has_label(const CK_TOKEN_INFO *about, const char *label)
{
    static_assert(sizeof(about->label) == KS_TOKEN_LABEL_MAX, "PKCS#11 v2.40 §3.2");
    uint8_t padded[KS_TOKEN_LABEL_MAX];
    size_t len = strnlen(label, KS_TOKEN_LABEL_MAX);
    memset(padded, ' ', sizeof(padded));
    memcpy(padded, label, len);
    return (about->flags & CKF_TOKEN_INITIALIZED) != 0 &&
           ks_bytes_equal((ks_bytes){about->label, sizeof(about->label)},
                          (ks_bytes){padded, sizeof(padded)});
}

ks_result ks_token_find_slot(struct ks_token *token, const char *label, const char **reterr_hint)
{
    CK_SLOT_ID slots[KS_TOKEN_SLOTS_MAX];
    CK_ULONG slot_count = KS_TOKEN_SLOTS_MAX;
    size_t label_len = strnlen(label, KS_TOKEN_LABEL_MAX + 1);
    if (label_len == 0 || label_len > KS_TOKEN_LABEL_MAX) {
        return refuse(KS_VALIDATION, "a token label has 1 to 32 bytes", reterr_hint);
    }
    KS_TRY(ks_token_translate(token->api->C_GetSlotList(CK_TRUE, slots, &slot_count),
                              "the module does not list its slots", reterr_hint));

    size_t found_count = 0;
    for (CK_ULONG i = 0; i < slot_count; i++) {
        CK_TOKEN_INFO about;
        if (token->api->C_GetTokenInfo(slots[i], &about) == CKR_OK && has_label(&about, label)) {
            token->slot = slots[i];
            found_count++;
        }
    }
    if (found_count == 0) {
        return refuse(KS_NOT_FOUND, "no token has that label: initialise one, or check the label",
                      reterr_hint);
    }
    if (found_count > 1) {
        return refuse(KS_ALREADY_EXISTS, "two tokens have that label: relabel one", reterr_hint);
    }
    return KS_RES(OK);
}

static ks_result check_mechanism(struct ks_token *token, const char **reterr_hint)
{
    CK_MECHANISM_INFO about = {0};
    KS_TRY(ks_token_translate(token->api->C_GetMechanismInfo(token->slot, CKM_AES_GCM, &about),
                              "the module does not say which mechanisms it has", reterr_hint));
    CK_FLAGS wanted = CKF_ENCRYPT | CKF_DECRYPT;
    return ks_token_translate((about.flags & wanted) == wanted ? CKR_OK : CKR_MECHANISM_INVALID, "",
                              reterr_hint);
}

static ks_result log_in(struct ks_token *token, ks_bytes pin, const char **reterr_hint)
{
    CK_FLAGS flags = CKF_RW_SESSION | CKF_SERIAL_SESSION;
    KS_TRY(ks_token_translate(
        token->api->C_OpenSession(token->slot, flags, NULL, NULL, &token->session),
        "the token gives no session", reterr_hint));
    return ks_token_translate(
        token->api->C_Login(token->session, CKU_USER, (CK_UTF8CHAR *)(uintptr_t)pin.ptr, pin.len),
        "the token does not let the user in", reterr_hint);
}

ks_result ks_token_open(const struct ks_token_options *options, struct ks_token **ret_token,
                        const char **reterr_hint)
{
    assert(options && ret_token && reterr_hint);
    assert(options->module_path && options->token_label && options->pin_path);

    KS_BUFFER_AUTO pin = {.len_max = KS_TOKEN_PIN_MAX};
    KS_TRY(ks_pin_read(options->pin_path, &pin, reterr_hint));
    KS_TOKEN_AUTO *token = ks_alloc(1, sizeof(*token));
    KS_TRY(ks_token_load(token, options->module_path, reterr_hint));
    KS_TRY(ks_token_find_slot(token, options->token_label, reterr_hint));
    KS_TRY(check_mechanism(token, reterr_hint));
    KS_TRY(log_in(token, ks_buffer_bytes(&pin), reterr_hint));

    *ret_token = token;
    token = NULL;
    return KS_RES(OK);
}

/* Nobody can be told of a failure here, and the process goes on without the token anyway. */
void ks_token_close(struct ks_token *token)
{
    if (!token) {
        return;
    }
    if (token->session != CK_INVALID_HANDLE) {
        (void)token->api->C_Logout(token->session);
        (void)token->api->C_CloseAllSessions(token->slot);
    }
    if (token->initialized) {
        (void)token->api->C_Finalize(NULL);
    }
    if (token->library) {
        dlclose(token->library);
    }
    ks_free(token);
}

void ks_token_close_at(struct ks_token **token)
{
    ks_token_close(*token);
}

ks_result ks_token_find(struct ks_token *token, CK_OBJECT_CLASS class, const char *label,
                        struct ks_token_objects *ret_objects)
{
    assert(token && label && ret_objects);

    size_t label_len = strnlen(label, KS_TOKEN_NAME_MAX + 1);
    if (label_len == 0 || label_len > KS_TOKEN_NAME_MAX) {
        return KS_RES(VALIDATION);
    }
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE wanted[] = {
        ks_token_attribute(CKA_CLASS, &class, sizeof(class)),
        ks_token_attribute(CKA_TOKEN, &yes, sizeof(yes)),
        ks_token_attribute(CKA_PRIVATE, &yes, sizeof(yes)),
        ks_token_attribute(CKA_LABEL, label, label_len),
    };
    KS_TRY(ks_token_check(token->api->C_FindObjectsInit(token->session, wanted, KS_COUNT(wanted))));
    CK_ULONG count = 0;
    CK_OBJECT_HANDLE more = CK_INVALID_HANDLE;
    CK_ULONG more_count = 0;
    CK_RV found = token->api->C_FindObjects(token->session, ret_objects->handles,
                                            KS_TOKEN_OBJECTS_MAX, &count);
    CK_RV looked = token->api->C_FindObjects(token->session, &more, 1, &more_count);
    CK_RV ended = token->api->C_FindObjectsFinal(token->session);
    if (found != CKR_OK || looked != CKR_OK || ended != CKR_OK || more_count > 0) {
        return KS_RES(INTERNAL);
    }
    ret_objects->count = count;
    return KS_RES(OK);
}
