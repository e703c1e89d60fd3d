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

/* What a cell of the table answers; the numbers are those of AWS's notes. */
enum cell { YES, X1, X3, X4 };

static const ks_key_verdict verdicts[] = {
    [YES] = {KS_OK, ""},
    [X1] = {KS_DISABLED, "is disabled."},
    [X3] = {KS_INVALID_STATE, "is pending deletion."},
    [X4] = {KS_INVALID_STATE, "is not pending deletion."},
};

/* Columns: enabled, disabled, pending deletion. */
static const unsigned char cells[KS_KEY_ACTION_COUNT][KS_KEY_STATE_COUNT] = {
    [KS_KEY_ACT_USE] = {YES, X1, X3},
    [KS_KEY_ACT_DESCRIBE] = {YES, YES, YES},
    [KS_KEY_ACT_LIST_ALIASES] = {YES, YES, YES},
    [KS_KEY_ACT_ENABLE] = {YES, YES, X3},
    [KS_KEY_ACT_DISABLE] = {YES, YES, X3},
    [KS_KEY_ACT_SCHEDULE_DELETION] = {YES, YES, X3},
    [KS_KEY_ACT_CANCEL_DELETION] = {X4, X4, YES},
    [KS_KEY_ACT_UPDATE_DESCRIPTION] = {YES, YES, X3},
    [KS_KEY_ACT_CREATE_ALIAS] = {YES, YES, X3},
    [KS_KEY_ACT_UPDATE_ALIAS_FROM] = {YES, YES, YES},
    [KS_KEY_ACT_DELETE_ALIAS] = {YES, YES, YES},
};

ks_key_verdict ks_key_allows(ks_key_state state, ks_key_action action)
{
    assert((unsigned)state < KS_KEY_STATE_COUNT);
    assert((unsigned)action < KS_KEY_ACTION_COUNT);

    return verdicts[cells[action][state]];
}
