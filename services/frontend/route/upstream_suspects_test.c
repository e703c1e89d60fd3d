/* What travels with whom after a stream has ended, and who is to blame for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "proto/keystead/internal/v1/limits.h"
#include "services/frontend/route/upstream_fixture.h"

#define ITEMS      200U
#define ROUNDS_MAX 200U /* of a test's keystores, more than any needs */
#define TICKS_MAX  64U  /* more than the longest pause takes */

static size_t answered[PEERS]; /* of what each keystore got, or lost with its stream */

static int set_up(void **state)
{
    for (size_t i = 0; i < PEERS; i++) {
        answered[i] = 0;
    }
    return upstream_setup(state);
}

/* Time passes until a keystore has the item again. Returns how many ms. */
static int64_t wait_for_trial(const struct probe *probe)
{
    int64_t from_ms = now_ms;
    for (unsigned i = 0; i < TICKS_MAX && !probe->done && !probe->item.awaiting; i++) {
        pass(KS_UPSTREAM_TICK_MS);
    }
    assert_true(probe->done || probe->item.awaiting != 0);
    return now_ms - from_ms;
}

/* The stream to a keystore that has the item ends, and a new one is opened. */
static void end_stream_of(const struct probe *probe, bool is_refused)
{
    (void)wait_for_trial(probe);
    for (size_t i = 0; i < PEERS && !probe->done; i++) {
        if (probe->item.awaiting & (1U << i)) {
            ks_upstream_closed(upstream, i, is_refused, now_ns());
            ks_upstream_opened(upstream, i, now_ns());
            ks_upstream_accepted(upstream, i);
            return;
        }
    }
}

static void break_stream_of(const struct probe *probe)
{
    end_stream_of(probe, false);
}

/* The most items of one message since they were last counted. */
static size_t largest_message(void)
{
    size_t largest = 0;
    for (size_t i = 0; i < PEERS; i++) {
        largest = peers[i].largest > largest ? peers[i].largest : largest;
        peers[i].largest = 0;
    }
    return largest;
}

static void close_and_open(size_t peer)
{
    ks_upstream_closed(upstream, peer, false, now_ns());
    answered[peer] = 0;
    peers[peer].tag_count = 0;
    ks_upstream_opened(upstream, peer, now_ns());
    ks_upstream_accepted(upstream, peer);
}

static bool has(size_t peer, uint64_t tag)
{
    for (size_t i = answered[peer]; i < peers[peer].tag_count; i++) {
        if (peers[peer].tags[i] == tag) {
            return true;
        }
    }
    return false;
}

/* Each keystore answers what it has, or its stream ends if the bad one is among it. */
static unsigned serve(const struct probe *bad)
{
    unsigned deaths = 0;
    for (size_t peer = 0; peer < PEERS; peer++) {
        while (answered[peer] < peers[peer].tag_count) {
            if (!bad->done && has(peer, bad->item.tag)) {
                close_and_open(peer);
                deaths++;
                continue;
            }
            answer(peer, peers[peer].tags[answered[peer]++], KS_OK);
        }
        answered[peer] = 0;
        peers[peer].tag_count = 0;
    }
    return deaths;
}

/* Until nothing is under way; time passes while the bad one pauses. Returns the streams lost. */
static unsigned serve_all(const struct probe *bad)
{
    unsigned deaths = 0;
    for (unsigned i = 0; i < ROUNDS_MAX && ks_upstream_count(upstream) > 0; i++) {
        deaths += serve(bad);
        if (!bad->done && !bad->item.awaiting) {
            pass(KS_UPSTREAM_TICK_MS);
        }
    }
    return deaths;
}

static void send_together(struct probe *probes, size_t count)
{
    ks_upstream_cork(upstream);
    for (size_t i = 0; i < count; i++) {
        send_probe(&probes[i]);
    }
    ks_upstream_uncork(upstream, now_ns());
}

static void assert_all_good(const struct probe *probes, size_t count, const struct probe *bad)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(probes[i].done, 1);
        assert_int_equal(probes[i].code, &probes[i] == bad ? KS_INTERNAL : KS_OK);
    }
}

