#include "pkg/attempt/state.h"

static const bool moves[KS_ATTEMPT_STATE_COUNT][KS_ATTEMPT_STATE_COUNT] = {
    [KS_ATTEMPT_NEW] = {[KS_ATTEMPT_TRYING] = true, [KS_ATTEMPT_DONE] = true},
    [KS_ATTEMPT_TRYING] =
        {[KS_ATTEMPT_COMMITTING] = true, [KS_ATTEMPT_SETTLING] = true, [KS_ATTEMPT_DONE] = true},
    [KS_ATTEMPT_COMMITTING] = {[KS_ATTEMPT_PAUSING] = true, [KS_ATTEMPT_DONE] = true},
    [KS_ATTEMPT_PAUSING] = {[KS_ATTEMPT_TRYING] = true},
    [KS_ATTEMPT_SETTLING] = {[KS_ATTEMPT_DONE] = true},
};

bool ks_attempt_may_move(enum ks_attempt_state from, enum ks_attempt_state to)
{
    return from < KS_ATTEMPT_STATE_COUNT && to < KS_ATTEMPT_STATE_COUNT && moves[from][to];
}
