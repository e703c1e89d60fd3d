/* Both ends over a real connection: a feed of a real mirror, and copies that follow it. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/follow/feed.h"
#include "pkg/follow/follower.h"
#include "pkg/mirror/mirror.h"
#include "pkg/rpc/rpc_fixture.h"
#include "pkg/signedset/signedset_fixture.h"
#include "tests/harness/folder.h"

#define METHOD         "/test.Service/WatchIdentities"
#define RECORDS_MAX    6000 /* keys are account/0 to account/5999 */
#define CHUNK_LEN      2048U
#define QUEUE_BYTES    65536U
#define TOMBSTONES_MAX 4U
#define FRONTENDS      100
#define MANY           5000 /* records: 50 times what the queue takes */
#define SLOW_CHANGES   200

/* ---- The plane ---- */

static struct fixture_signer *signer;
static char *folder;
static struct ks_mirror_db *mirror;
static struct ks_rpc_loop *feed_loop;
static struct ks_feed *feed;
static struct ks_rpc_method watch;
static struct ks_rpc_server *server;
static struct ks_rpc_channel *channel;
static atomic_bool refusing;
static uint64_t number;
static const char *epoch;

static ks_result admit(void *user, struct ks_rpc_stream *stream)
{
    (void)user;
    (void)stream;
    return atomic_load(&refusing) ? KS_RES(UNAVAILABLE) : KS_RES(OK);
}

static ks_result seal(void *user, const struct ks_set_sum *sum, struct ks_head *ret_head,
                      struct ks_buffer *ret_bytes)
{
    struct ks_head head = {.revision = *(const int64_t *)user, .number = ++number};
    (void)snprintf(head.epoch, sizeof(head.epoch), "%s", epoch);
    fixture_sign_sum(signer, sum, &head, ret_bytes);
    *ret_head = head;
    return KS_RES(OK);
}

static void tell(void *argument)
{
    ks_feed_changed(argument);
}

/* Changes `count` records from `from` on, in one revision; value NULL: deletes them. */
static void change(int from, int count, const char *value, int64_t revision)
{
    static struct ks_mirror_record records[RECORDS_MAX];
    static char keys[RECORDS_MAX][16];
    for (int i = 0; i < count; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "account/%d", from + i);
        records[i] = (struct ks_mirror_record){ks_bytes_of(keys[i]), ks_bytes_of(value), revision};
    }
    assert_int_equal(ks_mirror_db_change(mirror, records, (size_t)count, seal, &revision).code,
                     KS_OK);
    ks_rpc_loop_post(feed_loop, tell, feed);
}

static int set_up(void **state)
{
    (void)state;
    folder = test_folder_new("follow");
    number = 0;
    epoch = "e";
    atomic_store(&refusing, false);
    const struct ks_mirror_options files = {.folder = folder, .tombstones_max = TOMBSTONES_MAX};
    assert_int_equal(ks_mirror_db_open(&files, &mirror).code, KS_OK);
    feed_loop = ks_rpc_loop_new("feed");
    const struct ks_feed_options options = {
        .loop = feed_loop, .mirror = mirror, .chunk_len = CHUNK_LEN, .on_open = admit};
    feed = ks_feed_new(&options);
    watch =
        (struct ks_rpc_method){.path = METHOD, .stream = &ks_feed_stream_callbacks, .user = feed};
    server = fixture_server(
        (struct ks_rpc_server_options){.methods = &watch,
                                       .method_count = 1,
                                       .streams_max = 2 * KS_FEED_FOLLOWERS_MAX,
                                       .connection_streams_max = 2 * KS_FEED_FOLLOWERS_MAX,
                                       .stream_queue_bytes_max = QUEUE_BYTES});
    channel = fixture_channel(server, "client");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_rpc_channel_free(channel);
    ks_rpc_server_free(server);
    ks_rpc_loop_free(feed_loop);
    ks_feed_free(feed);
    ks_mirror_db_close(mirror);
    test_folder_remove(folder);
    ks_free(folder);
    return 0;
}

