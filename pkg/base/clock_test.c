#include "pkg/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#define YEAR_2020_MS 1577836800000LL
#define YEAR_2200_MS 7258118400000LL

static int64_t stepped_ns(void *user)
{
    return *(int64_t *)user;
}

static int64_t stepped_ms(void *user)
{
    return *(int64_t *)user / KS_NS_PER_MS;
}

static void a_stepped_clock_shows_what_the_test_set(void **state)
{
    (void)state;
    int64_t now_ns = 7 * KS_NS_PER_S;
    const struct ks_clock clock = {stepped_ns, stepped_ms, &now_ns};

    assert_int_equal(ks_clock_boot_ns(&clock), 7 * KS_NS_PER_S);
    now_ns += KS_NS_PER_MS;
    assert_int_equal(ks_clock_boot_ns(&clock), 7001 * KS_NS_PER_MS);
    assert_int_equal(ks_clock_wall_ms(&clock), 7001);
}

/* Serving windows rest on this clock: one that stands still in a suspended machine breaks them. */
static void boot_time_is_clock_boottime_and_never_steps_back(void **state)
{
    (void)state;
    struct timespec before;
    struct timespec after;

    assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &before), 0);
    int64_t first = ks_clock_boot_ns(&ks_clock_system);
    int64_t second = ks_clock_boot_ns(&ks_clock_system);
    assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &after), 0);

    assert_true((int64_t)before.tv_sec * KS_NS_PER_S + before.tv_nsec <= first);
    assert_true(first <= second);
    assert_true(second <= (int64_t)after.tv_sec * KS_NS_PER_S + after.tv_nsec);
}

static void wall_time_is_in_milliseconds_since_1970(void **state)
{
    (void)state;

    int64_t now_ms = ks_clock_wall_ms(&ks_clock_system);

    assert_true(now_ms > YEAR_2020_MS);
    assert_true(now_ms < YEAR_2200_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stepped_clock_shows_what_the_test_set),
        cmocka_unit_test(boot_time_is_clock_boottime_and_never_steps_back),
        cmocka_unit_test(wall_time_is_in_milliseconds_since_1970),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
