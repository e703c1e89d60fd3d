/* Three keystores on three real members: promise 2 across stores, and what failures cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/store/replicated/node_fixture.h"

static struct etcd_fixture *cell;

/* Nodes with a prefix of their own, all running. */
static int setup(void **state)
{
    static unsigned test_number;
    char prefix[32];
    snprintf(prefix, sizeof(prefix), "/cell/%u/", ++test_number);
    etcd_fixture_wait_ready(cell);
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

/* Promise 2: once acknowledged, no keystore serves what was before. */
static void nobody_serves_what_an_acknowledged_mutation_replaced(void **state)
{
    struct nodes *nodes = *state;
    int64_t revision = 0;
    size_t served = 0;
    for (unsigned i = 0; i < 300; i++) {
        char value[16];
        snprintf(value, sizeof(value), "%u", i);
        struct fixture_outcome put =
            fixture_put(nodes->at[i % NODES_MAX].store, "key/a", value, revision);
        assert_int_equal(put.code, KS_OK);
        revision = put.revision;
        for (size_t n = 0; n < NODES_MAX; n++) {
            KS_STORE_VIEW_AUTO view = {0};
            if (ks_failed(ks_store_serve(nodes->at[n].store, &view))) {
                continue;
            }
            struct ks_store_record record;
            assert_int_equal(ks_store_get(&view, KS_LITERAL("key/a"), &record).code, KS_OK);
            assert_int_equal(record.revision, revision);
            served++;
        }
    }
    assert_true(served > 600);
}

/* The other half: what one keystore has answered, no other one takes back. */
static void nobody_reads_backwards(void **state)
{
    struct nodes *nodes = *state;
    int64_t revision = 0;
    int64_t floor = 0;
    for (int i = 0; i < 100; i++) {
        struct ks_store_mutation mutation = {.ops = {{KS_LITERAL("key/a"), KS_LITERAL("x")}},
                                             .op_count = 1};
        revision = fixture_commit(nodes->at[0].store, &mutation).revision;
        for (size_t n = 0; n < NODES_MAX; n++) {
            struct ks_store_record record;
            KS_STORE_VIEW_AUTO view = fixture_serve(nodes->at[n].store);
            assert_int_equal(ks_store_get(&view, KS_LITERAL("key/a"), &record).code, KS_OK);
            assert_int_equal(fixture_settle(nodes->at[n].store, record.revision), KS_OK);
            assert_true(record.revision >= floor);
            floor = record.revision;
        }
    }
    assert_int_equal(floor, revision);
}

struct race {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t left;
    size_t by_code[KS_CODE_COUNT];
};

static void count(void *user, const struct ks_store_outcome *outcome)
{
    struct race *race = user;
    pthread_mutex_lock(&race->lock);
    race->by_code[outcome->result.code]++;
    race->left--;
    pthread_cond_signal(&race->changed);
    pthread_mutex_unlock(&race->lock);
}

static void race_wait(struct race *race)
{
    pthread_mutex_lock(&race->lock);
    while (race->left > 0) {
        pthread_cond_wait(&race->changed, &race->lock);
    }
    pthread_mutex_unlock(&race->lock);
}

static void one_of_two_writers_gets_a_conflict(void **state)
{
    struct nodes *nodes = *state;
    struct race race = {
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .left = NODES_MAX};
    struct ks_store_mutation mutation = {
        .compares = {{KS_LITERAL("key/a"), 0}},
        .compare_count = 1,
        .ops = {{KS_LITERAL("key/a"), KS_LITERAL("mine")}},
        .op_count = 1,
    };

    for (size_t i = 0; i < NODES_MAX; i++) {
        ks_store_commit(nodes->at[i].store, &mutation, 0, count, &race);
    }
    race_wait(&race);

    assert_int_equal(race.by_code[KS_OK], 1);
    assert_int_equal(race.by_code[KS_CONFLICT], NODES_MAX - 1);
}

/* Promise 3: the same request at every keystore at once is done once. */
static void a_request_is_done_once_wherever_it_is_retried(void **state)
{
    struct nodes *nodes = *state;
    struct race race = {
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .left = NODES_MAX};
    for (size_t i = 0; i < NODES_MAX; i++) {
        char answer[16];
        char key[16];
        snprintf(answer, sizeof(answer), "answer %zu", i);
        snprintf(key, sizeof(key), "key/%zu", i);
        struct ks_store_mutation mutation = {
            .compares = {{ks_bytes_of(key), 0}},
            .compare_count = 1,
            .ops = {{ks_bytes_of(key), KS_LITERAL("made")}},
            .op_count = 1,
            .request_key = KS_LITERAL("request/1"),
            .request_value = ks_bytes_of(answer),
        };
        ks_store_commit(nodes->at[i].store, &mutation, 0, count, &race);
    }
    race_wait(&race);

    assert_int_equal(race.by_code[KS_OK], 1);
    assert_int_equal(race.by_code[KS_ALREADY_EXISTS], NODES_MAX - 1);
    size_t made = 0;
    for (size_t i = 0; i < NODES_MAX; i++) {
        char key[16];
        snprintf(key, sizeof(key), "key/%zu", i);
        made += strcmp(fixture_read(nodes->at[0].store, key), "made") == 0;
    }
    assert_int_equal(made, 1);
}

static bool lists_two(const struct ks_store_status *status)
{
    return status->listed_count == 2;
}

static bool lists_three(const struct ks_store_status *status)
{
    return status->listed_count == 3;
}

/* [OVER, STRIKING] A dead keystore costs one wait of 1.1 D; then it is struck, and rejoins. */
static void who_is_silent_is_waited_for_once_and_struck(void **state)
{
    struct nodes *nodes = *state;
    node_stop(nodes, 2);

    int64_t begun_ms = fixture_now_ms();
    struct fixture_outcome first = fixture_put(nodes->at[0].store, "key/a", "one", 0);
    int64_t waited_ms = fixture_now_ms() - begun_ms;
    assert_int_equal(first.code, KS_OK);
    assert_in_range(waited_ms, KS_STORE_WINDOW_MS * 11 / 10, KS_STORE_WINDOW_MS * 2);

    node_wait(nodes, 0, lists_two);
    begun_ms = fixture_now_ms();
    assert_int_equal(fixture_put(nodes->at[0].store, "key/b", "two", 0).code, KS_OK);
    assert_in_range(fixture_now_ms() - begun_ms, 0, KS_STORE_WINDOW_MS / 2);

    node_start(nodes, 2);
    node_wait(nodes, 0, lists_three);
    assert_string_equal(fixture_read(nodes->at[2].store, "key/b"), "two");
}

static int64_t newest_under(const struct ks_store_view *view, const char *prefix)
{
    int64_t newest = 0;
    uint64_t count;
    assert_int_equal(ks_store_prefix(view, ks_bytes_of(prefix), &newest, &count).code, KS_OK);
    return newest;
}

static void note_result(void *user, ks_result result)
{
    *(ks_code *)user = result.code;
}

/*
 * B's mutation waits for a keystore that has fallen silent. What A's absences and lists rest on is
 * settled all the time: its answers go out at once.
 */
static void an_absence_does_not_wait_for_another_accounts_mutation(void **state)
{
    struct nodes *nodes = *state;
    struct race race = {
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .left = 1};
    struct fixture_outcome mine = fixture_put(nodes->at[0].store, "key/A/1", "mine", 0);
    assert_int_equal(mine.code, KS_OK);
    node_stop(nodes, 2);
    const struct ks_store_mutation theirs = {.ops = {{KS_LITERAL("key/B/1"), KS_LITERAL("theirs")}},
                                             .op_count = 1};
    int64_t begun_ms = fixture_now_ms();
    ks_store_commit(nodes->at[0].store, &theirs, 0, count, &race);
    while (strcmp(fixture_read(nodes->at[0].store, "key/B/1"), "theirs") != 0) {
        fixture_sleep_ms(1);
    }

    KS_STORE_VIEW_AUTO view = fixture_serve(nodes->at[0].store);
    ks_code answered = KS_CODE_COUNT;
    assert_int_equal(newest_under(&view, "key/A/"), mine.revision);
    ks_store_settle(nodes->at[0].store, newest_under(&view, "key/A/"), note_result, &answered);
    assert_int_equal(answered, KS_OK); /* within the call */
    assert_int_equal(fixture_settle(nodes->at[0].store, newest_under(&view, "key/B/")), KS_OK);
    assert_in_range(fixture_now_ms() - begun_ms, KS_STORE_WINDOW_MS, KS_STORE_WINDOW_MS * 2);
    race_wait(&race);
    assert_int_equal(race.by_code[KS_OK], 1);
}

/* Its heartbeats say it, too: who only lost its connections to the others is not struck. */
static void a_mute_keystore_confirms_by_its_heartbeats(void **state)
{
    struct nodes *nodes = *state;
    nodes->at[2].is_mute = true;

    int64_t begun_ms = fixture_now_ms();
    assert_int_equal(fixture_put(nodes->at[0].store, "key/a", "one", 0).code, KS_OK);

    assert_in_range(fixture_now_ms() - begun_ms, 0, KS_STORE_WINDOW_MS);
    struct ks_store_status status;
    ks_store_get_status(nodes->at[0].store, &status);
    assert_int_equal(status.listed_count, 3);
}

/* Commits one mutation as a client would: with the same request until the answer is known. */
static struct fixture_outcome commit_until_known(struct nodes *nodes, size_t *at, unsigned number)
{
    char key[24];
    char request[24];
    snprintf(key, sizeof(key), "made/%u", number);
    snprintf(request, sizeof(request), "request/%u", number);
    struct ks_store_mutation mutation = {
        .compares = {{ks_bytes_of(key), 0}},
        .compare_count = 1,
        .ops = {{ks_bytes_of(key), KS_LITERAL("made")}},
        .op_count = 1,
        .request_key = ks_bytes_of(request),
        .request_value = ks_bytes_of(request),
    };
    struct fixture_outcome outcome = fixture_commit(nodes->at[*at].store, &mutation);
    while (outcome.code == KS_UNAVAILABLE) {
        *at = (*at + 1) % NODES_MAX;
        outcome = fixture_commit(nodes->at[*at].store, &mutation);
    }
    return outcome;
}

/* Commits for a while and gives the longest time that one took. */
static int64_t commit_many(struct nodes *nodes, unsigned first, unsigned count_max)
{
    int64_t longest_ms = 0;
    size_t at = 0;
    for (unsigned i = first; i < first + count_max; i++) {
        int64_t begun_ms = fixture_now_ms();
        struct fixture_outcome outcome = commit_until_known(nodes, &at, i);
        int64_t took_ms = fixture_now_ms() - begun_ms;
        assert_true(outcome.code == KS_OK || outcome.code == KS_ALREADY_EXISTS);
        longest_ms = took_ms > longest_ms ? took_ms : longest_ms;
    }
    return longest_ms;
}

static void assert_made(struct nodes *nodes, unsigned made)
{
    for (size_t n = 0; n < NODES_MAX; n++) {
        for (unsigned i = 0; i < made; i++) {
            char key[24];
            snprintf(key, sizeof(key), "made/%u", i);
            assert_string_equal(fixture_read(nodes->at[n].store, key), "made");
        }
    }
}

/* Promise 1, and no serving gap: windows outlast an election. */
static void loses_nothing_when_the_leader_dies(void **state)
{
    struct nodes *nodes = *state;
    commit_many(nodes, 0, 20);
    size_t leader = etcd_fixture_leader(cell);

    etcd_fixture_kill(cell, leader);
    int64_t longest_ms = commit_many(nodes, 20, 20);
    etcd_fixture_restart(cell, leader, true);

    print_message("longest commit over the leader's death: %lld ms\n", (long long)longest_ms);
    assert_in_range(longest_ms, 0, 10000);
    assert_made(nodes, 40);
}

/* A member that hangs with open connections is worse than a dead one. */
static void goes_on_when_a_member_is_paused(void **state)
{
    struct nodes *nodes = *state;
    commit_many(nodes, 0, 5);

    for (size_t member = 0; member < NODES_MAX; member++) {
        etcd_fixture_pause(cell, member);
        int64_t longest_ms = commit_many(nodes, 5 + 10 * (unsigned)member, 10);
        print_message("longest commit with member %zu paused: %lld ms\n", member,
                      (long long)longest_ms);
        etcd_fixture_resume(cell, member);
        etcd_fixture_wait_ready(cell);
        assert_in_range(longest_ms, 0, 10000);
    }
    assert_made(nodes, 35);
}

/* With no majority nothing is acknowledged, windows end, and nobody serves. */
static void serves_nothing_without_a_majority(void **state)
{
    struct nodes *nodes = *state;
    assert_int_equal(fixture_put(nodes->at[0].store, "key/a", "one", 0).code, KS_OK);
    etcd_fixture_pause(cell, 1);
    etcd_fixture_pause(cell, 2);

    fixture_sleep_ms(KS_STORE_WINDOW_MS + 100);
    for (size_t n = 0; n < NODES_MAX; n++) {
        KS_STORE_VIEW_AUTO view = {0};
        assert_int_equal(ks_store_serve(nodes->at[n].store, &view).code, KS_UNAVAILABLE);
        assert_int_equal(ks_store_peek(nodes->at[n].store, &view).code, KS_OK);
    }
    struct ks_store_mutation mutation = {.ops = {{KS_LITERAL("key/b"), KS_LITERAL("x")}},
                                         .op_count = 1};
    struct race race = {
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .left = 1};
    int64_t deadline_ns = ks_clock_boot_ns(&ks_clock_system) + KS_NS_PER_S;
    ks_store_commit(nodes->at[0].store, &mutation, deadline_ns, count, &race);
    race_wait(&race);
    assert_int_equal(race.by_code[KS_UNAVAILABLE], 1);

    etcd_fixture_resume(cell, 1);
    etcd_fixture_resume(cell, 2);
    assert_string_equal(fixture_read(nodes->at[0].store, "key/a"), "one");
}

static int start_cell(void **state)
{
    (void)state;
    const struct etcd_fixture_options options = {.member_count = 3};
    cell = etcd_fixture_start(&options);
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
        TEST(nobody_serves_what_an_acknowledged_mutation_replaced),
        TEST(nobody_reads_backwards),
        TEST(one_of_two_writers_gets_a_conflict),
        TEST(a_request_is_done_once_wherever_it_is_retried),
        TEST(who_is_silent_is_waited_for_once_and_struck),
        TEST(an_absence_does_not_wait_for_another_accounts_mutation),
        TEST(a_mute_keystore_confirms_by_its_heartbeats),
        TEST(loses_nothing_when_the_leader_dies),
        TEST(goes_on_when_a_member_is_paused),
        TEST(serves_nothing_without_a_majority),
    };
    return cmocka_run_group_tests(tests, start_cell, stop_cell);
}
