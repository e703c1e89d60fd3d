/* Cells of three clocks, clocks alone, and what a restart keeps. */
#include "pkg/celltime/celltime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "pkg/base/mem.h"

#define START_MS 1800000000000LL
#define SECOND   1000LL
#define MINUTE   (60 * SECOND)
#define HOUR     (60 * MINUTE)
#define DAY      (24 * HOUR)
#define NONE     INT64_MIN

/* ---- A cell: what each machine's clock is ahead of the true time, and each one's cell time ---- */

#define MACHINES 3U

struct machine {
    struct ks_celltime time;
    int64_t ahead_ms; /* of its wall clock */
    int64_t version;
    bool is_silent; /* it sends no heartbeats */
};

static struct machine machines[MACHINES];
static int64_t passed_ms; /* since the test began; also the boot clock of every machine */

static int64_t now_ns(void)
{
    return (DAY + passed_ms) * KS_NS_PER_MS;
}

static int64_t true_ms(void)
{
    return START_MS + passed_ms;
}

static int64_t wall_of(size_t index)
{
    return true_ms() + machines[index].ahead_ms;
}

/* What machine `at` has heard of the others: each one's heartbeat of just now. */
static void hear(size_t at)
{
    static const char *const ids[MACHINES] = {"a", "b", "c"};
    struct ks_celltime_word words[MACHINES];
    size_t count = 0;
    for (size_t i = 0; i < MACHINES; i++) {
        if (i != at) {
            words[count++] = (struct ks_celltime_word){ids[i], machines[i].version, wall_of(i)};
        }
    }
    ks_celltime_hear(&machines[at].time, words, count, now_ns());
}

static void beat(void)
{
    for (size_t i = 0; i < MACHINES; i++) {
        machines[i].version += machines[i].is_silent ? 0 : 1;
    }
    for (size_t i = 0; i < MACHINES; i++) {
        hear(i);
        ks_celltime_step(&machines[i].time, wall_of(i), now_ns());
    }
}

static void pass(int64_t ms)
{
    int64_t until_ms = passed_ms + ms;
    while (passed_ms < until_ms) {
        int64_t step_ms = until_ms - passed_ms < 400 ? until_ms - passed_ms : 400;
        passed_ms += step_ms;
        beat();
    }
}

static int set_up(void **state)
{
    (void)state;
    passed_ms = 0;
    for (size_t i = 0; i < MACHINES; i++) {
        machines[i] = (struct machine){.time = {.has_own = true}};
        ks_celltime_begin(&machines[i].time, now_ns());
    }
    beat();
    pass(SECOND);
    return 0;
}

static int64_t destruction(const struct ks_celltime *time)
{
    int64_t ms = NONE;
    return ks_failed(ks_celltime_destruction(time, &ms)) ? NONE : ms;
}

static void assert_near(int64_t a_ms, int64_t b_ms)
{
    assert_in_range(a_ms - b_ms + SECOND, 0, 2 * SECOND);
}

/* Every machine's withdrawal time is the true one. */
static void assert_all_true(void)
{
    for (size_t i = 0; i < MACHINES; i++) {
        assert_true(machines[i].time.is_known);
        assert_near(machines[i].time.withdrawal_ms, true_ms());
    }
}

static void three_clocks_that_agree_are_the_time(void **state)
{
    (void)state;
    machines[1].ahead_ms = -20 * SECOND;
    machines[2].ahead_ms = 39 * SECOND;
    pass(SECOND);
    assert_all_true();
    for (size_t i = 0; i < MACHINES; i++) {
        assert_near(destruction(&machines[i].time), wall_of(1));
    }
}

/* The sequence of the review: +31 days at the keystore on duty, whichever that is. */
static void one_clock_of_three_that_leaps_destroys_nothing_and_ends_nothing(void **state)
{
    (void)state;
    for (size_t wrong = 0; wrong < MACHINES; wrong++) {
        machines[wrong].ahead_ms = 31 * DAY;
        pass(5 * MINUTE);
        assert_all_true();
        for (size_t i = 0; i < MACHINES; i++) {
            assert_int_equal(destruction(&machines[i].time), NONE);
            assert_non_null(ks_celltime_alarm(&machines[i].time));
        }
        machines[wrong].ahead_ms = 0;
        pass(SECOND);
        assert_near(destruction(&machines[wrong].time), true_ms());
        assert_null(ks_celltime_alarm(&machines[wrong].time));
    }
}

