#include "pkg/store/replicated/phase.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MOVES 17U

struct move {
    enum ks_phase from;
    enum ks_phase_event event;
    enum ks_phase to;
};

static const struct move allowed[MOVES] = {
    {KS_PHASE_HELLO, KS_PHASE_ON_SAME, KS_PHASE_FOLLOWING},
    {KS_PHASE_HELLO, KS_PHASE_ON_OTHER, KS_PHASE_LOADING},
    {KS_PHASE_HELLO, KS_PHASE_ON_FULL, KS_PHASE_HELLO},
    {KS_PHASE_HELLO, KS_PHASE_ON_REFUSE, KS_PHASE_REFUSED},
    {KS_PHASE_LOADING, KS_PHASE_ON_LOADED, KS_PHASE_FOLLOWING},
    {KS_PHASE_LOADING, KS_PHASE_ON_STRANGE, KS_PHASE_HELLO},
    {KS_PHASE_LOADING, KS_PHASE_ON_LOST, KS_PHASE_HELLO},
    {KS_PHASE_LOADING, KS_PHASE_ON_FULL, KS_PHASE_HELLO},
    {KS_PHASE_LOADING, KS_PHASE_ON_REFUSE, KS_PHASE_REFUSED},
    {KS_PHASE_FOLLOWING, KS_PHASE_ON_STRANGE, KS_PHASE_HELLO},
    {KS_PHASE_FOLLOWING, KS_PHASE_ON_LOST, KS_PHASE_HELLO},
    {KS_PHASE_FOLLOWING, KS_PHASE_ON_FULL, KS_PHASE_HELLO},
    {KS_PHASE_FOLLOWING, KS_PHASE_ON_REFUSE, KS_PHASE_REFUSED},
    {KS_PHASE_REFUSED, KS_PHASE_ON_SAME, KS_PHASE_FOLLOWING},
    {KS_PHASE_REFUSED, KS_PHASE_ON_OTHER, KS_PHASE_LOADING},
    {KS_PHASE_REFUSED, KS_PHASE_ON_FULL, KS_PHASE_HELLO},
    {KS_PHASE_REFUSED, KS_PHASE_ON_REFUSE, KS_PHASE_REFUSED},
};

static void makes_each_allowed_move(void **state)
{
    (void)state;
    for (size_t i = 0; i < MOVES; i++) {
        enum ks_phase phase = allowed[i].from;
        ks_phase_step(&phase, allowed[i].event);
        assert_int_equal(phase, allowed[i].to);
    }
}

static bool is_listed(enum ks_phase from, enum ks_phase_event event)
{
    for (size_t i = 0; i < MOVES; i++) {
        if (allowed[i].from == from && allowed[i].event == event) {
            return true;
        }
    }
    return false;
}

static void refuses_all_others_and_leaves_the_output(void **state)
{
    (void)state;
    size_t count = 0;
    for (unsigned from = 0; from < KS_PHASE_COUNT; from++) {
        for (unsigned event = 0; event < KS_PHASE_EVENT_COUNT; event++) {
            enum ks_phase to = KS_PHASE_COUNT;
            bool is_move = ks_phase_next((enum ks_phase)from, (enum ks_phase_event)event, &to);
            count += is_move;
            assert_int_equal(is_move, is_listed((enum ks_phase)from, (enum ks_phase_event)event));
            assert_int_equal(to == KS_PHASE_COUNT, !is_move);
        }
    }
    assert_int_equal(count, MOVES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_each_allowed_move),
        cmocka_unit_test(refuses_all_others_and_leaves_the_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
