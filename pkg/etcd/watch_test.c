/* Watches on one real member; calls are in etcd_test.c. */
#include "pkg/etcd/etcd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "pkg/etcd/client_fixture.h"

/* What a watch brought, checked as it comes. */
struct watching {
    struct ks_etcd_watch *watch;
    int64_t revision; /* of the last event */
    size_t events;
    size_t revisions;
    size_t events_of_revision;
    size_t signs_of_life;
    size_t stop_at; /* events after which it stops itself; 0: never */
    bool is_created;
    bool has_ended;
    enum ks_etcd_cause cause;
    int64_t compact_revision;
};

static void on_message(void *user, const struct ks_etcd_watch_message *message)
{
    struct watching *w = user;
    assert_false(w->has_ended);
    w->is_created = w->is_created || message->created;
    w->signs_of_life += message->event_count == 0 && !message->created ? 1 : 0;
    for (size_t i = 0; i < message->event_count; i++) {
        int64_t revision = message->events[i].kv.mod_revision;
        /* Revisions are whole: one that was left is never met again, nor in the next message. */
        assert_true(i == 0 ? revision > w->revision : revision >= w->revision);
        w->revisions += revision > w->revision ? 1 : 0;
        w->revision = revision;
        w->events++;
    }
    if (w->stop_at > 0 && w->events >= w->stop_at) {
        ks_etcd_watch_stop(w->watch);
        w->watch = NULL;
    }
}

static void on_end(void *user, const struct ks_etcd_watch_end *end)
{
    struct watching *w = user;
    assert_false(w->has_ended);
    w->has_ended = true;
    w->cause = end->cause;
    w->compact_revision = end->compact_revision;
    w->watch = NULL;
}

static struct ks_etcd_watch_options watch_options(struct watching *w, const char *from,
                                                  const char *to, int64_t start_revision)
{
    return (struct ks_etcd_watch_options){
        .from = ks_bytes_of(from),
        .to = ks_bytes_of(to),
        .start_revision = start_revision,
        .on_message = on_message,
        .on_end = on_end,
        .user = w,
    };
}

static void start_watch(struct watching *w, const struct ks_etcd_watch_options *options)
{
    assert_int_equal(ks_etcd_watch_start(client, options, &w->watch).code, KS_OK);
}

static void run_until_ended(const struct watching *w)
{
    int64_t end_ms = now_ms() + PATIENT_MS;
    while (!w->has_ended && now_ms() < end_ms) {
        ks_etcd_run(client, 50);
    }
    assert_true(w->has_ended);
}

static void run_until_created(const struct watching *w)
{
    int64_t end_ms = now_ms() + PATIENT_MS;
    while (!w->is_created && now_ms() < end_ms) {
        ks_etcd_run(client, 50);
    }
    assert_true(w->is_created);
}
#define TXNS           500U
#define EVENTS_PER_TXN 4U

/* Three puts and a delete in one transaction; up to 16 transactions at a time. */
static void write_many(const char *prefix)
{
    char keys[EVENTS_PER_TXN][32];
    struct ks_etcd_op ops[EVENTS_PER_TXN];
    struct ks_etcd_txn txn = {.success = ops, .success_count = EVENTS_PER_TXN};
    for (size_t i = 0; i < EVENTS_PER_TXN; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%s%zu", prefix, i);
        ops[i] = put_op(keys[i], "some value that is not short, as records are not short either");
    }
    size_t done = 0;
    for (size_t started = 0; started < TXNS; started++) {
        struct ks_etcd_call call = {.done = count_done, .user = &done};
        assert_int_equal(ks_etcd_txn(client, &txn, &call).code, KS_OK);
        run_until(&done, started < 16 ? 0 : started - 16);
    }
    run_until(&done, TXNS);
}

