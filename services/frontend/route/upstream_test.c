/* Failover, stepped: the streams are arrays, time is a number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/base/clock.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/codec/wire.h"
#include "services/frontend/route/upstream_fixture.h"

static void asks_the_keystore_of_its_own_zone_first(void **state)
{
    (void)state;
    struct probe probe;
    send_probe(&probe);

    assert_int_equal(peers[1].tag_count, 1);
    assert_int_equal(probe.done, 0);
    answer(1, last_tag(1), KS_OK);
    assert_int_equal(probe.done, 1);
    assert_int_equal(probe.code, KS_OK);
}

/* Any answer but UNAVAILABLE counts: a refusal is the keystore's last word. */
static void takes_a_refusal_for_an_answer(void **state)
{
    (void)state;
    struct probe probe;
    send_probe(&probe);

    answer(1, last_tag(1), KS_DISABLED);

    assert_int_equal(probe.done, 1);
    assert_int_equal(probe.code, KS_DISABLED);
    assert_int_equal(peers[0].tag_count + peers[2].tag_count, 0);
}

static void goes_to_another_keystore_without_a_window_at_once(void **state)
{
    (void)state;
    struct probe probe;
    send_probe(&probe);

    answer(1, last_tag(1), KS_UNAVAILABLE);
    size_t second = peers[0].tag_count > 0 ? 0 : 2;
    assert_int_equal(peers[second].tag_count, 1);
    answer(second, last_tag(second), KS_UNAVAILABLE);
    size_t third = 2 - second;
    assert_int_equal(peers[third].tag_count, 1);
    assert_int_equal(probe.done, 0);

    answer(third, last_tag(third), KS_OK);
    assert_int_equal(probe.code, KS_OK);
    assert_int_equal(probe.done, 1);
}

/* The next request spares itself the detour. */
static void avoids_a_keystore_that_just_had_no_window(void **state)
{
    (void)state;
    struct probe first;
    struct probe second;
    send_probe(&first);
    answer(1, last_tag(1), KS_UNAVAILABLE);
    size_t other = peers[0].tag_count > 0 ? 0 : 2;
    answer(other, last_tag(other), KS_OK);

    send_probe(&second);
    assert_int_equal(peers[1].tag_count, 1);
    answer(peers[0].tag_count > peers[2].tag_count ? 0 : 2,
           last_tag(peers[0].tag_count > peers[2].tag_count ? 0 : 2), KS_OK);
    assert_int_equal(second.done, 1);

    pass(200);
    send_probe(&second);
    assert_int_equal(peers[1].tag_count, 2);
    answer(1, last_tag(1), KS_OK);
}

static void answer_all_unavailable(void)
{
    static size_t answered[PEERS];
    memset(answered, 0, sizeof(answered));
    for (int round = 0; round < PEERS; round++) {
        for (size_t p = 0; p < PEERS; p++) {
            while (answered[p] < peers[p].tag_count) {
                answer(p, peers[p].tags[answered[p]++], KS_UNAVAILABLE);
            }
        }
    }
}

/* An election: nobody has a window for a while. */
static void tries_all_again_after_a_pause(void **state)
{
    (void)state;
    struct probe probe;
    send_probe(&probe);
    answer_all_unavailable();
    assert_int_equal(probe.done, 0);
    size_t before = peers[0].tag_count + peers[1].tag_count + peers[2].tag_count;
    assert_int_equal(before, 3);

    pass(60);
    assert_int_equal(peers[0].tag_count + peers[1].tag_count + peers[2].tag_count, 4);
    size_t asked = peers[0].tag_count == 2 ? 0 : peers[1].tag_count == 2 ? 1 : 2;
    answer(asked, last_tag(asked), KS_OK);

    assert_int_equal(probe.code, KS_OK);
}

static void gives_up_at_the_deadline(void **state)
{
    (void)state;
    struct probe probe;
    assert_int_equal(send_until(&probe, now_ms + 200), KS_OK);
    answer_all_unavailable();

    pass(180);
    assert_int_equal(probe.done, 0);
    pass(40);

    assert_int_equal(probe.done, 1);
    assert_int_equal(probe.code, KS_UNAVAILABLE);
}

