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
#include <stdint.h>

#include "pkg/base/result.h"

typedef enum ks_key_state {
    KS_KEY_ENABLED,
    KS_KEY_DISABLED,
    KS_KEY_PENDING_DELETION,
    KS_KEY_PENDING_IMPORT, /* these four belong to operations that are still to come */
    KS_KEY_UNAVAILABLE,
    KS_KEY_CREATING,
    KS_KEY_UPDATING,
    KS_KEY_STATE_COUNT
} ks_key_state;

typedef enum ks_key_event {
    KS_KEY_ENABLE,
    KS_KEY_DISABLE,
    KS_KEY_SCHEDULE_DELETION,
    KS_KEY_CANCEL_DELETION,
    KS_KEY_EVENT_COUNT
} ks_key_event;

/*
 * Which states allow a use of a key: the rows of AWS's table that differ. Each key that an operation
 * names has one (keystead.api.v1.StateRule, from which pkg/operation's table takes the names).
 */
typedef enum ks_key_rule {
    KS_KEY_RULE_ANY, /* DescribeKey, PutKeyPolicy, DeleteAlias, the key an alias pointed to so far */
    KS_KEY_RULE_USE,               /* Encrypt, Decrypt, Sign, GetPublicKey ... */
    KS_KEY_RULE_CHANGE,            /* CreateAlias, TagResource, UpdateKeyDescription ... */
    KS_KEY_RULE_SWITCH,            /* EnableKey, DisableKey */
    KS_KEY_RULE_SCHEDULE_DELETION, /* ScheduleKeyDeletion */
    KS_KEY_RULE_CANCEL_DELETION,   /* CancelKeyDeletion */
    KS_KEY_RULE_GRANT,             /* CreateGrant */
    KS_KEY_RULE_SET_ROTATION,      /* EnableKeyRotation, DisableKeyRotation */
    KS_KEY_RULE_GET_ROTATION,      /* GetKeyRotationStatus */
    KS_KEY_RULE_LIST_ROTATIONS,    /* ListKeyRotations */
    KS_KEY_RULE_ROTATE,            /* RotateKeyOnDemand */
    KS_KEY_RULE_IMPORT_PARAMETERS, /* GetParametersForImport */
    KS_KEY_RULE_IMPORT,            /* ImportKeyMaterial */
    KS_KEY_RULE_DELETE_IMPORTED,   /* DeleteImportedKeyMaterial */
    KS_KEY_RULE_REPLICATE,         /* ReplicateKey */
    KS_KEY_RULE_MOVE_PRIMARY,      /* UpdatePrimaryRegion */
    KS_KEY_RULE_COUNT
} ks_key_rule;

/* Whether a state allows a use. */
typedef struct ks_key_verdict {
    ks_code code;     /* OK, DISABLED, INVALID_STATE or UNSUPPORTED */
    const char *says; /* stands behind "<key ARN> " in the client's text: "is disabled."; static */
} ks_key_verdict;

/* Always answers; says is "" when the code is OK. */
ks_key_verdict ks_key_allows(ks_key_state state, ks_key_rule rule);

/*
 * Gives the state that a number of keystead.storage.v1.KeyState stands for. Returns false, with
 * ret_state untouched, for a number of no state that a key can be in: a destroyed key is none.
 */
bool ks_key_state_of(uint32_t stored, ks_key_state *ret_state);

/*
 * Moves a key; the only code that does.
 * state  the state after the move; unchanged when it fails.
 * Fails: INVALID_STATE (there is no such move).
 */
KS_MUST_USE ks_result ks_key_step(ks_key_state *state, ks_key_event event);