/* One tenant's item must not end the stream of all again and again. */
static void drops_an_item_that_streams_end_of(void **state)
{
    (void)state;
    struct probe probe, mutation;
    send_probe(&probe);
    for (unsigned i = 0; i < KS_UPSTREAM_LONE_DEATHS_MAX; i++) {
        assert_int_equal(probe.done, 0);
        break_stream_of(&probe);
    }
    assert_int_equal(probe.done, 1);
    assert_int_equal(probe.code, KS_INTERNAL);

    send_kind(true, &mutation);
    for (unsigned i = 0; i < KS_UPSTREAM_LONE_DEATHS_MAX; i++) {
        break_stream_of(&mutation);
    }
    assert_int_equal(mutation.done, 1);
    assert_int_equal(mutation.code, KS_UNAVAILABLE);

    const struct ks_upstream_counts *counts = ks_upstream_counts(upstream);
    assert_int_equal(counts->streams, 2 * KS_UPSTREAM_LONE_DEATHS_MAX);
    assert_int_equal(counts->suspects, 2);
    assert_int_equal(counts->guilty, 2);
    assert_int_equal(counts->answered + counts->unanswered, 0);
}

/*
 * On an idle frontend a read is alone, and the reason why two keystores fail under it one after the
 * other may be their restart, or an item of another frontend. It pauses before the third one.
 */
static void a_read_that_loses_two_keystores_is_not_guilty(void **state)
{
    (void)state;
    struct probe probe;
    send_probe(&probe);
    for (unsigned i = 0; i < KS_UPSTREAM_LONE_DEATHS_MAX - 1; i++) {
        assert_int_not_equal(probe.item.awaiting, 0); /* nothing keeps it waiting so far */
        break_stream_of(&probe);
    }

    assert_int_equal(probe.done, 0);
    assert_int_equal(probe.item.awaiting, 0);
    close_and_open(0); /* a stream that opens does not end the pause */
    assert_in_range(wait_for_trial(&probe), KS_UPSTREAM_TRIAL_PAUSE_MS,
                    TICKS_MAX * KS_UPSTREAM_TICK_MS);
    for (size_t i = 0; i < PEERS && !probe.done; i++) {
        if (probe.item.awaiting & (1U << i)) {
            answer(i, probe.item.tag, KS_OK);
        }
    }
    assert_int_equal(probe.code, KS_OK);
    assert_int_equal(ks_upstream_counts(upstream)->suspects, 1);
    assert_int_equal(ks_upstream_counts(upstream)->answered, 1);
    assert_int_equal(ks_upstream_counts(upstream)->guilty, 0);
}

/* All three keystores are silent and have it, and then fail together: it pauses all the same. */
static void streams_that_end_together_prove_nothing(void **state)
{
    (void)state;
    struct probe probe;
    send_probe(&probe);
    for (unsigned i = 0; i < TICKS_MAX && probe.item.awaiting != (1U << PEERS) - 1; i++) {
        pass(KS_UPSTREAM_TICK_MS);
    }
    assert_int_equal(probe.item.awaiting, (1U << PEERS) - 1);

    for (size_t i = 0; i < PEERS; i++) {
        close_and_open(i);
    }

    assert_int_equal(probe.done, 0);
    assert_in_range(wait_for_trial(&probe), KS_UPSTREAM_TRIAL_PAUSE_MS,
                    TICKS_MAX * KS_UPSTREAM_TICK_MS);
    break_stream_of(&probe);
    assert_int_equal(probe.code, KS_INTERNAL);
}

/* A keystore that has said UNAVAILABLE has nothing of the item any more. */
static void an_item_that_was_answered_is_no_ghost(void **state)
{
    (void)state;
    struct probe first, bad;
    ks_upstream_closed(upstream, 0, false, now_ns());
    ks_upstream_closed(upstream, 2, false, now_ns());
    send_probe(&first);
    answer(1, last_tag(1), KS_UNAVAILABLE);
    (void)wait_for_trial(&first);
    answer(1, last_tag(1), KS_OK);
    assert_int_equal(first.code, KS_OK);

    send_probe(&bad);
    for (unsigned i = 0; i < KS_UPSTREAM_LONE_DEATHS_MAX; i++) {
        assert_int_equal(bad.done, 0);
        (void)wait_for_trial(&bad);
        close_and_open(1);
    }
    assert_int_equal(bad.done, 1);
    assert_int_equal(bad.code, KS_INTERNAL);
}

/* At most 200, 100, 50, 25, 12, 6, 3 items, one, and the same one twice: others take their part. */
static void a_bad_item_is_found_among_many_and_they_are_served(void **state)
{
    (void)state;
    static struct probe probes[ITEMS];
    for (size_t at = 0; at < ITEMS; at += ITEMS - 1) {
        struct probe *bad = &probes[at];
        send_together(probes, ITEMS);
        assert_in_range(serve_all(bad), 4, 10);
        assert_all_good(probes, ITEMS, bad);
    }
}