/* A writer 30 days slow scheduled a deletion that was due at once; 25 h: request records born old. */
static void one_clock_of_three_that_is_slow_prolongs_nothing_and_stores_the_true_time(void **state)
{
    (void)state;
    static const int64_t slow[] = {30 * DAY, 25 * HOUR, 61 * SECOND};
    for (size_t i = 0; i < KS_COUNT(slow); i++) {
        machines[i].ahead_ms = -slow[i];
        pass(MINUTE);
        assert_all_true();
        assert_int_equal(destruction(&machines[0].time), NONE);
        machines[i].ahead_ms = 0;
    }
}

static void clocks_agree_up_to_a_minute_and_no_more(void **state)
{
    (void)state;
    machines[2].ahead_ms = KS_CELLTIME_APART_MS;
    pass(SECOND);
    assert_near(destruction(&machines[0].time), true_ms());
    machines[2].ahead_ms = KS_CELLTIME_APART_MS + 1;
    pass(SECOND);
    assert_int_equal(destruction(&machines[0].time), NONE);
}

/* Two wrong ones, each in its own way: nobody has a majority, and time goes on as it was. */
static void without_a_majority_it_goes_on_from_its_last_value(void **state)
{
    (void)state;
    machines[0].ahead_ms = 5 * DAY;
    machines[1].ahead_ms = -5 * DAY;
    pass(2 * HOUR);
    assert_all_true();
    assert_int_equal(destruction(&machines[2].time), NONE);
}

static void it_never_goes_back_and_runs_slower_until_it_is_right(void **state)
{
    (void)state;
    int64_t before_ms = machines[0].time.withdrawal_ms;
    for (size_t i = 0; i < MACHINES; i++) {
        machines[i].ahead_ms = -10 * SECOND;
    }
    for (int i = 0; i < 250; i++) {
        pass(400);
        assert_true(machines[0].time.withdrawal_ms >= before_ms);
        before_ms = machines[0].time.withdrawal_ms;
    }
    assert_near(before_ms, true_ms() - 10 * SECOND);
}

static void two_clocks_that_differ_are_no_majority(void **state)
{
    (void)state;
    machines[2].is_silent = true;
    pass(11 * SECOND);
    assert_int_equal(machines[0].time.counted, 2);
    machines[0].ahead_ms = 31 * DAY;
    pass(HOUR);
    assert_near(machines[0].time.withdrawal_ms, true_ms());
    assert_near(machines[1].time.withdrawal_ms, true_ms());
    assert_int_equal(destruction(&machines[0].time), NONE);
}

/* The last one standing is wrong: it has known better before. */
static void a_wrong_clock_that_is_left_alone_destroys_nothing(void **state)
{
    (void)state;
    machines[0].ahead_ms = 31 * DAY;
    pass(SECOND);
    machines[1].is_silent = true;
    machines[2].is_silent = true;
    pass(HOUR);
    assert_int_equal(machines[0].time.counted, 1);
    assert_near(machines[0].time.withdrawal_ms, true_ms());
    assert_int_equal(destruction(&machines[0].time), NONE);
}

/* ---- All clocks of a cell at once: one host, or one source of time ---- */

static void step_all(int64_t by_ms)
{
    for (size_t i = 0; i < MACHINES; i++) {
        machines[i].ahead_ms += by_ms;
    }
}

/* Nobody has a destruction time, and everybody says so. */
static void assert_all_doubt(void)
{
    for (size_t i = 0; i < MACHINES; i++) {
        assert_int_equal(destruction(&machines[i].time), NONE);
        assert_non_null(ks_celltime_alarm(&machines[i].time));
    }
}

/* Heartbeats are ten seconds apart, so that days pass quickly: clocks still count in between. */
static void pass_slowly(int64_t ms)
{
    for (int64_t until_ms = passed_ms + ms; passed_ms < until_ms;) {
        passed_ms += 9 * SECOND;
        beat();
    }
}

/* The sequence of the review: they agree for an hour, then all are 31 days ahead in one beat. */
static void all_clocks_that_leap_together_destroy_nothing_for_three_days(void **state)
{
    (void)state;
    pass_slowly(HOUR);
    step_all(31 * DAY);
    pass(SECOND);
    assert_all_doubt();
    assert_near(machines[0].time.withdrawal_ms, true_ms() + 31 * DAY);

    pass_slowly(3 * DAY - MINUTE);
    assert_all_doubt();
    pass_slowly(2 * MINUTE);
    for (size_t i = 0; i < MACHINES; i++) {
        assert_near(destruction(&machines[i].time), true_ms() + 31 * DAY);
        assert_null(ks_celltime_alarm(&machines[i].time));
    }
}