/* ---- A copy that follows ---- */

struct copy {
    struct ks_rpc_stream *stream; /* a ref */
    struct ks_following following;
    struct ks_crypto *crypto;
    struct ks_head_verifier *verifier;
    struct ks_set_sum sum;
    struct ks_set_leaf leaves[RECORDS_MAX];
    bool present[RECORDS_MAX];
    struct ks_follow_position position;
    bool snapshot;        /* the last transfer was one */
    pthread_mutex_t lock; /* guards all above while a stream stands */
    struct gauge records; /* that have come, tombstones too */
    struct gauge transfers;
    struct gauge messages;
    struct gauge closed;
    bool pausing; /* after the next message */
};

static void apply(struct copy *copy, const struct ks_follow_record *record)
{
    static const char prefix[] = "account/";
    char key[32] = "";
    char *end;
    memcpy(key, record->key.ptr, record->key.len < 31 ? record->key.len : 31);
    assert_memory_equal(key, prefix, strlen(prefix));
    long at = strtol(key + strlen(prefix), &end, 10);
    assert_true(*end == '\0' && at >= 0 && at < RECORDS_MAX);
    if (copy->present[at]) {
        assert_int_equal(ks_set_remove(copy->crypto, &copy->sum, &copy->leaves[at]).code, KS_OK);
    }
    copy->present[at] = record->value.ptr != NULL;
    if (record->value.ptr) {
        assert_int_equal(ks_set_leaf(copy->crypto, record->key, record->value, record->revision,
                                     &copy->leaves[at])
                             .code,
                         KS_OK);
        assert_int_equal(ks_set_add(copy->crypto, &copy->sum, &copy->leaves[at]).code, KS_OK);
    }
    gauge_raise(&copy->records);
}

/* Whatever has come, the state is that of the head which comes with the last part. */
static void on_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    struct copy *copy = user;
    KS_ARENA_AUTO arena = {.len_max = 1U << 24};
    struct ks_follow_part part;
    struct ks_head head;
    pthread_mutex_lock(&copy->lock);
    assert_int_equal(ks_following_read(&copy->following, message, &arena, &part).code, KS_OK);
    if (part.begin && part.snapshot) {
        memset(copy->present, 0, sizeof(copy->present));
        copy->sum = (struct ks_set_sum){0};
    }
    for (size_t i = 0; i < part.record_count; i++) {
        apply(copy, &part.records[i]);
    }
    if (copy->pausing) {
        copy->pausing = false;
        ks_rpc_stream_pause(stream);
    }
    if (part.whole) {
        assert_int_equal(ks_head_open(copy->verifier, part.head, &head).code, KS_OK);
        assert_true(ks_head_is_of(copy->crypto, &head, &copy->sum));
        copy->position =
            (struct ks_follow_position){.revision = head.revision, .number = head.number};
        memcpy(copy->position.epoch, head.epoch, sizeof(head.epoch));
        memcpy(copy->position.history, head.history, sizeof(head.history));
        copy->snapshot = part.snapshot;
    }
    pthread_mutex_unlock(&copy->lock);
    gauge_raise(&copy->messages); /* first: who waits for a transfer counts its messages */
    if (part.whole) {
        gauge_raise(&copy->transfers);
    }
}

static void on_close(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)stream;
    (void)error;
    gauge_raise(&((struct copy *)user)->closed);
}

static const struct ks_rpc_stream_callbacks callbacks = {.on_message = on_message,
                                                         .on_close = on_close};

static struct copy *copy_new(void)
{
    struct copy *copy = ks_alloc(1, sizeof(*copy));
    pthread_mutex_init(&copy->lock, NULL);
    copy->crypto = ks_crypto_new();
    assert_int_equal(ks_head_verifier_new(fixture_signer_root(signer), &copy->verifier).code,
                     KS_OK);
    return copy;
}

