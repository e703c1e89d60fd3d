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

/* The guide's table as it is printed there: a word for each state, in the order of the enum. */
struct row {
    ks_key_rule rule;
    const char *cells;
};

static const struct row rows[] = {
    {KS_KEY_RULE_ANY, "ok ok ok ok ok ok ok"},
    {KS_KEY_RULE_USE, "ok 1 3 5 11 14 ok"},
    {KS_KEY_RULE_CHANGE, "ok ok 3 ok ok ok ok"},
    {KS_KEY_RULE_SWITCH, "ok ok 3 5 ok 14 15"},
    {KS_KEY_RULE_SCHEDULE_DELETION, "ok ok 3 ok ok ok 15"},
    {KS_KEY_RULE_CANCEL_DELETION, "4 4 ok 4 4 4 4"},
    {KS_KEY_RULE_GRANT, "ok 1 3 5 ok 14 ok"},
    {KS_KEY_RULE_SET_ROTATION, "ok 1 3 6 7 14 ok"},
    {KS_KEY_RULE_GET_ROTATION, "ok ok ok 6 7 ok ok"},
    {KS_KEY_RULE_LIST_ROTATIONS, "ok ok ok ok 7 ok ok"},
    {KS_KEY_RULE_ROTATE, "ok 1 3 5 7 14 15"},
    {KS_KEY_RULE_IMPORT_PARAMETERS, "ok ok 3 ok 9 14 15"},
    {KS_KEY_RULE_IMPORT, "ok ok 3 ok 9 14 ok"},
    {KS_KEY_RULE_DELETE_IMPORTED, "ok ok ok ok 11 14 15"},
    {KS_KEY_RULE_REPLICATE, "ok 1 3 5 11 14 15"},
    {KS_KEY_RULE_MOVE_PRIMARY, "ok 1 3 5 11 14 ok"},
};

/* The notes under the table. */
struct note {
    const char *number;
    ks_code code;
    const char *says;
};

static const struct note notes[] = {
    {"ok", KS_OK, ""},
    {"1", KS_DISABLED, "is disabled."},
    {"3", KS_INVALID_STATE, "is pending deletion."},
    {"4", KS_INVALID_STATE, "is not pending deletion."},
    {"5", KS_INVALID_STATE, "is pending import."},
    {"6", KS_UNSUPPORTED, "origin is EXTERNAL which is not valid for this operation."},
    {"7", KS_UNSUPPORTED, "is in a custom key store, where this operation is not valid."},
    {"9", KS_UNSUPPORTED, "cannot have imported key material."},
    {"11", KS_INVALID_STATE, "is unavailable."},
    {"14", KS_INVALID_STATE, "is creating."},
    {"15", KS_INVALID_STATE, "is updating."},
};

static const struct note *note_of(const char *word, size_t len)
{
    for (size_t i = 0; i < KS_COUNT(notes); i++) {
        if (strlen(notes[i].number) == len && strncmp(notes[i].number, word, len) == 0) {
            return &notes[i];
        }
    }
    fail_msg("no note %.*s", (int)len, word);
    return NULL;
}

static void allows_what_the_table_of_aws_allows(void **state)
{
    (void)state;
    assert_int_equal(KS_COUNT(rows), KS_KEY_RULE_COUNT);
    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        const char *word = rows[i].cells;
        for (int at = 0; at < KS_KEY_STATE_COUNT; at++) {
            size_t len = strcspn(word, " ");
            const struct note *note = note_of(word, len);

            ks_key_verdict v = ks_key_allows((ks_key_state)at, rows[i].rule);

            assert_int_equal(v.code, note->code);
            assert_string_equal(v.says, note->says);
            word += len + (word[len] == ' ');
        }
        assert_int_equal(*word, 0);
    }
}

struct pair {
    ks_key_rule rule;
    ks_key_event event;
};

/* Two tables know whether a move is possible: for the states that keys have so far they agree. */
static void agrees_with_the_moves(void **state)
{
    (void)state;
    static const struct pair pairs[] = {
        {KS_KEY_RULE_SWITCH, KS_KEY_ENABLE},
        {KS_KEY_RULE_SWITCH, KS_KEY_DISABLE},
        {KS_KEY_RULE_SCHEDULE_DELETION, KS_KEY_SCHEDULE_DELETION},
        {KS_KEY_RULE_CANCEL_DELETION, KS_KEY_CANCEL_DELETION},
    };
    for (size_t i = 0; i < KS_COUNT(pairs); i++) {
        for (int from = 0; from <= KS_KEY_PENDING_DELETION; from++) {
            ks_key_state at = (ks_key_state)from;
            ks_key_verdict v = ks_key_allows(at, pairs[i].rule);
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