/* Its deaths take along what came later, but nobody for long. */
static void a_bad_item_is_found_while_others_keep_coming(void **state)
{
    (void)state;
    static struct probe first[ITEMS];
    static struct probe later[20][ITEMS / 4];
    struct probe *bad = &first[ITEMS / 3];
    send_together(first, ITEMS);
    unsigned deaths = 0;
    for (size_t i = 0; i < KS_COUNT(later); i++) {
        send_together(later[i], KS_COUNT(later[i]));
        deaths += serve(bad);
    }
    deaths += serve_all(bad);
    assert_in_range(deaths, 4, 11);
    assert_all_good(first, ITEMS, bad);
    for (size_t i = 0; i < KS_COUNT(later); i++) {
        assert_all_good(later[i], KS_COUNT(later[i]), bad);
    }
}

/* What is the fault of a keystore must not make messages small. */
static void a_keystore_that_fails_leaves_messages_large(void **state)
{
    (void)state;
    static struct probe probes[ITEMS];
    struct probe nobody = {.done = 1};
    send_together(probes, ITEMS);
    assert_int_equal(largest_message(), ITEMS);

    close_and_open(1);
    size_t before = peers[0].message_count + peers[1].message_count + peers[2].message_count;
    for (unsigned i = 0; i < ROUNDS_MAX && ks_upstream_count(upstream) > 0; i++) {
        assert_int_equal(serve(&nobody), 0);
    }

    size_t after = peers[0].message_count + peers[1].message_count + peers[2].message_count;
    assert_in_range(after - before, 0, 2);
    assert_all_good(probes, ITEMS, NULL);
    send_together(probes, ITEMS);
    assert_int_equal(largest_message(), ITEMS);
    (void)serve(&nobody);
}

/* While suspects are on their way nothing else is, so that it is not suspect, too. */
static void suspects_have_a_stream_to_themselves_for_a_while(void **state)
{
    (void)state;
    struct probe suspects[4];
    struct probe mutation, late;
    ks_upstream_closed(upstream, 0, false, now_ns());
    ks_upstream_closed(upstream, 2, false, now_ns());
    send_together(suspects, KS_COUNT(suspects));
    close_and_open(1);
    assert_int_equal(peers[1].tag_count, 2);

    send_kind(true, &mutation);
    assert_int_equal(peers[1].tag_count, 2);
    answer(1, peers[1].tags[0], KS_OK);
    assert_int_equal(peers[1].tag_count, 2);
    answer(1, peers[1].tags[1], KS_OK);
    assert_int_equal(peers[1].tag_count, 3); /* by turns */
    assert_true(last_tag(1) == mutation.item.tag);
    send_kind(true, &late);
    assert_int_equal(peers[1].tag_count, 3); /* the other two wait for a clear stream */

    pass(KS_UPSTREAM_TICK_MS); /* the mutation takes its time */
    assert_int_equal(peers[1].tag_count, 5);
    pass(KS_UPSTREAM_TICK_MS); /* and so do they */
    assert_int_equal(peers[1].tag_count, 6);
    for (size_t i = 2; i < 6; i++) {
        answer(1, peers[1].tags[i], KS_OK);
    }
    assert_int_equal(late.code, KS_OK);
    assert_int_equal(suspects[3].code, KS_OK);
}

/* Its deadline is over, and the keystore still has it: whoever is there later is not to blame. */
static void who_stands_beside_a_forgotten_item_is_not_blamed(void **state)
{
    (void)state;
    struct probe probe, killer, after;
    ks_upstream_closed(upstream, 0, false, now_ns());
    ks_upstream_closed(upstream, 2, false, now_ns());
    send_probe(&probe);
    for (unsigned i = 0; i < KS_UPSTREAM_DEATHS_MAX; i++) {
        assert_int_equal(probe.done, 0);
        assert_int_equal(send_until(&killer, now_ms + 3 * KS_UPSTREAM_TICK_MS), KS_OK);
        pass(2 * KS_UPSTREAM_TICK_MS); /* it goes out beside the other one */
        assert_true(last_tag(1) == killer.item.tag);
        pass(2 * KS_UPSTREAM_TICK_MS);
        assert_int_equal(killer.done, 1);
        close_and_open(1);
    }
    assert_int_equal(probe.code, KS_UNAVAILABLE);

    /* One that was answered late is no ghost any more. */
    assert_int_equal(send_until(&killer, now_ms + KS_UPSTREAM_TICK_MS), KS_OK);
    uint64_t late = last_tag(1);
    pass(3 * KS_UPSTREAM_TICK_MS);
    answer(1, late, KS_OK);
    send_probe(&after);
    for (unsigned i = 0; i < KS_UPSTREAM_LONE_DEATHS_MAX; i++) {
        (void)wait_for_trial(&after);
        close_and_open(1);
    }
    assert_int_equal(after.code, KS_INTERNAL);
}