static void moves_what_a_broken_stream_had(void **state)
{
    (void)state;
    struct probe probes[4];
    ks_upstream_cork(upstream);
    for (size_t i = 0; i < KS_COUNT(probes); i++) {
        send_probe(&probes[i]);
    }
    ks_upstream_uncork(upstream, now_ns());
    assert_int_equal(peers[1].tag_count, 4);

    ks_upstream_closed(upstream, 1, false, now_ns());

    assert_int_equal(peers[0].tag_count + peers[2].tag_count, 4);
    for (size_t p = 0; p < PEERS; p += 2) {
        for (size_t i = 0; i < peers[p].tag_count; i++) {
            answer(p, peers[p].tags[i], KS_OK);
        }
    }
    for (size_t i = 0; i < KS_COUNT(probes); i++) {
        assert_int_equal(probes[i].done, 1);
    }
}

static void waits_for_a_stream_when_there_is_none(void **state)
{
    (void)state;
    for (size_t p = 0; p < PEERS; p++) {
        ks_upstream_closed(upstream, p, false, now_ns());
    }
    struct probe probe;
    send_probe(&probe);
    pass(100);
    assert_int_equal(probe.done, 0);

    ks_upstream_opened(upstream, 2, now_ns());

    assert_int_equal(peers[2].tag_count, 1);
    answer(2, last_tag(2), KS_OK);
    assert_int_equal(probe.code, KS_OK);
}

/* A stopped process: its connection stands, and nothing comes. */
static void asks_another_keystore_when_one_falls_silent(void **state)
{
    (void)state;
    struct probe probe;
    send_probe(&probe);

    pass(PATIENCE - 20);
    assert_int_equal(peers[0].tag_count + peers[2].tag_count, 0);
    pass(40);
    assert_int_equal(peers[0].tag_count + peers[2].tag_count, 1);
    size_t other = peers[0].tag_count > 0 ? 0 : 2;
    answer(other, last_tag(other), KS_OK);
    assert_int_equal(probe.done, 1);

    /* The late answer finds nobody. */
    answer(1, last_tag(1), KS_DISABLED);
    assert_int_equal(probe.done, 1);
    assert_int_equal(probe.code, KS_OK);
}

static void takes_the_first_answer_from_whoever_has_the_item(void **state)
{
    (void)state;
    struct probe probe;
    send_probe(&probe);
    pass(PATIENCE + 20);

    answer(1, last_tag(1), KS_OK);

    assert_int_equal(probe.done, 1);
    assert_int_equal(probe.code, KS_OK);
}

/* One has no window and the other is silent: the item is still under way. */
static void waits_for_the_silent_one_when_the_others_cannot(void **state)
{
    (void)state;
    struct probe probe;
    send_probe(&probe);
    pass(PATIENCE + 20);
    size_t other = peers[0].tag_count > 0 ? 0 : 2;
    answer(other, last_tag(other), KS_UNAVAILABLE);
    assert_int_equal(probe.done, 0);

    answer(1, last_tag(1), KS_OK);

    assert_int_equal(probe.done, 1);
    assert_int_equal(probe.code, KS_OK);
}

/* The near keystore is the second one; mutations go where those of other frontends go. */
static void mutations_go_to_one_keystore_and_all_else_to_the_near_one(void **state)
{
    (void)state;
    struct probe reads[2], mutations[2];
    for (int i = 0; i < 2; i++) {
        send_kind(false, &reads[i]);
        send_kind(true, &mutations[i]);
    }
    assert_int_equal(peers[0].tag_count, 2);
    assert_int_equal(last_tag(0), mutations[1].item.tag);
    assert_int_equal(last_tag(1), reads[0].item.tag);
    for (int i = 0; i < 2; i++) {
        answer(0, mutations[i].item.tag, KS_OK);
        answer(1, reads[i].item.tag, KS_OK);
    }
}

static void mutations_spill_over_to_the_next_in_rank(void **state)
{
    (void)state;
    static struct probe mutations[KS_UPSTREAM_SPILL + 2];
    for (size_t i = 0; i < KS_COUNT(mutations); i++) {
        send_kind(true, &mutations[i]);
    }
    assert_int_equal(peers[0].tag_count, KS_UPSTREAM_SPILL + 1);
    assert_int_equal(peers[1].tag_count, 1);
    for (size_t peer = 0; peer < 2; peer++) {
        for (size_t i = 0; i < peers[peer].tag_count; i++) {
            answer(peer, peers[peer].tags[i], KS_OK);
        }
    }
}