/* Withdrawal time takes months to be right again, and that is no reason to doubt for as long. */
static void all_clocks_that_go_back_together_destroy_nothing_for_three_days(void **state)
{
    (void)state;
    pass_slowly(HOUR);
    step_all(-31 * DAY);
    pass(SECOND);
    assert_all_doubt();

    pass_slowly(3 * DAY - MINUTE);
    assert_all_doubt();
    pass_slowly(2 * MINUTE);
    assert_near(destruction(&machines[0].time), true_ms() - 31 * DAY);
}

/* Whoever sees it and sets the clocks right has stepped them once more. */
static void a_step_of_all_that_is_taken_back_is_another_one(void **state)
{
    (void)state;
    step_all(31 * DAY);
    pass_slowly(DAY);
    step_all(-31 * DAY);
    pass_slowly(2 * DAY + HOUR);
    assert_all_doubt();
    pass_slowly(DAY);
    assert_near(destruction(&machines[0].time), true_ms());
}

static void most_clocks_that_leap_together_destroy_nothing_when_the_last_one_follows(void **state)
{
    (void)state;
    machines[0].ahead_ms = 31 * DAY;
    machines[1].ahead_ms = 31 * DAY;
    pass(SECOND);
    assert_all_doubt();
    machines[2].ahead_ms = 31 * DAY;
    pass(HOUR);
    assert_all_doubt();
}

static void clocks_that_move_together_by_less_than_a_minute_are_followed(void **state)
{
    (void)state;
    step_all(50 * SECOND);
    pass(SECOND);
    assert_near(destruction(&machines[0].time), true_ms() + 50 * SECOND);
    step_all(KS_CELLTIME_APART_MS + SECOND);
    pass(SECOND);
    assert_all_doubt();
}

static void clocks_that_come_and_go_are_no_step(void **state)
{
    (void)state;
    for (size_t i = 0; i < MACHINES; i++) {
        machines[i].ahead_ms = 31 * DAY;
        pass(MINUTE);
        machines[i].ahead_ms = 0;
        machines[i].is_silent = true;
        pass(MINUTE);
        machines[i].is_silent = false;
        pass(SECOND);
        assert_near(destruction(&machines[i].time), true_ms());
    }
}

/* A process of the first machine ends and another one begins. */
static void restart_first(bool is_same_boot)
{
    struct ks_celltime_saved saved;
    assert_true(ks_celltime_save(&machines[0].time, &saved));
    machines[0].time = (struct ks_celltime){.has_own = true};
    ks_celltime_restore(&machines[0].time, &saved, is_same_boot, now_ns());
    ks_celltime_begin(&machines[0].time, now_ns());
    pass(2 * SECOND);
}

static void a_restart_makes_a_step_of_all_no_more_certain(void **state)
{
    (void)state;
    step_all(31 * DAY);
    pass(MINUTE);
    restart_first(true);
    assert_all_doubt();
    restart_first(false);
    assert_all_doubt();
}

/* The whole cell was without power, and comes back with clocks that are 31 days ahead. */
static void machines_that_come_back_later_than_a_day_destroy_nothing_for_three_days(void **state)
{
    (void)state;
    passed_ms += 23 * HOUR;
    restart_first(false);
    assert_near(destruction(&machines[0].time), true_ms());
    step_all(31 * DAY);
    restart_first(false);
    assert_int_equal(destruction(&machines[0].time), NONE);
    assert_non_null(ks_celltime_alarm(&machines[0].time));
}

/* Whoever may write a keystore's record can put any number there. */
static void a_number_that_is_no_time_is_passed_over(void **state)
{
    (void)state;
    static const int64_t numbers[] = {INT64_MAX, INT64_MIN, KS_CELLTIME_LAST_MS + 1};
    for (size_t i = 0; i < KS_COUNT(numbers); i++) {
        int64_t version = machines[1].version + 1000 + (int64_t)i;
        const struct ks_celltime_word words[] = {{"b", version, numbers[i]}};
        ks_celltime_hear(&machines[0].time, words, 1, now_ns());
        passed_ms += SECOND;
        ks_celltime_step(&machines[0].time, wall_of(0), now_ns());
        assert_int_equal(machines[0].time.counted, 1);
    }
}

