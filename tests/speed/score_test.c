#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/speed/score.h"

#define MS 1000000LL

static void percentiles_are_right_within_two_percent(void **state)
{
    (void)state;
    static struct score score;
    score_init(&score, 0, 1000 * MS);

    for (int64_t i = 1; i <= 10000; i++) {
        score_add(&score, 0, 500 * MS - i * 1000, 500 * MS);
    }

    assert_in_range(score_percentile(&score, 0.5), 5000000, 5100000);
    assert_in_range(score_percentile(&score, 0.99), 9900000, 10080000);
    assert_in_range(score_percentile(&score, 0), 1000, 1016);
}

static void latencies_beyond_every_bucket_count(void **state)
{
    (void)state;
    static struct score score;
    score_init(&score, 0, INT64_MAX);

    score_add(&score, 0, 0, INT64_MAX);
    score_add(&score, 0, 1, 0);

    assert_int_equal(score.success_count, 2);
    assert_true(score_percentile(&score, 1) > 0);
    assert_int_equal(score_percentile(&score, 0), 0);
}

static void calls_outside_the_measured_time_count_for_nothing(void **state)
{
    (void)state;
    static struct score score;
    score_init(&score, 10 * MS, 20 * MS);

    score_add(&score, 0, 0, 10 * MS - 1);
    score_add(&score, 0, 0, 10 * MS);
    score_add(&score, 0, 0, 20 * MS);
    score_add(&score, 0, 0, 20 * MS + 1);

    assert_int_equal(score.success_count, 2);
}

static void a_gap_runs_from_success_to_success_and_to_both_ends(void **state)
{
    (void)state;
    static struct score score;
    score_init(&score, 0, 100 * MS);

    score_add(&score, 0, 0, 30 * MS);
    assert_int_equal(score.gap_ns, 30 * MS);
    score_add(&score, 14, 0, 50 * MS); /* a failure ends no gap */
    score_add(&score, 0, 0, 65 * MS);
    assert_int_equal(score.gap_ns, 35 * MS);
    score_close(&score, 200 * MS);

    assert_int_equal(score.gap_ns, 35 * MS);
    assert_int_equal(score.failure_count[14], 1);
}

static void a_run_without_success_is_one_gap(void **state)
{
    (void)state;
    static struct score score;
    score_init(&score, 10 * MS, 100 * MS);

    score_add(&score, 4, 20 * MS, 40 * MS);
    score_close(&score, 100 * MS);

    assert_int_equal(score.gap_ns, 90 * MS);
    assert_int_equal(score_percentile(&score, 0.5), 0);
}

static void merging_adds_up_and_keeps_the_longest_gap(void **state)
{
    (void)state;
    static struct score one;
    static struct score other;
    score_init(&one, 0, 100 * MS);
    score_init(&other, 0, 100 * MS);
    score_add(&one, 0, 0, 60 * MS);
    score_add(&other, 0, 0, 80 * MS);
    score_add(&other, SCORE_CODES + 7, 0, 80 * MS);
    score_close(&one, 100 * MS);
    score_close(&other, 100 * MS);

    score_merge(&one, &other);

    assert_int_equal(one.success_count, 2);
    assert_int_equal(one.failure_count[SCORE_CODES - 1], 1);
    assert_int_equal(one.gap_ns, 80 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_right_within_two_percent),
        cmocka_unit_test(latencies_beyond_every_bucket_count),
        cmocka_unit_test(calls_outside_the_measured_time_count_for_nothing),
        cmocka_unit_test(a_gap_runs_from_success_to_success_and_to_both_ends),
        cmocka_unit_test(a_run_without_success_is_one_gap),
        cmocka_unit_test(merging_adds_up_and_keeps_the_longest_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