/* Opens a stream and asks for what the copy lacks. */
static void follow(struct copy *copy)
{
    KS_BUFFER_AUTO request = {.len_max = KS_FOLLOWING_REQUEST_MAX};
    copy->records = copy->transfers = copy->messages = copy->closed = (struct gauge)GAUGE_INIT;
    ks_following_open(&copy->following, &copy->position, &request);
    const struct ks_rpc_stream_options options = {
        .method = METHOD, .callbacks = &callbacks, .user = copy, .ret_ref = &copy->stream};
    (void)ks_rpc_stream_open(channel, &options);
    assert_int_equal(ks_rpc_stream_send(copy->stream, ks_buffer_bytes(&request)).code, KS_OK);
}

static void leave(struct copy *copy)
{
    ks_rpc_stream_cancel(copy->stream);
    gauge_await(&copy->closed, 1);
    ks_rpc_stream_unref(copy->stream);
    (void)ks_following_close(&copy->following);
}

static void copy_free(struct copy *copy)
{
    pthread_mutex_destroy(&copy->lock);
    ks_crypto_free(copy->crypto);
    ks_head_verifier_free(copy->verifier);
    ks_free(copy);
}

static struct ks_follow_position position_of(struct copy *copy)
{
    pthread_mutex_lock(&copy->lock);
    struct ks_follow_position position = copy->position;
    pthread_mutex_unlock(&copy->lock);
    return position;
}

static bool was_snapshot(struct copy *copy)
{
    pthread_mutex_lock(&copy->lock);
    bool snapshot = copy->snapshot;
    pthread_mutex_unlock(&copy->lock);
    return snapshot;
}

static bool has(struct copy *copy, size_t at)
{
    pthread_mutex_lock(&copy->lock);
    bool present = copy->present[at];
    pthread_mutex_unlock(&copy->lock);
    return present;
}

static uint64_t count_of(struct copy *copy)
{
    pthread_mutex_lock(&copy->lock);
    uint64_t count = copy->sum.count;
    pthread_mutex_unlock(&copy->lock);
    return count;
}

static void a_copy_gets_everything_and_then_what_changes(void **state)
{
    (void)state;
    struct copy *copy = copy_new();
    change(0, 3, "one", 5);
    follow(copy);
    gauge_await(&copy->transfers, 1);
    assert_true(was_snapshot(copy));
    assert_int_equal(gauge_read(&copy->records), 3);

    change(1, 1, "two", 6);
    gauge_await(&copy->transfers, 2);
    assert_false(was_snapshot(copy));
    assert_int_equal(gauge_read(&copy->records), 4);
    change(2, 1, NULL, 7);
    gauge_await(&copy->transfers, 3);
    assert_false(has(copy, 2));
    assert_int_equal(position_of(copy).revision, 7);

    /* Control says that nothing has changed. */
    change(0, 0, NULL, 7);
    gauge_await(&copy->transfers, 4);
    assert_int_equal(gauge_read(&copy->records), 5);
    leave(copy);
    copy_free(copy);
}

/* Before there is anything, a follower waits; it is no failure. */
static void an_empty_mirror_says_nothing_yet(void **state)
{
    (void)state;
    struct copy *copy = copy_new();
    follow(copy);
    test_sleep_ms(50);
    assert_int_equal(gauge_read(&copy->messages), 0);
    assert_int_equal(gauge_read(&copy->closed), 0);

    change(0, 0, NULL, 1);

    gauge_await(&copy->transfers, 1);
    assert_true(was_snapshot(copy));
    leave(copy);
    copy_free(copy);
}

