/* Both ends over a real connection: a feed whose owner is the test, and a follower. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/follow/feed.h"
#include "pkg/follow/follower.h"
#include "pkg/rpc/rpc_fixture.h"

#define METHOD    "/test.Service/WatchIdentities"
#define PARTS_MAX 64U

/* The owner's records: one account, whose value is the revision's digits. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the three below */
static struct ks_follow_position plane;
static ks_code serving;
static bool refusing;

static struct ks_feed *feed;
static struct ks_rpc_method watch;
static struct ks_rpc_server *server;
static struct ks_follower *follower;

/* The follower's copy; written on its loop, read once the gauge says so. */
static struct ks_follow_position copy;
static struct seen {
    bool snapshot;
    struct ks_follow_position position;
    char value[32];
} seen[PARTS_MAX];
static struct gauge parts;
static struct gauge opened;
static struct gauge ended;
static ks_code takes; /* what the follower answers to a part */

static ks_result admit(void *user, struct ks_rpc_stream *stream)
{
    (void)user;
    (void)stream;
    pthread_mutex_lock(&lock);
    ks_result result = refusing ? KS_RES(UNAVAILABLE) : KS_RES(OK);
    pthread_mutex_unlock(&lock);
    return result;
}

static ks_result serve(void *user, const struct ks_follow_position *had,
                       struct ks_feed_writer *writer, struct ks_follow_position *now)
{
    (void)user;
    char value[32];
    pthread_mutex_lock(&lock);
    *now = plane;
    ks_result result = (ks_result){serving};
    pthread_mutex_unlock(&lock);
    bool has_all = ks_follow_same_epoch(had, now) && had->revision == now->revision;
    if (ks_failed(result) || has_all) {
        return result;
    }
    snprintf(value, sizeof(value), "%lld", (long long)now->revision);
    ks_feed_begin(writer, now);
    return ks_feed_add(writer, KS_LITERAL("account/1"), ks_bytes_of(value), now->revision);
}

static void stand_at(const char *epoch, int64_t revision)
{
    pthread_mutex_lock(&lock);
    plane = (struct ks_follow_position){.revision = revision};
    snprintf(plane.epoch, sizeof(plane.epoch), "%s", epoch);
    pthread_mutex_unlock(&lock);
}

static void publish(const char *epoch, int64_t revision)
{
    KS_BUFFER_AUTO records = {.len_max = KS_FEED_RECORDS_MAX};
    stand_at(epoch, revision);
    assert_int_equal(
        ks_feed_pack(&records, KS_LITERAL("account/1"), KS_LITERAL("new"), revision).code, KS_OK);
    ks_feed_publish(feed, &plane, ks_buffer_bytes(&records));
}

static void on_open(void *user, struct ks_follow_position *position)
{
    (void)user;
    *position = copy;
    gauge_raise(&opened);
}

static ks_result on_part(void *user, const struct ks_follow_part *part)
{
    (void)user;
    size_t index = (size_t)gauge_read(&parts);
    assert_true(index < PARTS_MAX);
    assert_true(part->whole);
    assert_int_equal(part->record_count, 1);
    seen[index] = (struct seen){.snapshot = part->snapshot, .position = part->position};
    memcpy(seen[index].value, part->records[0].value.ptr, part->records[0].value.len);
    if (takes == KS_OK) {
        copy = part->position;
    }
    ks_result result = (ks_result){takes};
    takes = KS_OK;
    gauge_raise(&parts);
    return result;
}

static void on_end(void *user)
{
    (void)user;
    gauge_raise(&ended);
}

static void start_follower(void)
{
    static char address[32];
    snprintf(address, sizeof(address), "127.0.0.1:%d", ks_rpc_server_port(server));
    const struct ks_follower_options options = {
        .loop = fixture_client_loop,
        .method = METHOD,
        .address = address,
        .server_spiffe = "spiffe://test/server/",
        .tls = fixture_tls("root", "client"),
        .on_open = on_open,
        .on_part = on_part,
        .on_end = on_end,
    };
    assert_int_equal(ks_follower_new(&options, &follower).code, KS_OK);
}

static int set_up(void **state)
{
    (void)state;
    const struct ks_feed_options options = {.on_open = admit, .serve = serve};
    parts = opened = ended = (struct gauge)GAUGE_INIT;
    copy = (struct ks_follow_position){.revision = 0};
    memset(seen, 0, sizeof(seen));
    serving = takes = KS_OK;
    refusing = false;
    stand_at("e", 5);
    feed = ks_feed_new(&options);
    watch =
        (struct ks_rpc_method){.path = METHOD, .stream = &ks_feed_stream_callbacks, .user = feed};
    server = fixture_server((struct ks_rpc_server_options){.methods = &watch, .method_count = 1});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_follower_free(follower);
    ks_rpc_server_free(server);
    ks_feed_free(feed);
    return 0;
}