/* Failover is as fast as for anything else: without a window the next one is asked at once. */
static void a_mutation_goes_on_to_the_next_in_rank_when_one_fails(void **state)
{
    (void)state;
    struct probe refused, lost, later;
    send_kind(true, &refused);
    answer(0, refused.item.tag, KS_UNAVAILABLE);
    assert_int_equal(last_tag(1), refused.item.tag);
    send_kind(true, &later);
    assert_int_equal(last_tag(1), later.item.tag);
    answer(1, refused.item.tag, KS_OK);
    answer(1, later.item.tag, KS_OK);
    pass(200);
    send_kind(true, &lost);
    assert_int_equal(last_tag(0), lost.item.tag);
    ks_upstream_closed(upstream, 0, false, now_ns());
    assert_int_equal(last_tag(1), lost.item.tag);
    answer(1, lost.item.tag, KS_OK);
    assert_int_equal(lost.done, 1);
}

static void gives_mutations_more_time(void **state)
{
    (void)state;
    struct probe probe = {0};
    probe.item.body.len_max = KS_EXECUTE_BODY_MAX;
    probe.item.mutating = true;
    probe.item.deadline_ns = now_ns() + 10000 * KS_NS_PER_MS;
    probe.item.done = on_done;
    probe.item.user = &probe;
    assert_int_equal(ks_upstream_send(upstream, &probe.item, now_ns()).code, KS_OK);

    pass(MUTATION - 20);
    assert_int_equal(peers[0].tag_count + peers[2].tag_count, 0);
    pass(40);
    assert_int_equal(peers[0].tag_count + peers[2].tag_count, 1);
    answer(1, last_tag(1), KS_OK);
    assert_int_equal(probe.done, 1);
}

/*
 * Promise 3. The first keystore is cut off, the second one says that the alias exists, the alias is
 * deleted, the first one is back and makes it: so it must not have been refused.
 */
static void a_refusal_is_no_answer_while_another_keystore_may_carry_it_out(void **state)
{
    (void)state;
    struct probe probe;
    send_kind(true, &probe);
    pass(MUTATION + 20);
    assert_int_equal(peers[0].tag_count, 1);
    answer(0, last_tag(0), KS_ALREADY_EXISTS);
    assert_int_equal(probe.code, KS_UNAVAILABLE);

    send_kind(true, &probe);
    size_t first = peers[2].tag_count > 0 ? 2 : 0;
    ks_upstream_closed(upstream, first, false, now_ns());
    size_t second = first == 2 ? 0 : 2;
    answer(second, last_tag(second), KS_ALREADY_EXISTS);
    assert_int_equal(probe.code, KS_UNAVAILABLE);
}

/*
 * The same over two rounds: the keystore that says STALE_VIEW may be the one that lags, and the first
 * one may carry out what it got in the round before.
 */
static void a_refusal_after_a_new_view_is_no_answer_either(void **state)
{
    (void)state;
    struct probe probe;
    send_kind(true, &probe);
    pass(MUTATION + 2 * KS_UPSTREAM_TICK_MS);
    size_t other = peers[0].tag_count > 0 ? 0 : 2;
    answer(other, last_tag(other), KS_STALE_VIEW);
    assert_int_equal(probe.code, KS_STALE_VIEW);

    probe.done = 0;
    probe.item.body = (struct ks_buffer){.len_max = KS_EXECUTE_BODY_MAX};
    assert_int_equal(ks_upstream_send(upstream, &probe.item, now_ns()).code, KS_OK);
    for (size_t peer = 0; peer < PEERS && !probe.done; peer++) {
        if (peer != 1 && peers[peer].tag_count > 0 && last_tag(peer) == probe.item.tag) {
            answer(peer, probe.item.tag, KS_ALREADY_EXISTS);
        }
    }
    assert_int_equal(probe.done, 1);
    assert_int_equal(probe.code, KS_UNAVAILABLE);
}