/* ---- The beginning ---- */

/* Words that stood in the log when a keystore began to follow it may be days old. */
static void old_words_count_for_nothing_and_are_waited_for(void **state)
{
    (void)state;
    struct ks_celltime time = {.has_own = true};
    const struct ks_celltime_word old[] = {{"b", 1, START_MS - 9 * DAY}, {"c", 1, START_MS}};
    ks_celltime_begin(&time, now_ns());
    ks_celltime_hear(&time, old, 2, now_ns());
    ks_celltime_step(&time, START_MS + 31 * DAY, now_ns());
    assert_false(time.is_known);

    const struct ks_celltime_word newer[] = {{"b", 2, START_MS}, {"c", 2, START_MS}};
    ks_celltime_hear(&time, newer, 2, now_ns() + KS_NS_PER_S);
    ks_celltime_step(&time, START_MS + 31 * DAY, now_ns() + KS_NS_PER_S);
    assert_true(time.is_known);
    assert_near(time.withdrawal_ms, START_MS);
    assert_int_equal(destruction(&time), NONE);
}

static void before_anybody_was_listened_to_nothing_is_known(void **state)
{
    (void)state;
    struct ks_celltime time = {.has_own = true, .is_empty = true};
    ks_celltime_step(&time, START_MS, now_ns());
    assert_false(time.is_known);
    ks_celltime_hear(&time, NULL, 0, now_ns());
    ks_celltime_step(&time, START_MS, now_ns());
    assert_true(time.is_known);
    assert_int_equal(destruction(&time), START_MS);
}

static void those_who_are_gone_are_waited_for_ten_seconds(void **state)
{
    (void)state;
    struct ks_celltime time = {.has_own = true};
    const struct ks_celltime_word old[] = {{"b", 1, START_MS}, {"c", 1, START_MS}};
    ks_celltime_begin(&time, now_ns());
    ks_celltime_hear(&time, old, 2, now_ns());
    ks_celltime_step(&time, START_MS, now_ns() + KS_CELLTIME_HEARD_NS - 1);
    assert_false(time.is_known);
    ks_celltime_step(&time, START_MS, now_ns() + KS_CELLTIME_HEARD_NS);
    assert_true(time.is_known);
    /* Alone, with a store that may hold anything: who can say that this clock is right? */
    assert_int_equal(destruction(&time), NONE);
}

static void a_clock_that_nobody_has_set_is_none(void **state)
{
    (void)state;
    static const int64_t unset[] = {
        0, -1, KS_CELLTIME_FIRST_MS - 1, KS_CELLTIME_LAST_MS + 1, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < KS_COUNT(unset); i++) {
        struct ks_celltime time = {.has_own = true, .is_empty = true};
        ks_celltime_begin(&time, now_ns());
        ks_celltime_hear(&time, NULL, 0, now_ns());
        ks_celltime_step(&time, unset[i], now_ns());
        assert_false(time.is_known);
        ks_celltime_step(&time, START_MS, now_ns() + 1);
        assert_true(time.is_known);
        assert_int_equal(destruction(&time), START_MS);
    }
}

/* The addition of its age must not pass the last number there is; UBSan sees it. */
static void what_a_keystore_says_of_no_time_counts_for_nothing_however_old_it_is(void **state)
{
    (void)state;
    static const int64_t said[] = {INT64_MAX, INT64_MIN, KS_CELLTIME_FIRST_MS - 1};
    for (size_t i = 0; i < KS_COUNT(said); i++) {
        struct ks_celltime time = {.has_own = true};
        const struct ks_celltime_word before[] = {{"b", 1, START_MS}};
        const struct ks_celltime_word word[] = {{"b", 2, said[i]}};
        ks_celltime_begin(&time, now_ns());
        ks_celltime_hear(&time, before, 1, now_ns());
        ks_celltime_hear(&time, word, 1, now_ns());
        ks_celltime_step(&time, START_MS, now_ns() + KS_NS_PER_S);
        assert_true(time.is_known);
        assert_near(time.withdrawal_ms, START_MS);
    }
}

/* ---- A clock alone ---- */

static struct ks_celltime alone;
static int64_t alone_ahead_ms;

