#include "pkg/keystate/keystate.h"

#include <assert.h>

/* A state plus one, so that an absent row reads as "not allowed". */
#define TO(state) (KS_KEY_##state + 1)

static const unsigned char next[KS_KEY_STATE_COUNT][KS_KEY_EVENT_COUNT] = {
    [KS_KEY_ENABLED][KS_KEY_ENABLE] = TO(ENABLED),
    [KS_KEY_ENABLED][KS_KEY_DISABLE] = TO(DISABLED),
    [KS_KEY_ENABLED][KS_KEY_SCHEDULE_DELETION] = TO(PENDING_DELETION),
    [KS_KEY_DISABLED][KS_KEY_ENABLE] = TO(ENABLED),
    [KS_KEY_DISABLED][KS_KEY_DISABLE] = TO(DISABLED),
    [KS_KEY_DISABLED][KS_KEY_SCHEDULE_DELETION] = TO(PENDING_DELETION),
    [KS_KEY_PENDING_DELETION][KS_KEY_CANCEL_DELETION] = TO(DISABLED),
};

/* Numbers of keystead.storage.v1.KeyState. A state plus one: an absent row is none. */
bool ks_key_state_of(uint32_t stored, ks_key_state *ret_state)
{
    static const unsigned char states[] = {
        [1] = TO(ENABLED), [2] = TO(DISABLED), [3] = TO(PENDING_DELETION)};
    if (stored >= sizeof(states) || states[stored] == 0) {
        return false;
    }
    *ret_state = (ks_key_state)(states[stored] - 1);
    return true;
}

ks_result ks_key_step(ks_key_state *state, ks_key_event event)
{
    assert(state);
    assert((unsigned)*state < KS_KEY_STATE_COUNT);
    assert((unsigned)event < KS_KEY_EVENT_COUNT);

    unsigned to = next[*state][event];
    if (to == 0) {
        return KS_RES(INVALID_STATE);
    }
    *state = (ks_key_state)(to - 1);
    return KS_RES(OK);
}

/*
 * The answer in a cell of the table; the numbers are those of AWS's notes. AWS's X2,
 * DisabledException for a key that is pending deletion, is X3 here.
 */
enum cell { YES, X1, X3, X4, X5, X6, X7, X9, X11, X14, X15 };

static const ks_key_verdict verdicts[] = {
    [YES] = {KS_OK, ""},
    [X1] = {KS_DISABLED, "is disabled."},
    [X3] = {KS_INVALID_STATE, "is pending deletion."},
    [X4] = {KS_INVALID_STATE, "is not pending deletion."},
    [X5] = {KS_INVALID_STATE, "is pending import."},
    [X6] = {KS_UNSUPPORTED, "origin is EXTERNAL which is not valid for this operation."},
    [X7] = {KS_UNSUPPORTED, "is in a custom key store, where this operation is not valid."},
    [X9] = {KS_UNSUPPORTED, "cannot have imported key material."},
    [X11] = {KS_INVALID_STATE, "is unavailable."},
    [X14] = {KS_INVALID_STATE, "is creating."},
    [X15] = {KS_INVALID_STATE, "is updating."},
};

/*
 * Columns: enabled, disabled, pending deletion, pending import, unavailable, creating, updating.
 * AWS KMS Developer Guide, "Key states of AWS KMS keys". What rests on the key's origin or spec is
 * the operation's own check. AWS leaves uses of an unavailable key open that cannot be in a custom
 * key store; they are refused as unavailable.
 */
static const unsigned char cells[KS_KEY_RULE_COUNT][KS_KEY_STATE_COUNT] = {
    [KS_KEY_RULE_ANY] = {YES, YES, YES, YES, YES, YES, YES},
    [KS_KEY_RULE_USE] = {YES, X1, X3, X5, X11, X14, YES},
    [KS_KEY_RULE_CHANGE] = {YES, YES, X3, YES, YES, YES, YES},
    [KS_KEY_RULE_SWITCH] = {YES, YES, X3, X5, YES, X14, X15},
    [KS_KEY_RULE_SCHEDULE_DELETION] = {YES, YES, X3, YES, YES, YES, X15},
    [KS_KEY_RULE_CANCEL_DELETION] = {X4, X4, YES, X4, X4, X4, X4},
    [KS_KEY_RULE_GRANT] = {YES, X1, X3, X5, YES, X14, YES},
    [KS_KEY_RULE_SET_ROTATION] = {YES, X1, X3, X6, X7, X14, YES},
    [KS_KEY_RULE_GET_ROTATION] = {YES, YES, YES, X6, X7, YES, YES},
    [KS_KEY_RULE_LIST_ROTATIONS] = {YES, YES, YES, YES, X7, YES, YES},
    [KS_KEY_RULE_ROTATE] = {YES, X1, X3, X5, X7, X14, X15},
    [KS_KEY_RULE_IMPORT_PARAMETERS] = {YES, YES, X3, YES, X9, X14, X15},
    [KS_KEY_RULE_IMPORT] = {YES, YES, X3, YES, X9, X14, YES},
    [KS_KEY_RULE_DELETE_IMPORTED] = {YES, YES, YES, YES, X11, X14, X15},
    [KS_KEY_RULE_REPLICATE] = {YES, X1, X3, X5, X11, X14, X15},
    [KS_KEY_RULE_MOVE_PRIMARY] = {YES, X1, X3, X5, X11, X14, YES},
};

ks_key_verdict ks_key_allows(ks_key_state state, ks_key_rule rule)
{
    assert((unsigned)state < KS_KEY_STATE_COUNT);
    assert((unsigned)rule < KS_KEY_RULE_COUNT);

    return verdicts[cells[rule][state]];
}
