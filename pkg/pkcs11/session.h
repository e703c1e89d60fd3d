/* session: the inside of struct ks_token. Included by this folder only. */
#pragma once

/* Modules in the field speak 2.40; the header's names without prefix are left out. */
#include <p11-kit/pkcs11.h>

#include "pkg/pkcs11/token.h"

#define KS_TOKEN_APPLICATION "keystead"
#define KS_TOKEN_SLOTS_MAX   64U

struct ks_token {
    void *library; /* of dlopen */
    CK_FUNCTION_LIST *api;
    bool initialized; /* C_Initialize was ours and succeeded */
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session; /* logged in, read and write; CK_INVALID_HANDLE: none */
};

/* Objects that a search found. */
struct ks_token_objects {
    CK_OBJECT_HANDLE handles[KS_TOKEN_OBJECTS_MAX];
    size_t count;
};

/* Returns an attribute that PKCS#11 only reads, though its pointer is not const. */
CK_ATTRIBUTE ks_token_attribute(CK_ATTRIBUTE_TYPE type, const void *value, size_t len);

/*
 * Finds the private objects on the token of one class and label.
 *
 * ret_objects  unspecified after a failure.
 *
 * Fails: VALIDATION (label empty or over KS_TOKEN_NAME_MAX), INTERNAL (the module failed, or there
 * are more than KS_TOKEN_OBJECTS_MAX).
 */
KS_MUST_USE ks_result ks_token_find(struct ks_token *token, CK_OBJECT_CLASS class,
                                    const char *label, struct ks_token_objects *ret_objects);

/*
 * Loads and starts the module.
 * token        zeroed by the caller, who closes it in any case.
 * reterr_hint  as in token.h.
 * Fails: NOT_FOUND (no such module), INTERNAL (it does not start).
 */
KS_MUST_USE ks_result ks_token_load(struct ks_token *token, const char *path,
                                    const char **reterr_hint);

/*
 * Finds the slot of the initialised token with that label, and keeps it in token->slot.
 * Fails: VALIDATION (label), NOT_FOUND, ALREADY_EXISTS (two have it), INTERNAL; token->slot is
 * unspecified then.
 */
KS_MUST_USE ks_result ks_token_find_slot(struct ks_token *token, const char *label,
                                         const char **reterr_hint);

/*
 * Turns an answer of the module into a result: CKR_OK is success, a known answer is its row's code
 * with the row's hint, and any other fails with INTERNAL and other_hint.
 * reterr_hint  the hint, a static string; written on failure only.
 */
KS_MUST_USE ks_result ks_token_translate(CK_RV answer, const char *other_hint,
                                         const char **reterr_hint);

/* Turns what a PKCS#11 function returned into a result. Fails: INTERNAL (anything but CKR_OK). */
KS_MUST_USE ks_result ks_token_check(CK_RV answer);
