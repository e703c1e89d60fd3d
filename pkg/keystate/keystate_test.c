#include "pkg/keystate/keystate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"

struct move {
    ks_key_state from;
    ks_key_event event;
    ks_key_state to;
};

static const struct move moves[] = {
    {KS_KEY_ENABLED, KS_KEY_ENABLE, KS_KEY_ENABLED},
    {KS_KEY_ENABLED, KS_KEY_DISABLE, KS_KEY_DISABLED},
    {KS_KEY_ENABLED, KS_KEY_SCHEDULE_DELETION, KS_KEY_PENDING_DELETION},
    {KS_KEY_DISABLED, KS_KEY_ENABLE, KS_KEY_ENABLED},
    {KS_KEY_DISABLED, KS_KEY_DISABLE, KS_KEY_DISABLED},
    {KS_KEY_DISABLED, KS_KEY_SCHEDULE_DELETION, KS_KEY_PENDING_DELETION},
    {KS_KEY_PENDING_DELETION, KS_KEY_CANCEL_DELETION, KS_KEY_DISABLED},
};

static void makes_each_move_of_the_drawing(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(moves); i++) {
        ks_key_state at = moves[i].from;

        ks_result r = ks_key_step(&at, moves[i].event);

        assert_int_equal(r.code, KS_OK);
        assert_int_equal(at, moves[i].to);
    }
}

static void refuses_all_other_moves(void **state)
{
    (void)state;
    size_t allowed = 0;
    for (int from = 0; from < KS_KEY_STATE_COUNT; from++) {
        for (int event = 0; event < KS_KEY_EVENT_COUNT; event++) {
            ks_key_state at = (ks_key_state)from;
            ks_result r = ks_key_step(&at, (ks_key_event)event);
            allowed += r.code == KS_OK;
            if (r.code != KS_OK) {
                assert_int_equal(r.code, KS_INVALID_STATE);
                assert_int_equal(at, from);
            }
        }
    }
    assert_int_equal(allowed, KS_COUNT(moves));
}

struct cell {
    ks_key_action action;
    ks_key_state state;
    ks_code code;
    const char *says;
};

/* All that AWS's table refuses; what is not here is allowed. */
static const struct cell refused[] = {
    {KS_KEY_ACT_USE, KS_KEY_DISABLED, KS_DISABLED, "is disabled."},
    {KS_KEY_ACT_USE, KS_KEY_PENDING_DELETION, KS_INVALID_STATE, "is pending deletion."},
    {KS_KEY_ACT_ENABLE, KS_KEY_PENDING_DELETION, KS_INVALID_STATE, "is pending deletion."},
    {KS_KEY_ACT_DISABLE, KS_KEY_PENDING_DELETION, KS_INVALID_STATE, "is pending deletion."},
    {KS_KEY_ACT_SCHEDULE_DELETION, KS_KEY_PENDING_DELETION, KS_INVALID_STATE,
     "is pending deletion."},
    {KS_KEY_ACT_CANCEL_DELETION, KS_KEY_ENABLED, KS_INVALID_STATE, "is not pending deletion."},
    {KS_KEY_ACT_CANCEL_DELETION, KS_KEY_DISABLED, KS_INVALID_STATE, "is not pending deletion."},
    {KS_KEY_ACT_UPDATE_DESCRIPTION, KS_KEY_PENDING_DELETION, KS_INVALID_STATE,
     "is pending deletion."},
    {KS_KEY_ACT_CREATE_ALIAS, KS_KEY_PENDING_DELETION, KS_INVALID_STATE, "is pending deletion."},
};

static const struct cell *find(ks_key_action action, ks_key_state at)
{
    for (size_t i = 0; i < KS_COUNT(refused); i++) {
        if (refused[i].action == action && refused[i].state == at) {
            return &refused[i];
        }
    }
    return NULL;
}

static void allows_what_the_table_of_aws_allows(void **state)
{
    (void)state;
    for (int action = 0; action < KS_KEY_ACTION_COUNT; action++) {
        for (int at = 0; at < KS_KEY_STATE_COUNT; at++) {
            const struct cell *cell = find((ks_key_action)action, (ks_key_state)at);

            ks_key_verdict v = ks_key_allows((ks_key_state)at, (ks_key_action)action);

            assert_int_equal(v.code, cell ? cell->code : KS_OK);
            assert_string_equal(v.says, cell ? cell->says : "");
        }
    }
}

struct pair {
    ks_key_action action;
    ks_key_event event;
};

/* Two tables know whether a move is possible: they say the same. */
static void agrees_with_the_moves(void **state)
{
    (void)state;
    static const struct pair pairs[] = {
        {KS_KEY_ACT_ENABLE, KS_KEY_ENABLE},
        {KS_KEY_ACT_DISABLE, KS_KEY_DISABLE},
        {KS_KEY_ACT_SCHEDULE_DELETION, KS_KEY_SCHEDULE_DELETION},
        {KS_KEY_ACT_CANCEL_DELETION, KS_KEY_CANCEL_DELETION},
    };
    for (size_t i = 0; i < KS_COUNT(pairs); i++) {
        for (int from = 0; from < KS_KEY_STATE_COUNT; from++) {
            ks_key_state at = (ks_key_state)from;
            ks_key_verdict v = ks_key_allows(at, pairs[i].action);
            ks_result r = ks_key_step(&at, pairs[i].event);
            assert_int_equal(v.code == KS_OK, r.code == KS_OK);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_each_move_of_the_drawing),
        cmocka_unit_test(refuses_all_other_moves),
        cmocka_unit_test(allows_what_the_table_of_aws_allows),
        cmocka_unit_test(agrees_with_the_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