static void pass_alone(int64_t ms)
{
    int64_t until_ms = passed_ms + ms;
    while (passed_ms < until_ms) {
        int64_t step_ms = until_ms - passed_ms < MINUTE ? until_ms - passed_ms : MINUTE;
        passed_ms += step_ms;
        ks_celltime_step(&alone, true_ms() + alone_ahead_ms, now_ns());
    }
}

static int set_up_alone(void **state)
{
    (void)state;
    passed_ms = 0;
    alone_ahead_ms = 0;
    alone = (struct ks_celltime){.has_own = true, .is_empty = true};
    ks_celltime_begin(&alone, now_ns());
    ks_celltime_hear(&alone, NULL, 0, now_ns());
    ks_celltime_step(&alone, true_ms(), now_ns());
    pass_alone(HOUR);
    return 0;
}

static void a_clock_alone_that_is_steady_is_the_time(void **state)
{
    (void)state;
    pass_alone(40 * DAY);
    assert_near(alone.withdrawal_ms, true_ms());
    assert_near(destruction(&alone), true_ms());
    assert_null(ks_celltime_alarm(&alone));
}

/* Control +32 days: certificate records with default lives went at once. */
static void a_step_of_a_clock_alone_is_believed_late(void **state)
{
    (void)state;
    alone_ahead_ms = 32 * DAY;
    pass_alone(DAY);
    assert_near(alone.withdrawal_ms, true_ms());
    assert_int_equal(destruction(&alone), NONE);
    assert_non_null(ks_celltime_alarm(&alone));

    pass_alone(2 * MINUTE);
    assert_near(alone.withdrawal_ms, true_ms() + 32 * DAY);
    assert_int_equal(destruction(&alone), NONE);
    pass_alone(2 * DAY - 5 * MINUTE);
    assert_int_equal(destruction(&alone), NONE);
    pass_alone(5 * MINUTE);
    assert_near(destruction(&alone), true_ms() + 32 * DAY);
}

static void a_step_that_is_taken_back_leaves_no_trace(void **state)
{
    (void)state;
    alone_ahead_ms = 32 * DAY;
    pass_alone(23 * HOUR);
    alone_ahead_ms = 0;
    pass_alone(MINUTE);
    assert_near(alone.withdrawal_ms, true_ms());
    assert_near(destruction(&alone), true_ms());
}

/* Each step begins anew: a clock that wanders is never believed. */
static void a_clock_that_goes_on_stepping_is_not_believed(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        alone_ahead_ms += HOUR;
        pass_alone(20 * HOUR);
        assert_near(alone.withdrawal_ms, true_ms());
        assert_int_equal(destruction(&alone), NONE);
    }
}

static void a_clock_alone_is_followed_a_tenth_faster_at_most(void **state)
{
    (void)state;
    alone_ahead_ms = 50 * SECOND;
    pass_alone(MINUTE);
    assert_near(alone.withdrawal_ms, true_ms() + 6 * SECOND);
    assert_near(destruction(&alone), true_ms() + 6 * SECOND);
    pass_alone(10 * MINUTE);
    assert_near(alone.withdrawal_ms, true_ms() + 50 * SECOND);
}

/* A clock that was set back prolongs nothing; destruction goes by it, as it is the later one. */
static void a_clock_alone_that_is_set_back_does_not_take_time_back(void **state)
{
    (void)state;
    alone_ahead_ms = -5 * DAY;
    pass_alone(DAY);
    assert_near(alone.withdrawal_ms, true_ms());
    assert_int_equal(destruction(&alone), NONE);
    pass_alone(2 * DAY + 2 * MINUTE);
    assert_near(destruction(&alone), true_ms() - 5 * DAY);
    assert_true(alone.withdrawal_ms > true_ms() - DAY);
}

/* ---- Restarts ---- */

static void restart(bool is_same_boot, int64_t off_ms)
{
    struct ks_celltime_saved saved;
    assert_true(ks_celltime_save(&alone, &saved));
    passed_ms += off_ms;
    alone = (struct ks_celltime){.has_own = true};
    ks_celltime_restore(&alone, &saved, is_same_boot, now_ns());
    ks_celltime_begin(&alone, now_ns());
    ks_celltime_hear(&alone, NULL, 0, now_ns());
    ks_celltime_step(&alone, true_ms() + alone_ahead_ms, now_ns());
}