static void assert_seen(int index, bool snapshot, const char *epoch, int64_t revision)
{
    gauge_await(&parts, index + 1);
    assert_int_equal(seen[index].snapshot, snapshot);
    assert_string_equal(seen[index].position.epoch, epoch);
    assert_int_equal(seen[index].position.revision, revision);
}

static void a_follower_gets_everything_and_then_what_changes(void **state)
{
    (void)state;
    start_follower();
    assert_seen(0, true, "e", 5);
    assert_string_equal(seen[0].value, "5");
    assert_true(ks_feed_has_followers(feed));

    publish("e", 6);
    assert_seen(1, false, "e", 6);
    assert_string_equal(seen[1].value, "new");
}

/* The snapshot may have the change already: it was taken after the change, and told before it. */
static void a_change_that_a_follower_has_is_not_told_again(void **state)
{
    (void)state;
    start_follower();
    assert_seen(0, true, "e", 5);

    publish("e", 5);
    publish("e", 6);

    assert_seen(1, false, "e", 6);
}

static void a_follower_that_was_cut_off_comes_back_for_what_it_lacks(void **state)
{
    (void)state;
    start_follower();
    assert_seen(0, true, "e", 5);

    ks_feed_cut_off(feed, "the test says so");
    gauge_await(&ended, 1);
    gauge_await(&opened, 2);
    stand_at("e", 7);
    ks_feed_renew(feed);
    publish("e", 8);

    gauge_await(&parts, 2);
    assert_true(seen[1].position.revision >= 7);
    gauge_await(&opened, 2);
}

/* As after a restore of the control plane: the revision is lower, and still it counts. */
static void another_epoch_replaces_the_copy(void **state)
{
    (void)state;
    start_follower();
    assert_seen(0, true, "e", 5);

    stand_at("f", 2);
    ks_feed_renew(feed);
    assert_seen(1, true, "f", 2);
    assert_int_equal(gauge_read(&ended), 0);

    publish("f", 3);
    assert_seen(2, false, "f", 3);
}

static void a_change_of_another_epoch_makes_followers_start_over(void **state)
{
    (void)state;
    start_follower();
    assert_seen(0, true, "e", 5);

    publish("f", 6);

    assert_seen(1, true, "f", 6);
    assert_int_equal(gauge_read(&ended), 1);
}

static void a_copy_that_is_ahead_of_the_feed_gets_a_snapshot(void **state)
{
    (void)state;
    copy = (struct ks_follow_position){.epoch = "e", .revision = 9};
    start_follower();

    assert_seen(0, true, "e", 5);
    assert_int_equal(gauge_read(&ended), 0);
    publish("e", 6);
    assert_seen(1, false, "e", 6);
}

static void a_part_that_is_not_taken_is_asked_for_again(void **state)
{
    (void)state;
    takes = KS_LIMIT_EXCEEDED;
    start_follower();

    assert_seen(1, true, "e", 5);
    assert_int_equal(gauge_read(&ended), 1);
}

static void a_feed_that_has_nothing_yet_is_asked_again(void **state)
{
    (void)state;
    serving = KS_UNAVAILABLE;
    start_follower();
    gauge_await(&ended, 2);
    assert_int_equal(gauge_read(&parts), 0);

    pthread_mutex_lock(&lock);
    serving = KS_OK;
    refusing = true;
    pthread_mutex_unlock(&lock);
    gauge_await(&ended, 4);
    assert_int_equal(gauge_read(&parts), 0);

    pthread_mutex_lock(&lock);
    refusing = false;
    pthread_mutex_unlock(&lock);
    assert_seen(0, true, "e", 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_follower_gets_everything_and_then_what_changes),
        TEST(a_change_that_a_follower_has_is_not_told_again),
        TEST(a_follower_that_was_cut_off_comes_back_for_what_it_lacks),
        TEST(another_epoch_replaces_the_copy),
        TEST(a_change_of_another_epoch_makes_followers_start_over),
        TEST(a_copy_that_is_ahead_of_the_feed_gets_a_snapshot),
        TEST(a_part_that_is_not_taken_is_asked_for_again),
        TEST(a_feed_that_has_nothing_yet_is_asked_again),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
