/* Which items travel together, and which wait, for whom and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "proto/keystead/internal/v1/limits.h"
#include "services/frontend/route/upstream_fixture.h"

/* Answers all that was sent and what that lets go, until nothing is under way. */
static void answer_all(void)
{
    size_t answered[PEERS] = {0};
    for (size_t p = 0; ks_upstream_count(upstream) > 0; p = (p + 1) % PEERS) {
        while (answered[p] < peers[p].tag_count) {
            answer(p, peers[p].tags[answered[p]++], KS_OK);
        }
    }
}

/* Messages grow where items come together. */
static void stays_with_the_keystore_of_its_zone_until_that_one_is_busy(void **state)
{
    (void)state;
    static struct probe probes[KS_UPSTREAM_SPILL];
    for (size_t i = 0; i < KS_COUNT(probes); i++) {
        send_probe(&probes[i]);
    }
    assert_int_equal(peers[0].tag_count + peers[2].tag_count, 0);
    struct probe more[20];
    for (size_t i = 0; i < KS_COUNT(more); i++) {
        send_probe(&more[i]);
    }
    assert_true(peers[0].tag_count > 0);
    assert_true(peers[2].tag_count > 0);
    answer_all();
    assert_in_range(peers[1].message_count, 3, 4); /* one item, then as many as fit */
}

static void collects_while_a_message_is_being_written(void **state)
{
    (void)state;
    struct probe probes[20];
    peers[1].ready = false;
    for (size_t i = 0; i < KS_COUNT(probes); i++) {
        send_probe(&probes[i]);
    }
    assert_int_equal(peers[1].message_count, 0);

    peers[1].ready = true;
    ks_upstream_writable(upstream, 1, now_ns());

    assert_int_equal(peers[1].message_count, 1);
    assert_int_equal(peers[1].tag_count, KS_COUNT(probes));
    for (size_t i = 0; i < KS_COUNT(probes); i++) {
        answer(1, peers[1].tags[i], KS_OK);
    }
}

/* A message costs a keystore as much as many items: one at a time, and it takes all that waits. */
static void collects_while_a_message_is_unanswered(void **state)
{
    (void)state;
    struct probe probes[20];
    for (size_t i = 0; i < KS_COUNT(probes); i++) {
        send_probe(&probes[i]);
    }
    assert_int_equal(peers[1].tag_count, 1);

    answer(1, peers[1].tags[0], KS_OK);

    assert_int_equal(peers[1].tag_count, KS_COUNT(probes));
    assert_int_equal(peers[1].message_count, 2);
    for (size_t i = 1; i < KS_COUNT(probes); i++) {
        answer(1, peers[1].tags[i], KS_OK);
    }
}

/* Revocation does not queue behind use. Its answer says nothing about what else is on its way. */
static void a_mutation_waits_for_nothing(void **state)
{
    (void)state;
    struct probe first, collected, mutation;
    send_probe(&first);
    send_probe(&collected);
    send_kind(true, &mutation);

    assert_int_equal(peers[1].tag_count, 2);
    assert_true(last_tag(1) == mutation.item.tag);
    answer(1, mutation.item.tag, KS_OK);
    assert_int_equal(peers[1].tag_count, 2);
    answer(1, first.item.tag, KS_OK);
    assert_int_equal(peers[1].tag_count, 3);
    answer(1, collected.item.tag, KS_OK);
}

/* An item may wait for seconds in the keystore (until a revocation is known everywhere). */
static void does_not_wait_long_for_what_takes_long(void **state)
{
    (void)state;
    struct probe slow, next, last;
    send_probe(&slow);
    send_probe(&next);
    assert_int_equal(peers[1].tag_count, 1);

    pass(2 * KS_UPSTREAM_TICK_MS);
    assert_int_equal(peers[1].tag_count, 2);
    answer(1, next.item.tag, KS_OK);
    send_probe(&last);
    assert_int_equal(peers[1].tag_count, 3);
    answer(1, last.item.tag, KS_OK);
    answer(1, slow.item.tag, KS_OK);
}

/* What is collected goes elsewhere when the keystore that it waits for falls silent. */
static void collects_for_nobody_who_is_silent(void **state)
{
    (void)state;
    struct probe probes[3];
    for (size_t i = 0; i < KS_COUNT(probes); i++) {
        send_probe(&probes[i]);
    }

    pass(PATIENCE + 2 * KS_UPSTREAM_TICK_MS);

    assert_int_equal(peers[0].tag_count + peers[2].tag_count, KS_COUNT(probes));
    for (size_t p = 0; p < PEERS; p += 2) {
        for (size_t i = 0; i < peers[p].tag_count; i++) {
            answer(p, peers[p].tags[i], KS_OK);
        }
    }
    assert_int_equal(probes[0].done + probes[1].done + probes[2].done, 3);
}

/* A message with no room for them leaves them where they are, and nothing of theirs is on its way. */
static void mutations_that_fill_a_message_keep_nothing_else_waiting(void **state)
{
    (void)state;
    static struct probe mutations[KS_EXECUTE_ITEMS_MAX];
    struct probe other;
    ks_upstream_closed(upstream, 0, false, now_ns());
    ks_upstream_closed(upstream, 2, false, now_ns());
    ks_upstream_cork(upstream);
    for (size_t i = 0; i < KS_COUNT(mutations); i++) {
        send_kind(true, &mutations[i]);
    }
    send_kind(false, &other);
    ks_upstream_uncork(upstream, now_ns());

    assert_int_equal(peers[1].message_count, 2);
    assert_true(last_tag(1) == other.item.tag);
    answer_all();
}

static void puts_no_more_than_256_items_into_a_message(void **state)
{
    (void)state;
    static struct probe probes[300];
    ks_upstream_closed(upstream, 0, false, now_ns());
    ks_upstream_closed(upstream, 2, false, now_ns());
    ks_upstream_cork(upstream);
    for (size_t i = 0; i < KS_COUNT(probes); i++) {
        send_probe(&probes[i]);
    }
    assert_int_equal(peers[1].message_count, 0);

    ks_upstream_uncork(upstream, now_ns());
    assert_int_equal(peers[1].tag_count, KS_EXECUTE_ITEMS_MAX);
    answer(1, peers[1].tags[0], KS_OK);

    assert_int_equal(peers[1].tag_count, KS_COUNT(probes));
    assert_int_equal(peers[1].largest, KS_EXECUTE_ITEMS_MAX);
    for (size_t i = 1; i < KS_COUNT(probes); i++) {
        answer(1, peers[1].tags[i], KS_OK);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, upstream_setup, upstream_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(stays_with_the_keystore_of_its_zone_until_that_one_is_busy),
        TEST(collects_while_a_message_is_being_written),
        TEST(collects_while_a_message_is_unanswered),
        TEST(a_mutation_waits_for_nothing),
        TEST(does_not_wait_long_for_what_takes_long),
        TEST(collects_for_nobody_who_is_silent),
        TEST(mutations_that_fill_a_message_keep_nothing_else_waiting),
        TEST(puts_no_more_than_256_items_into_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