/* store.md 6: it was a full snapshot, and then one for each frontend. */
static void a_change_missed_in_a_blip_costs_the_difference_only(void **state)
{
    (void)state;
    static struct copy *copies[FRONTENDS];
    change(0, MANY, "one", 5);
    copies[0] = copy_new();
    follow(copies[0]);
    gauge_await(&copies[0]->transfers, 1);
    leave(copies[0]);
    for (int i = 1; i < FRONTENDS; i++) {
        copies[i] = copy_new();
        copies[i]->sum = copies[0]->sum;
        copies[i]->position = copies[0]->position;
        memcpy(copies[i]->leaves, copies[0]->leaves, sizeof(copies[0]->leaves));
        memcpy(copies[i]->present, copies[0]->present, sizeof(copies[0]->present));
    }
    change(7, 1, "two", 6);
    change(8, 1, NULL, 7);

    for (int i = 0; i < FRONTENDS; i++) {
        follow(copies[i]);
    }

    for (int i = 0; i < FRONTENDS; i++) {
        gauge_await(&copies[i]->transfers, 1);
        assert_false(was_snapshot(copies[i]));
        assert_int_equal(gauge_read(&copies[i]->records), 2);
        assert_int_equal(gauge_read(&copies[i]->messages), 1);
        assert_int_equal(position_of(copies[i]).revision, 7);
        leave(copies[i]);
        copy_free(copies[i]);
    }
}

/* The same epoch and revisions say nothing, if they are of another history. */
static void one_of_another_history_gets_everything(void **state)
{
    (void)state;
    struct copy *copy = copy_new();
    change(0, 3, "one", 5);
    follow(copy);
    gauge_await(&copy->transfers, 1);
    leave(copy);
    change(1, 1, "two", 6);
    (void)snprintf(copy->position.history, sizeof(copy->position.history), "another");

    follow(copy);

    gauge_await(&copy->transfers, 1);
    assert_true(was_snapshot(copy));
    assert_int_equal(gauge_read(&copy->records), 3);
    leave(copy);
    copy_free(copy);
}

/* A queue took all of a snapshot once; what was larger was refused for good. */
static void a_snapshot_has_no_limit(void **state)
{
    (void)state;
    struct copy *copy = copy_new();
    change(0, MANY, "0123456789012345678901234567890123456789", 5);

    follow(copy);

    gauge_await(&copy->transfers, 1);
    assert_int_equal(gauge_read(&copy->records), MANY);
    assert_true(gauge_read(&copy->messages) > (int)(4 * QUEUE_BYTES / CHUNK_LEN));
    leave(copy);
    copy_free(copy);
}

static void resume(void *argument)
{
    ks_rpc_stream_resume(argument);
}

/* It was cut off, and came back for everything. Nothing waits for it either. */
static void one_that_reads_slowly_falls_behind_and_catches_up(void **state)
{
    (void)state;
    struct copy *slow = copy_new();
    struct copy *fast = copy_new();
    static char large[150000];
    memset(large, 'v', sizeof(large) - 1);
    change(0, 20, "one", 5);
    slow->pausing = true;
    follow(slow);
    gauge_await(&slow->messages, 1);
    follow(fast);
    gauge_await(&fast->transfers, 1);

    for (int i = 0; i < SLOW_CHANGES; i++) {
        change(i % 20, 1, large, 6 + i);
        gauge_await(&fast->transfers, 2 + i);
    }
    ks_rpc_loop_post(fixture_client_loop, resume, slow->stream);
    await_true(position_of(slow).revision == 5 + SLOW_CHANGES);

    /* Of what it missed in the end it got the last state only. */
    assert_true(gauge_read(&slow->records) < SLOW_CHANGES);
    assert_int_equal(gauge_read(&slow->closed), 0);
    leave(slow);
    leave(fast);
    copy_free(slow);
    copy_free(fast);
}

/* Each state that is whole is one of control's, whatever has changed on the way (on_message). */
static void what_changes_while_a_snapshot_goes_out_comes_right(void **state)
{
    (void)state;
    struct copy *copy = copy_new();
    change(0, MANY, "one", 5);
    copy->pausing = true;
    follow(copy);
    gauge_await(&copy->messages, 1);

    change(0, 3, "two", 6);       /* was sent */
    change(MANY - 3, 2, NULL, 7); /* was not */
    change(4, 1, NULL, 8);
    change(MANY, 2, "new", 9);
    ks_rpc_loop_post(fixture_client_loop, resume, copy->stream);

    await_true(position_of(copy).revision == 9);
    assert_int_equal(count_of(copy), MANY - 1);
    leave(copy);
    copy_free(copy);
}

