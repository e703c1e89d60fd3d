#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pkg/base/clock.h"
#include "pkg/base/mem.h"
#include "pkg/rpc/rpc_fixture.h"

#define POSTS   10000
#define THREADS 3

static struct gauge ran = GAUGE_INIT;
static struct ks_rpc_loop *loop;
static int sequence[8];
static struct ks_rpc_timer *timer;

static int start(void **state)
{
    (void)state;
    gauge_reset(&ran);
    loop = ks_rpc_loop_new("a name longer than fifteen bytes");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ks_rpc_loop_free(loop);
    return 0;
}

struct counted {
    int expected;
    int out_of_order;
};

struct numbered {
    struct counted *of;
    int number;
};

static void in_order(void *arg)
{
    struct numbered *post = arg;
    post->of->out_of_order += post->number != post->of->expected++;
    ks_free(post);
    gauge_raise(&ran);
}

static void *post_many(void *arg)
{
    for (int i = 0; i < POSTS; i++) {
        struct numbered *post = ks_alloc(1, sizeof(*post));
        *post = (struct numbered){arg, i};
        ks_rpc_loop_post(loop, in_order, post);
    }
    return NULL;
}

static void awaiting_a_turn_sees_all_that_was_posted_before(void **state)
{
    (void)state;
    struct counted counted = {0};

    post_many(&counted);
    ks_rpc_loop_await_turn(loop);

    assert_int_equal(counted.expected, POSTS);
    assert_int_equal(counted.out_of_order, 0);
}

static void what_one_thread_posts_runs_in_its_order(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    struct counted counted[THREADS] = {0};

    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &counted[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    gauge_await(&ran, THREADS * POSTS);

    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(counted[i].out_of_order, 0);
    }
}

static void note_thread(void *arg)
{
    *(bool *)arg = ks_rpc_loop_is_current(loop);
    gauge_raise(&ran);
}

static void a_loop_knows_its_own_thread(void **state)
{
    (void)state;
    bool inside = false;

    ks_rpc_loop_post(loop, note_thread, &inside);
    gauge_await(&ran, 1);

    assert_true(inside);
    assert_false(ks_rpc_loop_is_current(loop));
}

static void note(void *arg)
{
    sequence[gauge_read(&ran)] = (int)(intptr_t)arg;
    gauge_raise(&ran);
}

static void set_timers(void *arg)
{
    (void)arg;
    ks_rpc_loop_after(loop, 60, note, (void *)(intptr_t)3);
    ks_rpc_loop_after(loop, 20, note, (void *)(intptr_t)1);
    struct ks_rpc_timer *cancelled = ks_rpc_loop_after(loop, 30, note, (void *)(intptr_t)9);
    ks_rpc_loop_after(loop, 40, note, (void *)(intptr_t)2);
    ks_rpc_loop_after(loop, 0, note, (void *)(intptr_t)0);
    ks_rpc_timer_cancel(cancelled);
}

static void timers_run_when_due_and_not_when_cancelled(void **state)
{
    (void)state;
    int64_t before_ns = ks_clock_boot_ns(&ks_clock_system);

    ks_rpc_loop_post(loop, set_timers, NULL);
    gauge_await(&ran, 4);

    assert_true(ks_clock_boot_ns(&ks_clock_system) - before_ns >= 60 * KS_NS_PER_MS);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(sequence[i], i);
    }
}

static void set_far_timer(void *arg)
{
    (void)arg;
    timer = ks_rpc_loop_after(loop, 3600 * 1000, note, NULL);
    gauge_raise(&ran);
}

static void post_again(void *arg)
{
    gauge_raise(&ran);
    if (arg) {
        ks_rpc_loop_post(loop, post_again, NULL);
    }
}

/* Also what is posted by what was posted; a far timer does not hold it up. */
static void free_runs_what_was_posted_and_drops_timers(void **state)
{
    (void)state;
    ks_rpc_loop_post(loop, set_far_timer, NULL);
    gauge_await(&ran, 1);

    ks_rpc_loop_post(loop, post_again, &ran);
    ks_rpc_loop_free(loop);

    assert_int_equal(gauge_read(&ran), 3);
    loop = NULL;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(awaiting_a_turn_sees_all_that_was_posted_before),
        CASE(what_one_thread_posts_runs_in_its_order),
        CASE(a_loop_knows_its_own_thread),
        CASE(timers_run_when_due_and_not_when_cancelled),
        CASE(free_runs_what_was_posted_and_drops_timers),
    };
    return cmocka_run_group_tests_name("loop", tests, fixture_setup, fixture_teardown);
}
