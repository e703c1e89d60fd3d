#include "pkg/store/window/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define D     1000 /* ns, for easy figures: heartbeats are due every 200, forgotten after 300 */
#define BEGIN 5000
#define COPY  7U

/* A window whose first heartbeat was sent at BEGIN. */
static uint64_t send_first(struct ks_window *window)
{
    ks_window_init(window, D);
    assert_true(ks_window_may_send(window, BEGIN, 0));
    return ks_window_send(window, BEGIN);
}

static bool is_open(const struct ks_window *window, int64_t now_ns)
{
    uint64_t generation;
    return ks_window_is_open(window, now_ns, &generation);
}

static void opens_when_its_own_heartbeat_is_applied(void **state)
{
    (void)state;
    struct ks_window window;
    uint64_t beat = send_first(&window);
    uint64_t generation = 0;

    ks_window_learn(&window, beat, 42, BEGIN + 10);
    assert_false(is_open(&window, BEGIN + 10));
    ks_window_applied(&window, 41, COPY);
    assert_false(is_open(&window, BEGIN + 10));
    ks_window_applied(&window, 42, COPY);

    assert_true(ks_window_is_open(&window, BEGIN + 10, &generation));
    assert_int_equal(generation, COPY);
}

/* Model: ERR_WINDOW_FROM_ANSWER. */
static void counts_from_before_the_heartbeat_was_sent(void **state)
{
    (void)state;
    struct ks_window window;
    uint64_t beat = send_first(&window);

    ks_window_learn(&window, beat, 42, BEGIN + D - 1);
    ks_window_applied(&window, 42, COPY);

    assert_true(is_open(&window, BEGIN + D - 1));
    assert_false(is_open(&window, BEGIN + D));
}

static void an_answer_that_comes_after_the_window_opens_none(void **state)
{
    (void)state;
    struct ks_window window;
    uint64_t beat = send_first(&window);

    ks_window_learn(&window, beat, 42, BEGIN + D);
    ks_window_applied(&window, 42, COPY);

    assert_false(is_open(&window, BEGIN));
}

/* Model: ERR_ANY_HEARTBEAT. */
static void an_answer_counts_for_its_own_heartbeat_only(void **state)
{
    (void)state;
    struct ks_window window;
    uint64_t first = send_first(&window);
    assert_true(ks_window_may_send(&window, BEGIN + 300, 0));
    uint64_t second = ks_window_send(&window, BEGIN + 300);
    assert_true(second > first);

    ks_window_learn(&window, first, 42, BEGIN + 310);
    ks_window_applied(&window, 42, COPY);

    assert_false(is_open(&window, BEGIN + 310));
}

static void one_heartbeat_is_under_way_at_a_time(void **state)
{
    (void)state;
    struct ks_window window;
    send_first(&window);

    assert_false(ks_window_may_send(&window, BEGIN + 299, 0));
    assert_true(ks_window_may_send(&window, BEGIN + 300, 0));
}

static void heartbeats_are_a_fifth_of_the_window_apart(void **state)
{
    (void)state;
    struct ks_window window;
    uint64_t beat = send_first(&window);
    ks_window_learn(&window, beat, 42, BEGIN + 1);
    ks_window_applied(&window, 42, COPY);

    assert_false(ks_window_may_send(&window, BEGIN + 199, 42));
    assert_true(ks_window_may_send(&window, BEGIN + 200, 42));
}

/* Who can't keep up stops beating, is struck, and holds nobody up. */
static void none_is_sent_before_the_last_known_one_is_applied(void **state)
{
    (void)state;
    struct ks_window window;
    uint64_t beat = send_first(&window);
    ks_window_learn(&window, beat, 42, BEGIN + 1);

    assert_false(ks_window_may_send(&window, BEGIN + 10 * D, 41));
    assert_true(ks_window_may_send(&window, BEGIN + 10 * D, 42));
}

static void a_lost_heartbeat_is_followed_by_the_next(void **state)
{
    (void)state;
    struct ks_window window;
    uint64_t beat = send_first(&window);

    ks_window_lose(&window, beat + 1);
    assert_int_equal(window.state, KS_BEAT_SENT);
    ks_window_lose(&window, beat);
    assert_int_equal(window.state, KS_BEAT_FREE);
    assert_true(ks_window_may_send(&window, BEGIN + 200, 0));
}

