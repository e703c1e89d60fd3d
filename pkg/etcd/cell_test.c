/* Against three real members: which one is asked, and what a member's end means. */
#include "pkg/etcd/etcd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tests/harness/etcd_fixture.h"

#define PATIENT_MS 5000
#define PROBE_MS   100

static struct etcd_fixture *cell;

static int start_cell(void **state)
{
    (void)state;
    cell = etcd_fixture_start(&(struct etcd_fixture_options){.member_count = 3});
    return 0;
}

static int stop_cell(void **state)
{
    (void)state;
    etcd_fixture_stop(cell);
    return 0;
}

static struct ks_etcd *new_client(size_t first_member)
{
    struct ks_etcd_options options = etcd_fixture_client(cell, first_member);
    struct ks_etcd *client = NULL;
    options.call_ms = PATIENT_MS;
    options.probe_ms = PROBE_MS;
    assert_int_equal(ks_etcd_new(&options, &client).code, KS_OK);
    return client;
}

static int64_t now_ms(void)
{
    return ks_clock_boot_ns(&ks_clock_system) / KS_NS_PER_MS;
}

static struct ks_etcd_answer *put(struct ks_etcd *client, int64_t timeout_ms)
{
    struct ks_etcd_op op = {
        .kind = KS_ETCD_PUT, .key = KS_LITERAL("key"), .value = KS_LITERAL("value")};
    struct ks_etcd_txn txn = {.success = &op, .success_count = 1};
    return ks_etcd_txn_wait(client, &txn, &(struct ks_etcd_call){.timeout_ms = timeout_ms});
}

/* The member that answers calls without a pin. */
static uint64_t member_asked(struct ks_etcd *client)
{
    struct ks_etcd_op op = {.kind = KS_ETCD_RANGE, .key = KS_LITERAL("key")};
    KS_ETCD_ANSWER_AUTO *answer = ks_etcd_range_wait(client, &op, NULL);
    assert_int_equal(answer->cause, KS_ETCD_DONE);
    return answer->header.member_id;
}

static uint64_t member_pinned(struct ks_etcd *client, unsigned pin)
{
    KS_ETCD_ANSWER_AUTO *answer =
        ks_etcd_wait(client, ks_etcd_status, &(struct ks_etcd_call){.pin = pin});
    assert_int_equal(answer->cause, KS_ETCD_DONE);
    return answer->header.member_id;
}

static void asks_the_first_member_and_the_pinned_one(void **state)
{
    (void)state;
    KS_ETCD_AUTO *client = new_client(1);
    KS_ETCD_AUTO *other = new_client(0);
    assert_true(member_asked(client) == member_pinned(other, 2));
    assert_true(member_pinned(client, 2) == member_pinned(other, 3));
    assert_true(member_asked(client) != member_asked(other));
}

/* Nobody listens at the first: the same call is done by the next one, and so are later ones. */
static void an_absent_member_is_passed_over_until_it_is_back(void **state)
{
    (void)state;
    size_t follower = (etcd_fixture_leader(cell) + 1) % 3;
    KS_ETCD_AUTO *client = new_client(follower);
    uint64_t first = member_asked(client);
    etcd_fixture_kill(cell, follower);

    KS_ETCD_ANSWER_AUTO *answer = put(client, PATIENT_MS);
    assert_int_equal(answer->cause, KS_ETCD_DONE);
    assert_true(answer->header.member_id == member_pinned(client, 2));
    assert_true(member_asked(client) != first);

    etcd_fixture_restart(cell, follower, true);
    int64_t end_ms = now_ms() + PATIENT_MS;
    while (member_asked(client) != first && now_ms() < end_ms) {
        ks_etcd_run(client, PROBE_MS);
    }
    assert_true(member_asked(client) == first);
}

