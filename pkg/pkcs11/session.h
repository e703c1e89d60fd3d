/* session: the inside of struct ks_token. Included by this folder only. */
#pragma once

/* Modules in the field speak 2.40; the header's names without prefix are left out. */
#include <p11-kit/pkcs11.h>

#include "pkg/pkcs11/token.h"

#define KS_TOKEN_APPLICATION "keystead"

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
 * Finds the objects on the token of one class and label.
 *
 * ret_objects  unspecified after a failure.
 *
 * Fails: VALIDATION (label empty or over KS_TOKEN_NAME_MAX), INTERNAL (the module failed, or there
 * are more than KS_TOKEN_OBJECTS_MAX).
 */
KS_MUST_USE ks_result ks_token_find(struct ks_token *token, CK_OBJECT_CLASS class,
                                    const char *label, struct ks_token_objects *ret_objects);

/* Turns what a PKCS#11 function returned into a result. Fails: INTERNAL (anything but CKR_OK). */
KS_MUST_USE ks_result ks_token_check(CK_RV answer);