/* Tombstones that a transfer would have to bring are gone before it is whole: it begins anew. */
static void a_transfer_that_was_overtaken_begins_anew(void **state)
{
    (void)state;
    struct copy *copy = copy_new();
    change(0, MANY, "one", 5);
    copy->pausing = true;
    follow(copy);
    gauge_await(&copy->messages, 1);

    for (int i = 0; i < 2 * (int)TOMBSTONES_MAX; i++) {
        change(i, 1, NULL, 6 + i);
    }
    ks_rpc_loop_post(fixture_client_loop, resume, copy->stream);

    await_true(position_of(copy).revision == 5 + 2 * (int)TOMBSTONES_MAX);
    assert_int_equal(count_of(copy), MANY - 2 * (int)TOMBSTONES_MAX);
    leave(copy);
    copy_free(copy);
}

static void one_that_tombstones_do_not_reach_gets_a_snapshot(void **state)
{
    (void)state;
    struct copy *copy = copy_new();
    change(0, 20, "one", 5);
    follow(copy);
    gauge_await(&copy->transfers, 1);
    leave(copy);
    for (int i = 0; i < 2 * (int)TOMBSTONES_MAX; i++) {
        change(i, 1, NULL, 6 + i);
    }

    follow(copy);

    gauge_await(&copy->transfers, 1);
    assert_true(was_snapshot(copy));
    assert_int_equal(count_of(copy), 12);
    leave(copy);
    copy_free(copy);
}

/* As after a restore of the control plane: the revision is lower, and still it counts. */
static void another_epoch_replaces_the_copy(void **state)
{
    (void)state;
    struct copy *copy = copy_new();
    int64_t revision = 2;
    static const struct ks_mirror_record record = {
        {(const uint8_t *)"account/1", 9}, {(const uint8_t *)"x", 1}, 1};
    change(0, 3, "one", 5);
    follow(copy);
    gauge_await(&copy->transfers, 1);

    epoch = "f";
    assert_int_equal(ks_mirror_db_stage_begin(mirror).code, KS_OK);
    assert_int_equal(ks_mirror_db_stage_add(mirror, &record, 1).code, KS_OK);
    assert_int_equal(ks_mirror_db_stage_finish(mirror, seal, &revision).code, KS_OK);
    ks_rpc_loop_post(feed_loop, tell, feed);

    gauge_await(&copy->transfers, 2);
    assert_true(was_snapshot(copy));
    assert_string_equal(position_of(copy).epoch, "f");
    assert_int_equal(position_of(copy).revision, 2);
    leave(copy);
    copy_free(copy);
}

/* A frontend that knows more than this keystore gets nothing old, and nothing twice. */
static void one_that_is_ahead_is_told_what_comes_after(void **state)
{
    (void)state;
    struct copy *copy = copy_new();
    change(0, 3, "one", 5);
    follow(copy);
    gauge_await(&copy->transfers, 1);
    leave(copy);
    copy->position.number += 2;
    follow(copy);
    test_sleep_ms(50);
    assert_int_equal(gauge_read(&copy->messages), 0);

    change(1, 1, "two", 6);
    change(1, 1, "three", 7);
    change(1, 1, "four", 8);

    await_true(position_of(copy).revision == 8);
    assert_false(was_snapshot(copy));
    leave(copy);
    copy_free(copy);
}

