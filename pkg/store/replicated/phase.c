#include "pkg/store/replicated/phase.h"

#include <assert.h>

struct target {
    bool is_allowed;
    enum ks_phase to;
};

#define TO(phase)                                                                                  \
    {                                                                                              \
        true, KS_PHASE_##phase                                                                     \
    }

/* What is not named here is no move. */
static const struct target moves[KS_PHASE_COUNT][KS_PHASE_EVENT_COUNT] = {
    [KS_PHASE_HELLO] =
        {
            [KS_PHASE_ON_SAME] = TO(FOLLOWING),
            [KS_PHASE_ON_OTHER] = TO(LOADING),
            [KS_PHASE_ON_FULL] = TO(HELLO),
            [KS_PHASE_ON_REFUSE] = TO(REFUSED),
        },
    [KS_PHASE_LOADING] =
        {
            [KS_PHASE_ON_LOADED] = TO(FOLLOWING),
            [KS_PHASE_ON_STRANGE] = TO(HELLO),
            [KS_PHASE_ON_LOST] = TO(HELLO),
            [KS_PHASE_ON_FULL] = TO(HELLO),
            [KS_PHASE_ON_REFUSE] = TO(REFUSED),
        },
    [KS_PHASE_FOLLOWING] =
        {
            [KS_PHASE_ON_STRANGE] = TO(HELLO),
            [KS_PHASE_ON_LOST] = TO(HELLO),
            [KS_PHASE_ON_FULL] = TO(HELLO),
            [KS_PHASE_ON_REFUSE] = TO(REFUSED),
        },
    [KS_PHASE_REFUSED] =
        {
            [KS_PHASE_ON_SAME] = TO(FOLLOWING),
            [KS_PHASE_ON_OTHER] = TO(LOADING),
            [KS_PHASE_ON_FULL] = TO(HELLO),
            [KS_PHASE_ON_REFUSE] = TO(REFUSED),
        },
};

bool ks_phase_next(enum ks_phase from, enum ks_phase_event event, enum ks_phase *ret_to)
{
    assert(from < KS_PHASE_COUNT);
    assert(event < KS_PHASE_EVENT_COUNT);

    const struct target *target = &moves[from][event];
    if (target->is_allowed) {
        *ret_to = target->to;
    }
    return target->is_allowed;
}

void ks_phase_step(enum ks_phase *phase, enum ks_phase_event event)
{
    bool is_move = ks_phase_next(*phase, event, phase);
    assert(is_move);
}