/* Live, while the transactions are being written. */
static void a_watch_brings_every_event_in_order_and_revisions_whole(void **state)
{
    (void)state;
    struct watching w = {0};
    struct ks_etcd_watch_options options = watch_options(&w, "t8/", "t80", 0);
    start_watch(&w, &options);
    run_until_created(&w);

    write_many("t8/");
    run_until(&w.events, TXNS * EVENTS_PER_TXN);

    assert_int_equal(w.events, TXNS * EVENTS_PER_TXN);
    assert_int_equal(w.revisions, TXNS);
    assert_false(w.has_ended);
    ks_etcd_watch_stop(w.watch);
}

/* From history, in large messages. */
static void a_watch_brings_what_was_before_it(void **state)
{
    (void)state;
    int64_t before = put("t9/first", "");
    write_many("t9/");
    struct watching w = {0};
    struct ks_etcd_watch_options options = watch_options(&w, "t9/", "t90", before);
    start_watch(&w, &options);

    run_until(&w.events, TXNS * EVENTS_PER_TXN + 1);

    assert_int_equal(w.revisions, TXNS + 1);
    ks_etcd_watch_stop(w.watch);
}

static void an_idle_watch_has_signs_of_life(void **state)
{
    (void)state;
    struct watching w = {0};
    struct ks_etcd_watch_options options = watch_options(&w, "t10/", "t100", 0);
    options.idle_ms = PATIENT_MS;
    start_watch(&w, &options);
    run_until(&w.signs_of_life, 2);
    assert_false(w.has_ended);
    ks_etcd_watch_stop(w.watch);
}

static void a_watch_from_compacted_history_says_where_it_begins(void **state)
{
    (void)state;
    int64_t old = put("t11/a", "1");
    int64_t revision = put("t11/a", "2");
    ks_etcd_answer_unref(ks_etcd_compact_wait(client, revision, NULL));
    struct watching w = {0};
    struct ks_etcd_watch_options options = watch_options(&w, "t11/", "t110", old);
    start_watch(&w, &options);

    run_until_ended(&w);

    assert_int_equal(w.cause, KS_ETCD_COMPACTED);
    assert_int_equal(w.compact_revision, revision);
    assert_int_equal(w.events, 0);
}

static void a_watch_may_stop_itself_and_others(void **state)
{
    (void)state;
    struct watching w = {.stop_at = 3};
    struct watching other = {0};
    int64_t before = put("t12/first", "");
    write_many("t12/");
    struct ks_etcd_watch_options options = watch_options(&w, "t12/", "t120", before);
    struct ks_etcd_watch_options quiet = watch_options(&other, "t13/", "t130", 0);
    start_watch(&w, &options);
    start_watch(&other, &quiet);

    run_until(&w.events, 3);
    ks_etcd_watch_stop(other.watch);
    size_t seen = w.events;
    put("t12/more", "");
    ks_etcd_run(client, 50);

    assert_null(w.watch);
    assert_int_equal(w.events, seen);
    assert_false(w.has_ended || other.has_ended);
}

/* A watch that was stopped gives its place back, if not before the end of the turn. */
static void watches_come_and_go(void **state)
{
    (void)state;
    struct watching w = {0};
    struct ks_etcd_watch_options options = watch_options(&w, "t13/", "t130", 0);
    for (size_t i = 0; i < 3 * KS_ETCD_WATCHES_MAX; i++) {
        start_watch(&w, &options);
        ks_etcd_watch_stop(w.watch);
        ks_etcd_run(client, 0);
    }
    struct ks_etcd_watch *open[KS_ETCD_WATCHES_MAX];
    struct ks_etcd_watch *another;
    for (size_t i = 0; i < KS_ETCD_WATCHES_MAX; i++) {
        assert_int_equal(ks_etcd_watch_start(client, &options, &open[i]).code, KS_OK);
    }
    assert_int_equal(ks_etcd_watch_start(client, &options, &another).code, KS_THROTTLED);
    for (size_t i = 0; i < KS_ETCD_WATCHES_MAX; i++) {
        ks_etcd_watch_stop(open[i]);
    }
}