static void a_request_that_makes_no_sense_is_cut_off(void **state)
{
    (void)state;
    static const char long_epoch[] =
        "\x0a\x41"
        "12345678901234567890123456789012345678901234567890123456789012345";
    const ks_bytes bad[] = {KS_LITERAL("\xff"),
                            KS_LITERAL("\x0a\x05"
                                       "abc"),
                            KS_LITERAL("\x0a\x01\xff"), KS_LITERAL(long_epoch)};
    for (size_t i = 0; i < KS_COUNT(bad); i++) {
        struct copy *copy = copy_new();
        copy->records = copy->transfers = copy->messages = copy->closed = (struct gauge)GAUGE_INIT;
        const struct ks_rpc_stream_options options = {
            .method = METHOD, .callbacks = &callbacks, .user = copy, .ret_ref = &copy->stream};
        (void)ks_rpc_stream_open(channel, &options);
        assert_int_equal(ks_rpc_stream_send(copy->stream, bad[i]).code, KS_OK);

        gauge_await(&copy->closed, 1);
        ks_rpc_stream_unref(copy->stream);
        copy_free(copy);
    }
    struct copy *copy = copy_new();
    change(0, 1, "one", 5);
    follow(copy);
    gauge_await(&copy->transfers, 1);
    assert_int_equal(ks_rpc_stream_send(copy->stream, KS_LITERAL("")).code, KS_OK);
    gauge_await(&copy->closed, 1);
    ks_rpc_stream_unref(copy->stream);
    copy_free(copy);
}

/* ---- A follower, which opens streams by itself ---- */

static struct gauge asked;
static struct gauge taken;
static atomic_bool wanted;
static ks_code takes;

static bool want(void *user, struct ks_follow_position *position)
{
    (void)user;
    (void)position;
    gauge_raise(&asked);
    return atomic_load(&wanted);
}

static ks_result take(void *user, const struct ks_follow_part *part)
{
    (void)user;
    assert_true(part->begin);
    ks_result result = (ks_result){takes};
    takes = KS_OK;
    gauge_raise(&taken);
    return result;
}

static void forget(void *user)
{
    (void)user;
}

static void a_follower_asks_again_until_it_has_what_it_wants(void **state)
{
    (void)state;
    char address[32];
    struct ks_follower *follower = NULL;
    asked = taken = (struct gauge)GAUGE_INIT;
    takes = KS_LIMIT_EXCEEDED;
    atomic_store(&wanted, false);
    atomic_store(&refusing, true);
    change(0, 3, "one", 5);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%d", ks_rpc_server_port(server));
    const struct ks_follower_options options = {
        .loop = fixture_client_loop,
        .method = METHOD,
        .address = address,
        .server_spiffe = "spiffe://test/server/",
        .tls = fixture_tls("root", "client"),
        .on_open = want,
        .on_part = take,
        .on_end = forget,
    };
    assert_int_equal(ks_follower_new(&options, &follower).code, KS_OK);

    gauge_await(&asked, 3); /* not yet */
    atomic_store(&wanted, true);
    gauge_await(&asked, 6); /* refused */
    assert_int_equal(gauge_read(&taken), 0);
    atomic_store(&refusing, false);
    gauge_await(&taken, 2); /* the first one was not taken */

    ks_follower_free(follower);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static int group_set_up(void **state)
{
    assert_int_equal(ks_crypto_init(&(struct ks_crypto_options){0}).code, KS_OK);
    signer = fixture_signer_new(NULL, NULL);
    return fixture_setup(state);
}

static int group_tear_down(void **state)
{
    fixture_signer_free(signer);
    return fixture_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_copy_gets_everything_and_then_what_changes),
        TEST(an_empty_mirror_says_nothing_yet),
        TEST(a_change_missed_in_a_blip_costs_the_difference_only),
        TEST(one_of_another_history_gets_everything),
        TEST(a_snapshot_has_no_limit),
        TEST(one_that_reads_slowly_falls_behind_and_catches_up),
        TEST(what_changes_while_a_snapshot_goes_out_comes_right),
        TEST(a_transfer_that_was_overtaken_begins_anew),
        TEST(one_that_tombstones_do_not_reach_gets_a_snapshot),
        TEST(another_epoch_replaces_the_copy),
        TEST(one_that_is_ahead_is_told_what_comes_after),
        TEST(a_request_that_makes_no_sense_is_cut_off),
        TEST(a_follower_asks_again_until_it_has_what_it_wants),
    };
    return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