static void the_window_before_stays_open_while_the_next_heartbeat_is_under_way(void **state)
{
    (void)state;
    struct ks_window window;
    uint64_t beat = send_first(&window);
    ks_window_learn(&window, beat, 42, BEGIN + 1);
    ks_window_applied(&window, 42, COPY);

    assert_true(ks_window_may_send(&window, BEGIN + 200, 42));
    uint64_t next = ks_window_send(&window, BEGIN + 200);
    assert_true(is_open(&window, BEGIN + D - 1));
    ks_window_learn(&window, next, 50, BEGIN + 210);
    assert_true(is_open(&window, BEGIN + D - 1));
    assert_false(is_open(&window, BEGIN + D));
    ks_window_applied(&window, 50, COPY);
    assert_true(is_open(&window, BEGIN + 200 + D - 1));
}

/* Model: ERR_KEEP_WINDOW. */
static void closing_forgets_the_window_and_every_heartbeat(void **state)
{
    (void)state;
    struct ks_window window;
    uint64_t beat = send_first(&window);
    ks_window_learn(&window, beat, 42, BEGIN + 1);
    ks_window_applied(&window, 42, COPY);
    assert_true(ks_window_may_send(&window, BEGIN + 200, 42));
    uint64_t next = ks_window_send(&window, BEGIN + 200);

    ks_window_close(&window);
    assert_false(is_open(&window, BEGIN + 201));
    ks_window_learn(&window, next, 50, BEGIN + 210);
    ks_window_applied(&window, 50, COPY + 1);

    assert_false(is_open(&window, BEGIN + 211));
    assert_true(ks_window_may_send(&window, BEGIN + 400, 0));
}

/* A window whose first heartbeat was sent at BEGIN and has opened it; the next is due at + 200. */
static void open_first(struct ks_window *window)
{
    uint64_t beat = send_first(window);
    ks_window_learn(window, beat, 42, BEGIN + 10);
    ks_window_applied(window, 42, COPY);
}

static void goes_along_with_a_heartbeat_that_is_at_most_half_a_period_ahead(void **state)
{
    (void)state;
    struct ks_window window;
    open_first(&window);

    ks_window_go_along(&window, BEGIN + 99);
    assert_int_equal(ks_window_next_ns(&window), BEGIN + 200);
    assert_false(ks_window_may_send(&window, BEGIN + 199, 42));
    ks_window_go_along(&window, BEGIN + 100);

    assert_int_equal(ks_window_next_ns(&window), BEGIN + 100);
    assert_true(ks_window_may_send(&window, BEGIN + 100, 42));
}

/* The window of a heartbeat that goes along begins, as any, before it was sent. */
static void one_that_went_along_lasts_no_longer(void **state)
{
    (void)state;
    struct ks_window window;
    open_first(&window);

    ks_window_go_along(&window, BEGIN + 150);
    assert_true(ks_window_may_send(&window, BEGIN + 150, 42));
    uint64_t beat = ks_window_send(&window, BEGIN + 150);
    ks_window_learn(&window, beat, 43, BEGIN + 160);
    ks_window_applied(&window, 43, COPY);

    assert_true(is_open(&window, BEGIN + 150 + D - 1));
    assert_false(is_open(&window, BEGIN + 150 + D));
    assert_int_equal(ks_window_next_ns(&window), BEGIN + 350);
}

static void none_goes_along_while_one_is_under_way_or_overdue(void **state)
{
    (void)state;
    struct ks_window window;
    uint64_t beat = send_first(&window);

    ks_window_go_along(&window, BEGIN + 150);
    ks_window_learn(&window, beat, 42, BEGIN + 151);
    ks_window_go_along(&window, BEGIN + 152);
    ks_window_applied(&window, 42, COPY);
    assert_int_equal(ks_window_next_ns(&window), BEGIN + 200);
    ks_window_go_along(&window, BEGIN + 250);

    assert_int_equal(ks_window_next_ns(&window), BEGIN + 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_along_with_a_heartbeat_that_is_at_most_half_a_period_ahead),
        cmocka_unit_test(one_that_went_along_lasts_no_longer),
        cmocka_unit_test(none_goes_along_while_one_is_under_way_or_overdue),
        cmocka_unit_test(opens_when_its_own_heartbeat_is_applied),
        cmocka_unit_test(counts_from_before_the_heartbeat_was_sent),
        cmocka_unit_test(an_answer_that_comes_after_the_window_opens_none),
        cmocka_unit_test(an_answer_counts_for_its_own_heartbeat_only),
        cmocka_unit_test(one_heartbeat_is_under_way_at_a_time),
        cmocka_unit_test(heartbeats_are_a_fifth_of_the_window_apart),
        cmocka_unit_test(none_is_sent_before_the_last_known_one_is_applied),
        cmocka_unit_test(a_lost_heartbeat_is_followed_by_the_next),
        cmocka_unit_test(the_window_before_stays_open_while_the_next_heartbeat_is_under_way),
        cmocka_unit_test(closing_forgets_the_window_and_every_heartbeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
