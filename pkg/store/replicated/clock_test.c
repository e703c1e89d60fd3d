/* Cell time of three keystores whose machines' wall clocks the test sets wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/store/replicated/node_fixture.h"

#define SECOND  1000LL
#define DAY     (24 * 3600 * SECOND)
#define WAIT_MS 20000

static struct etcd_fixture *cell;

static int setup(void **state)
{
    static unsigned test_number;
    char prefix[32];
    snprintf(prefix, sizeof(prefix), "/clock/%u/", ++test_number);
    struct nodes *nodes = nodes_new(cell, prefix);
    nodes_start_all(nodes);
    *state = nodes;
    return 0;
}

static int teardown(void **state)
{
    nodes_free(*state);
    return 0;
}

static bool destroys(struct nodes *nodes, size_t index)
{
    int64_t ms;
    return !ks_failed(ks_store_destruction_time(nodes->at[index].store, &ms));
}

/* Waits until there is a destruction time at every node, or at none. */
static void await_destruction(struct nodes *nodes, bool wanted)
{
    int64_t give_up_ms = fixture_now_ms() + WAIT_MS;
    for (size_t i = 0; i < NODES_MAX; i++) {
        while (destroys(nodes, i) != wanted) {
            assert_true(fixture_now_ms() < give_up_ms);
            fixture_sleep_ms(10);
        }
    }
}

/* Withdrawal time, which everything that is stored goes by, is the true one. */
static void assert_true_time(struct nodes *nodes)
{
    for (size_t i = 0; i < NODES_MAX; i++) {
        int64_t now_ms = ks_clock_wall_ms(ks_store_clock(nodes->at[i].store));
        int64_t ahead_ms = now_ms - ks_clock_wall_ms(&ks_clock_system);
        assert_in_range(ahead_ms + 10 * SECOND, 0, 20 * SECOND);
    }
}

static bool has_alarm(const struct ks_store_status *status)
{
    return strstr(status->alarm, "wall clock") != NULL;
}

static void one_wrong_clock_of_three_destroys_nothing_and_stores_the_true_time(void **state)
{
    struct nodes *nodes = *state;
    static const int64_t wrong[] = {31 * DAY, -30 * DAY, -25 * 3600 * SECOND};
    await_destruction(nodes, true);
    for (size_t i = 0; i < NODES_MAX; i++) {
        nodes->at[i].wall_ahead_ms = wrong[i];
        await_destruction(nodes, false);
        assert_true_time(nodes);
        node_wait(nodes, (i + 1) % NODES_MAX, has_alarm);
        nodes->at[i].wall_ahead_ms = 0;
        await_destruction(nodes, true);
        assert_true_time(nodes);
    }
}

/* It starts with a clock that is wrong, and without what it had saved: others know the time. */
static void a_machine_that_starts_with_a_wrong_clock_learns_the_time(void **state)
{
    struct nodes *nodes = *state;
    node_stop(nodes, 1);
    fixture_remove(nodes->at[1].folder);
    nodes->at[1].wall_ahead_ms = 400 * DAY;
    node_start(nodes, 1);
    struct ks_store_view view = fixture_serve(nodes->at[1].store);
    ks_store_view_close(&view);
    assert_true_time(nodes);
    assert_false(destroys(nodes, 1));
}

static void a_wrong_clock_that_is_left_alone_destroys_nothing(void **state)
{
    struct nodes *nodes = *state;
    await_destruction(nodes, true); /* every clock is heard: the true time is known */
    nodes->at[0].wall_ahead_ms = 31 * DAY;
    node_stop(nodes, 1);
    node_stop(nodes, 2);
    /* The change has the two that are silent struck, and is acknowledged. */
    assert_int_equal(fixture_put(nodes->at[0].store, "key/a", "x", 0).code, KS_OK);
    fixture_sleep_ms(2 * SECOND);
    assert_false(destroys(nodes, 0));
    node_stop(nodes, 0);
    node_start(nodes, 0);
    struct ks_store_view view = fixture_serve(nodes->at[0].store);
    ks_store_view_close(&view);
    assert_false(destroys(nodes, 0));
    int64_t now_ms = ks_clock_wall_ms(ks_store_clock(nodes->at[0].store));
    assert_in_range(now_ms - ks_clock_wall_ms(&ks_clock_system) + 10 * SECOND, 0, 20 * SECOND);
}

static int start_cell(void **state)
{
    (void)state;
    const struct etcd_fixture_options options = {.member_count = 3};
    cell = etcd_fixture_start(&options);
    etcd_fixture_wait_ready(cell);
    return 0;
}

static int stop_cell(void **state)
{
    (void)state;
    etcd_fixture_stop(cell);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_wrong_clock_of_three_destroys_nothing_and_stores_the_true_time),
        TEST(a_machine_that_starts_with_a_wrong_clock_learns_the_time),
        TEST(a_wrong_clock_that_is_left_alone_destroys_nothing),
    };
    return cmocka_run_group_tests(tests, start_cell, stop_cell);
}