static void a_silent_member_ends_the_watch_in_time(void **state)
{
    (void)state;
    struct watching w = {0};
    struct ks_etcd_watch_options options = watch_options(&w, "t14/", "t140", 0);
    options.idle_ms = 500;
    start_watch(&w, &options);
    run_until_created(&w);

    etcd_fixture_pause(cell, 0);
    int64_t paused_ms = now_ms();
    run_until_ended(&w);
    int64_t took_ms = now_ms() - paused_ms;
    etcd_fixture_resume(cell, 0);

    assert_int_equal(w.cause, KS_ETCD_ENDED);
    assert_true(took_ms >= 200 && took_ms < 2000);
}

/* Resumed from the revision after the last one, it neither misses nor repeats an event. */
static void a_killed_member_ends_the_watch_which_goes_on_from_there(void **state)
{
    (void)state;
    struct watching w = {0};
    struct ks_etcd_watch_options options = watch_options(&w, "t15/", "t150", 0);
    start_watch(&w, &options);
    run_until_created(&w);
    put("t15/a", "1");
    run_until(&w.events, 1);

    etcd_fixture_kill(cell, 0);
    run_until_ended(&w);
    assert_int_equal(w.cause, KS_ETCD_ENDED);
    etcd_fixture_restart(cell, 0, true);
    put("t15/b", "2");
    put("t15/c", "3");
    struct watching next = {.revision = w.revision};
    struct ks_etcd_watch_options resumed = watch_options(&next, "t15/", "t150", w.revision + 1);
    start_watch(&next, &resumed);
    run_until(&next.events, 2);

    assert_int_equal(next.events, 2);
    ks_etcd_watch_stop(next.watch);
}

static void a_watch_at_an_absent_member_ends(void **state)
{
    (void)state;
    struct watching w = {0};
    struct ks_etcd_watch_options options = watch_options(&w, "t16/", "t160", 0);
    etcd_fixture_kill(cell, 0);
    start_watch(&w, &options);
    assert_false(w.has_ended);
    run_until_ended(&w);
    etcd_fixture_restart(cell, 0, true);
    assert_int_equal(w.cause, KS_ETCD_UNSENT);
}

static void free_ends_what_is_under_way(void **state)
{
    (void)state;
    struct ended ended = {0};
    struct watching w = {0};
    struct watching stopped = {0};
    struct ks_etcd_watch_options options = watch_options(&w, "t19/", "t190", 0);
    struct ks_etcd_watch_options other = watch_options(&stopped, "t19/", "t190", 0);
    put("t19/a", "");
    start_watch(&w, &options);
    start_watch(&stopped, &other);
    start_put(&ended, 0);
    start_put(&ended, 0);
    assert_int_equal(ks_etcd_pending(client), 2);
    ks_etcd_watch_stop(stopped.watch);

    ks_etcd_free(client);
    client = NULL;

    assert_int_equal(ended.count, 2);
    assert_int_equal(ended.cause, KS_ETCD_CLOSED);
    assert_true(ended.may_be_applied);
    assert_int_equal(w.cause, KS_ETCD_CLOSED);
    assert_false(stopped.has_ended);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_client, close_client)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_watch_brings_every_event_in_order_and_revisions_whole),
        TEST(a_watch_brings_what_was_before_it),
        TEST(an_idle_watch_has_signs_of_life),
        TEST(a_watch_from_compacted_history_says_where_it_begins),
        TEST(a_watch_may_stop_itself_and_others),
        TEST(watches_come_and_go),
        TEST(a_silent_member_ends_the_watch_in_time),
        TEST(a_killed_member_ends_the_watch_which_goes_on_from_there),
        TEST(a_watch_at_an_absent_member_ends),
        TEST(free_ends_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, start_cell, stop_cell);
}