/* A member that accepts no connection takes half of the call's time at most. */
static void a_paused_member_leaves_time_for_the_next(void **state)
{
    (void)state;
    size_t follower = (etcd_fixture_leader(cell) + 1) % 3;
    KS_ETCD_AUTO *client = new_client(follower);
    etcd_fixture_pause(cell, follower);
    int64_t start_ms = now_ms();
    KS_ETCD_ANSWER_AUTO *answer = put(client, 2000);
    int64_t took_ms = now_ms() - start_ms;
    etcd_fixture_resume(cell, follower);

    assert_int_equal(answer->cause, KS_ETCD_DONE);
    assert_true(took_ms >= 990 && took_ms < 1900);
}

/* A change that was sent to it may be applied: it is not repeated elsewhere; the next call is. */
static void a_change_sent_to_a_paused_member_is_unknown(void **state)
{
    (void)state;
    size_t follower = (etcd_fixture_leader(cell) + 1) % 3;
    KS_ETCD_AUTO *client = new_client(follower);
    (void)member_asked(client);
    etcd_fixture_pause(cell, follower);

    KS_ETCD_ANSWER_AUTO *unknown = put(client, 300);
    KS_ETCD_ANSWER_AUTO *next = put(client, PATIENT_MS);
    etcd_fixture_resume(cell, follower);

    assert_int_equal(unknown->cause, KS_ETCD_UNKNOWN);
    assert_true(unknown->may_be_applied);
    assert_int_equal(next->cause, KS_ETCD_DONE);
}

/* What cannot change anything goes on elsewhere when the connection breaks. */
static void a_read_goes_on_at_another_member(void **state)
{
    (void)state;
    size_t follower = (etcd_fixture_leader(cell) + 1) % 3;
    KS_ETCD_AUTO *client = new_client(follower);
    uint64_t first = member_asked(client);
    etcd_fixture_kill(cell, follower);
    uint64_t second = member_asked(client);
    etcd_fixture_restart(cell, follower, true);
    assert_true(first != second);
}

/* One of three left: there is no majority, and a call says so in its own time. */
static void without_a_majority_nothing_is_certain(void **state)
{
    (void)state;
    size_t leader = etcd_fixture_leader(cell);
    size_t others[] = {(leader + 1) % 3, (leader + 2) % 3};
    KS_ETCD_AUTO *client = new_client(others[0]);
    (void)member_asked(client);
    etcd_fixture_kill(cell, leader);
    etcd_fixture_kill(cell, others[1]);

    int64_t start_ms = now_ms();
    KS_ETCD_ANSWER_AUTO *answer = put(client, 500);
    assert_true(now_ms() - start_ms < 1500);
    assert_true(answer->cause == KS_ETCD_UNKNOWN || answer->cause == KS_ETCD_NO_LEADER);
    assert_true(answer->may_be_applied);

    etcd_fixture_restart(cell, leader, false);
    etcd_fixture_restart(cell, others[1], false);
    etcd_fixture_wait_ready(cell);
}

/* After its leader was killed, a cell serves again within seconds, found by repeated calls. */
static void a_new_leader_is_found(void **state)
{
    (void)state;
    size_t leader = etcd_fixture_leader(cell);
    KS_ETCD_AUTO *client = new_client(leader);
    (void)member_asked(client);
    etcd_fixture_kill(cell, leader);
    int64_t start_ms = now_ms();
    bool is_done = false;
    while (!is_done && now_ms() - start_ms < 10000) {
        KS_ETCD_ANSWER_AUTO *answer = put(client, KS_ETCD_CALL_MS_DEFAULT);
        is_done = answer->cause == KS_ETCD_DONE;
    }
    print_message("no success for %d ms\n", (int)(now_ms() - start_ms));
    etcd_fixture_restart(cell, leader, true);
    assert_true(is_done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_the_first_member_and_the_pinned_one),
        cmocka_unit_test(an_absent_member_is_passed_over_until_it_is_back),
        cmocka_unit_test(a_paused_member_leaves_time_for_the_next),
        cmocka_unit_test(a_change_sent_to_a_paused_member_is_unknown),
        cmocka_unit_test(a_read_goes_on_at_another_member),
        cmocka_unit_test(without_a_majority_nothing_is_certain),
        cmocka_unit_test(a_new_leader_is_found),
    };
    return cmocka_run_group_tests(tests, start_cell, stop_cell);
}