static void a_refusal_is_an_answer_where_nothing_can_happen_any_more(void **state)
{
    (void)state;
    struct probe probe;
    send_kind(true, &probe);
    answer(1, last_tag(1), KS_ALREADY_EXISTS);
    assert_int_equal(probe.code, KS_ALREADY_EXISTS);

    /* The one that refuses now has answered the round before. */
    send_kind(true, &probe);
    answer(1, last_tag(1), KS_STALE_VIEW);
    probe.done = 0;
    probe.item.body = (struct ks_buffer){.len_max = KS_EXECUTE_BODY_MAX};
    assert_int_equal(ks_upstream_send(upstream, &probe.item, now_ns()).code, KS_OK);
    answer(1, last_tag(1), KS_ALREADY_EXISTS);
    assert_int_equal(probe.code, KS_ALREADY_EXISTS);

    peers[1].ready = false; /* it waits to be written there, and never is */
    send_kind(true, &probe);
    pass(MUTATION + 20);
    answer(0, last_tag(0), KS_ALREADY_EXISTS);
    assert_int_equal(probe.code, KS_ALREADY_EXISTS);
    peers[1].ready = true;

    send_kind(false, &probe);
    pass(MUTATION + 20);
    size_t peer = 0;
    while (peers[peer].tag_count == 0 || last_tag(peer) != probe.item.tag) {
        peer++;
    }
    answer(peer, probe.item.tag, KS_DISABLED);
    assert_int_equal(probe.code, KS_DISABLED);
}

/* Sending everything twice to keystores that are merely busy would make it worse. */
static void waits_longer_for_a_keystore_that_answers_others(void **state)
{
    (void)state;
    struct probe slow;
    send_probe(&slow);
    uint64_t slow_tag = last_tag(1);
    pass(KS_UPSTREAM_TICK_MS); /* nothing is collected behind it any more */
    for (int i = 0; i < 10; i++) {
        struct probe quick;
        send_probe(&quick);
        answer(1, last_tag(1), KS_OK);
        pass(100);
    }
    assert_int_equal(peers[0].tag_count + peers[2].tag_count, 0);

    pass(400); /* four times the patience: even so */
    assert_int_equal(peers[0].tag_count + peers[2].tag_count, 1);
    answer(1, slow_tag, KS_OK);
    assert_int_equal(slow.done, 1);
}

/* What waits in the queue of a stuck stream leaves it when it goes elsewhere. */
static void takes_items_out_of_the_queue_of_a_stuck_stream(void **state)
{
    (void)state;
    struct probe probes[3];
    peers[1].ready = false;
    for (size_t i = 0; i < KS_COUNT(probes); i++) {
        send_probe(&probes[i]);
    }

    pass(PATIENCE + 20);
    assert_int_equal(peers[0].tag_count + peers[2].tag_count, 3);
    peers[1].ready = true;
    ks_upstream_writable(upstream, 1, now_ns());
    assert_int_equal(peers[1].tag_count, 0);

    for (size_t p = 0; p < PEERS; p += 2) {
        for (size_t i = 0; i < peers[p].tag_count; i++) {
            answer(p, peers[p].tags[i], KS_OK);
        }
    }
    assert_int_equal(probes[2].done, 1);
}

static void survives_a_stream_that_takes_nothing(void **state)
{
    (void)state;
    struct probe probe;
    peers[1].broken = true;
    send_probe(&probe);
    assert_int_equal(probe.done, 0);

    ks_upstream_closed(upstream, 1, false, now_ns());

    assert_int_equal(peers[0].tag_count + peers[2].tag_count, 1);
    size_t other = peers[0].tag_count > 0 ? 0 : 2;
    answer(other, last_tag(other), KS_OK);
    assert_int_equal(probe.done, 1);
}

static void refuses_more_than_its_bound(void **state)
{
    (void)state;
    struct probe *probes = ks_alloc(KS_UPSTREAM_ITEMS_MAX, sizeof(*probes));
    struct probe extra;
    for (size_t p = 0; p < PEERS; p++) {
        ks_upstream_closed(upstream, p, false, now_ns());
    }
    for (size_t i = 0; i < KS_UPSTREAM_ITEMS_MAX; i++) {
        assert_int_equal(send_until(&probes[i], now_ms + 100), KS_OK);
    }

    assert_int_equal(send_until(&extra, now_ms + 100), KS_THROTTLED);
    assert_int_equal(extra.done, 0);
    ks_buffer_done(&extra.item.body);

    pass(120);
    for (size_t i = 0; i < KS_UPSTREAM_ITEMS_MAX; i++) {
        assert_int_equal(probes[i].done, 1);
    }
    assert_false(armed);
    ks_free(probes);
}