/* Streams end and end, and the item never was alone: it may be tried again. */
static void an_item_that_never_was_alone_is_refused_for_now(void **state)
{
    (void)state;
    struct probe probe, slow;
    ks_upstream_closed(upstream, 0, false, now_ns());
    ks_upstream_closed(upstream, 2, false, now_ns());
    send_probe(&probe);
    for (unsigned i = 0; i < KS_UPSTREAM_DEATHS_MAX; i++) {
        assert_int_equal(probe.done, 0);
        send_kind(true, &slow);
        pass(2 * KS_UPSTREAM_TICK_MS); /* it is on its way beside the other one */
        ks_upstream_closed(upstream, 1, false, now_ns());
        slow.item.deadline_ns = 0;
        pass(KS_UPSTREAM_TICK_MS);
        assert_int_equal(slow.done, 1);
        ks_upstream_opened(upstream, 1, now_ns());
        ks_upstream_accepted(upstream, 1);
    }
    assert_int_equal(probe.done, 1);
    assert_int_equal(probe.code, KS_UNAVAILABLE);
    assert_int_equal(ks_upstream_counts(upstream)->guilty, 0);
    assert_in_range(ks_upstream_counts(upstream)->unanswered, 1, 1 + KS_UPSTREAM_DEATHS_MAX);
}

/* All streams stand on a certificate that ends, and each is refused with the item that meets it. */
static void an_item_is_not_to_blame_for_a_stream_that_is_refused(void **state)
{
    (void)state;
    struct probe probe;
    send_probe(&probe);
    for (unsigned i = 0; i < 2 * KS_UPSTREAM_DEATHS_MAX; i++) {
        assert_true(probe.item.awaiting != 0);
        end_stream_of(&probe, true);
    }
    assert_int_equal(probe.done, 0);
    for (size_t i = 0; i < PEERS && !probe.done; i++) {
        if (probe.item.awaiting & (1U << i)) {
            answer(i, probe.item.tag, KS_OK);
        }
    }
    assert_int_equal(probe.code, KS_OK);
    assert_int_equal(ks_upstream_counts(upstream)->suspects, 0);
}

/* It never reached anybody: it waits, as it did, until one can be reached. */
static void an_item_is_not_to_blame_for_a_keystore_that_is_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < PEERS; i++) {
        ks_upstream_closed(upstream, i, false, now_ns());
        ks_upstream_opened(upstream, i, now_ns());
    }
    struct probe probe;
    send_probe(&probe);
    for (unsigned round = 0; round < KS_UPSTREAM_DEATHS_MAX; round++) {
        for (size_t i = 0; i < PEERS; i++) {
            ks_upstream_closed(upstream, i, false, now_ns());
            ks_upstream_opened(upstream, i, now_ns());
        }
    }
    assert_int_equal(probe.done, 0);
    pass(100);
    for (size_t i = 0; i < PEERS && !probe.done; i++) {
        ks_upstream_accepted(upstream, i);
        if (probe.item.awaiting & (1U << i)) {
            answer(i, probe.item.tag, KS_OK);
        }
    }
    assert_int_equal(probe.code, KS_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, upstream_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(drops_an_item_that_streams_end_of),
        TEST(a_read_that_loses_two_keystores_is_not_guilty),
        TEST(streams_that_end_together_prove_nothing),
        TEST(an_item_that_was_answered_is_no_ghost),
        TEST(a_bad_item_is_found_among_many_and_they_are_served),
        TEST(a_bad_item_is_found_while_others_keep_coming),
        TEST(a_keystore_that_fails_leaves_messages_large),
        TEST(suspects_have_a_stream_to_themselves_for_a_while),
        TEST(who_stands_beside_a_forgotten_item_is_not_blamed),
        TEST(an_item_that_never_was_alone_is_refused_for_now),
        TEST(an_item_is_not_to_blame_for_a_stream_that_is_refused),
        TEST(an_item_is_not_to_blame_for_a_keystore_that_is_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
