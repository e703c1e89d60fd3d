/*
 * keystate: the states of a key, how it moves between them, and what it can be used for in each.
 *
 *                    DISABLE
 *      made ──► ENABLED ───► DISABLED ◄──────────┐
 *                  │ ◄─────── │                  │
 *                  │  ENABLE  │ SCHEDULE_        │ CANCEL_DELETION
 *                  │          │ DELETION         │
 *                  └──────────┴──► PENDING_DELETION ──► destroyed: there is no record any more
 *
 * ENABLE of an enabled key and DISABLE of a disabled one succeed and change nothing, as in AWS.
 * Source: AWS KMS Developer Guide, "Key states of AWS KMS keys". Where AWS's table leaves the choice
 * between DisabledException and KMSInvalidStateException for a key pending deletion, it is the
 * latter.
 *
 * Threads: pure; any.
 */
#pragma once

#include <stdbool.h>

#include "pkg/base/result.h"

typedef enum ks_key_state {
    KS_KEY_ENABLED,
    KS_KEY_DISABLED,
    KS_KEY_PENDING_DELETION,
    KS_KEY_STATE_COUNT
} ks_key_state;

typedef enum ks_key_event {
    KS_KEY_ENABLE,
    KS_KEY_DISABLE,
    KS_KEY_SCHEDULE_DELETION,
    KS_KEY_CANCEL_DELETION,
    KS_KEY_EVENT_COUNT
} ks_key_event;

/* What is done with a key: the rows of AWS's table that differ. */
typedef enum ks_key_action {
    KS_KEY_ACT_USE, /* Encrypt, Decrypt, ReEncrypt, GenerateDataKey… */
    KS_KEY_ACT_DESCRIBE,
    KS_KEY_ACT_LIST_ALIASES,
    KS_KEY_ACT_ENABLE,
    KS_KEY_ACT_DISABLE,
    KS_KEY_ACT_SCHEDULE_DELETION,
    KS_KEY_ACT_CANCEL_DELETION,
    KS_KEY_ACT_UPDATE_DESCRIPTION,
    KS_KEY_ACT_CREATE_ALIAS,      /* also the key that UpdateAlias points to from now on */
    KS_KEY_ACT_UPDATE_ALIAS_FROM, /* the key that it pointed to so far */
    KS_KEY_ACT_DELETE_ALIAS,
    KS_KEY_ACTION_COUNT
} ks_key_action;

/* Whether a state allows an action. */
typedef struct ks_key_verdict {
    ks_code code; /* OK, DISABLED or INVALID_STATE */
    const char
        *says; /* goes behind "<key ARN> " for the client: "is disabled."; "" if OK. Static */
} ks_key_verdict;

ks_key_verdict ks_key_allows(ks_key_state state, ks_key_action action);

/*
 * Moves a key; the only code that does.
 * state  changed on success only.
 * Fails: INVALID_STATE (there is no such move).
 */
KS_MUST_USE ks_result ks_key_step(ks_key_state *state, ks_key_event event);