static void a_process_that_starts_again_goes_on_and_is_not_fooled(void **state)
{
    (void)state;
    alone_ahead_ms = 31 * DAY;
    restart(true, HOUR);
    assert_near(alone.withdrawal_ms, true_ms());
    assert_int_equal(destruction(&alone), NONE);
    alone_ahead_ms = 0;
    pass_alone(MINUTE);
    assert_near(destruction(&alone), true_ms());
}

static void a_step_is_not_believed_sooner_for_a_restart(void **state)
{
    (void)state;
    alone_ahead_ms = 31 * DAY;
    pass_alone(23 * HOUR);
    restart(true, MINUTE);
    pass_alone(30 * MINUTE);
    assert_near(alone.withdrawal_ms, true_ms());
    pass_alone(HOUR);
    assert_near(alone.withdrawal_ms, true_ms() + 31 * DAY);
    restart(true, MINUTE);
    assert_int_equal(destruction(&alone), NONE);
}

static void a_machine_that_was_off_for_a_day_goes_on_and_for_longer_waits(void **state)
{
    (void)state;
    restart(false, DAY - MINUTE);
    assert_near(destruction(&alone), true_ms());
    restart(false, DAY + MINUTE);
    assert_near(alone.withdrawal_ms, true_ms());
    assert_int_equal(destruction(&alone), NONE);
    pass_alone(3 * DAY + MINUTE);
    assert_near(destruction(&alone), true_ms());
}

static void a_machine_whose_clock_was_reset_does_not_go_back(void **state)
{
    (void)state;
    int64_t before_ms = alone.withdrawal_ms;
    alone_ahead_ms = -10 * DAY;
    restart(false, HOUR);
    assert_true(alone.withdrawal_ms >= before_ms);
    assert_int_equal(destruction(&alone), NONE);
}

int main(void)
{
#define THREE(name) cmocka_unit_test_setup(name, set_up)
#define ALONE(name) cmocka_unit_test_setup(name, set_up_alone)
    const struct CMUnitTest tests[] = {
        THREE(three_clocks_that_agree_are_the_time),
        THREE(one_clock_of_three_that_leaps_destroys_nothing_and_ends_nothing),
        THREE(one_clock_of_three_that_is_slow_prolongs_nothing_and_stores_the_true_time),
        THREE(clocks_agree_up_to_a_minute_and_no_more),
        THREE(without_a_majority_it_goes_on_from_its_last_value),
        THREE(it_never_goes_back_and_runs_slower_until_it_is_right),
        THREE(two_clocks_that_differ_are_no_majority),
        THREE(a_wrong_clock_that_is_left_alone_destroys_nothing),
        THREE(all_clocks_that_leap_together_destroy_nothing_for_three_days),
        THREE(all_clocks_that_go_back_together_destroy_nothing_for_three_days),
        THREE(a_step_of_all_that_is_taken_back_is_another_one),
        THREE(most_clocks_that_leap_together_destroy_nothing_when_the_last_one_follows),
        THREE(clocks_that_move_together_by_less_than_a_minute_are_followed),
        THREE(clocks_that_come_and_go_are_no_step),
        THREE(a_restart_makes_a_step_of_all_no_more_certain),
        THREE(machines_that_come_back_later_than_a_day_destroy_nothing_for_three_days),
        THREE(a_number_that_is_no_time_is_passed_over),
        THREE(old_words_count_for_nothing_and_are_waited_for),
        THREE(before_anybody_was_listened_to_nothing_is_known),
        THREE(those_who_are_gone_are_waited_for_ten_seconds),
        THREE(a_clock_that_nobody_has_set_is_none),
        cmocka_unit_test(what_a_keystore_says_of_no_time_counts_for_nothing_however_old_it_is),
        ALONE(a_clock_alone_that_is_steady_is_the_time),
        ALONE(a_step_of_a_clock_alone_is_believed_late),
        ALONE(a_step_that_is_taken_back_leaves_no_trace),
        ALONE(a_clock_that_goes_on_stepping_is_not_believed),
        ALONE(a_clock_alone_is_followed_a_tenth_faster_at_most),
        ALONE(a_clock_alone_that_is_set_back_does_not_take_time_back),
        ALONE(a_process_that_starts_again_goes_on_and_is_not_fooled),
        ALONE(a_step_is_not_believed_sooner_for_a_restart),
        ALONE(a_machine_that_was_off_for_a_day_goes_on_and_for_longer_waits),
        ALONE(a_machine_whose_clock_was_reset_does_not_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