/* Promise 6: however much one account sends, others are served. */
static void one_account_leaves_room_for_others(void **state)
{
    (void)state;
    uint32_t greedy = ks_upstream_share(KS_LITERAL("111122223333"));
    uint32_t modest = ks_upstream_share(KS_LITERAL("444455556666"));
    struct probe *probes = ks_alloc(KS_UPSTREAM_SHARE_MAX, sizeof(*probes));
    struct probe extra;
    struct probe other;
    for (size_t p = 0; p < PEERS; p++) {
        ks_upstream_closed(upstream, p, false, now_ns());
    }
    for (size_t i = 0; i < KS_UPSTREAM_SHARE_MAX; i++) {
        assert_int_equal(send_of(greedy, &probes[i], now_ms + 100), KS_OK);
    }

    assert_int_equal(send_of(greedy, &extra, now_ms + 100), KS_THROTTLED);
    ks_buffer_done(&extra.item.body);
    assert_int_equal(send_of(modest, &other, now_ms + 100), KS_OK);

    pass(120);
    assert_int_equal(other.done, 1);
    assert_int_equal(send_of(greedy, &extra, now_ms + 100), KS_OK);
    pass(120);
    assert_int_equal(extra.done, 1);
    ks_free(probes);
}

static void passes_over_answers_that_nobody_waits_for(void **state)
{
    (void)state;
    struct probe probe;
    send_probe(&probe);
    uint64_t tag = last_tag(1);

    answer(1, tag + 1, KS_OK);
    answer(1, tag + KS_UPSTREAM_ITEMS_MAX, KS_OK); /* its slot, another use of it */
    answer(0, tag, KS_OK);                         /* from a keystore that was not asked */
    assert_int_equal(probe.done, 0);
    assert_int_equal(ks_upstream_received(upstream, 1, KS_LITERAL("\x0a\x05x"), now_ns()).code,
                     KS_VALIDATION);

    answer(1, tag, KS_OK);
    answer(1, tag, KS_OK);
    assert_int_equal(probe.done, 1);
}

#define TEST(name)  cmocka_unit_test_setup_teardown(name, upstream_setup, upstream_teardown)
#define APART(name) cmocka_unit_test_setup_teardown(name, upstream_setup_apart, upstream_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(asks_the_keystore_of_its_own_zone_first),
        TEST(takes_a_refusal_for_an_answer),
        TEST(goes_to_another_keystore_without_a_window_at_once),
        TEST(avoids_a_keystore_that_just_had_no_window),
        TEST(tries_all_again_after_a_pause),
        TEST(gives_up_at_the_deadline),
        TEST(moves_what_a_broken_stream_had),
        TEST(waits_for_a_stream_when_there_is_none),
        TEST(asks_another_keystore_when_one_falls_silent),
        TEST(takes_the_first_answer_from_whoever_has_the_item),
        TEST(waits_for_the_silent_one_when_the_others_cannot),
        TEST(gives_mutations_more_time),
        APART(mutations_go_to_one_keystore_and_all_else_to_the_near_one),
        APART(mutations_spill_over_to_the_next_in_rank),
        APART(a_mutation_goes_on_to_the_next_in_rank_when_one_fails),
        TEST(waits_longer_for_a_keystore_that_answers_others),
        TEST(takes_items_out_of_the_queue_of_a_stuck_stream),
        TEST(survives_a_stream_that_takes_nothing),
        TEST(refuses_more_than_its_bound),
        TEST(one_account_leaves_room_for_others),
        TEST(a_refusal_is_no_answer_while_another_keystore_may_carry_it_out),
        TEST(a_refusal_after_a_new_view_is_no_answer_either),
        TEST(a_refusal_is_an_answer_where_nothing_can_happen_any_more),
        TEST(passes_over_answers_that_nobody_waits_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
