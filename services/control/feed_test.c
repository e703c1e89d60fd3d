/* What regions are told, from the store to a stream; how streams go is pkg/follow's to test. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/base/arena.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/crypto/crypto.h"
#include "pkg/follow/following.h"
#include "pkg/rpc/rpc_fixture.h"
#include "pkg/store/store_fixture.h"
#include "services/control/feed.h"
#include "services/control/signer.h"
#include "tests/harness/certificates.h"

#define TEXT_MAX       512U
#define TOMBSTONES_MAX 4U
#define LARGE_LEN      200000U

/* ---- The control plane ---- */

static char *folder;
static char *mirror_folder;
static atomic_int_fast64_t wall_ms;
static struct ks_clock clock_of_test;
static struct ks_signer *signer;
static struct ks_head_verifier *verifier;
static struct ks_store *store;
static struct ks_control_feed *feed;
static struct ks_rpc_server *server;
static struct ks_rpc_method watch;
static struct ks_rpc_channel *channel;

static int64_t wall(void *user)
{
    (void)user;
    return atomic_load(&wall_ms);
}

static int64_t boot(void *user)
{
    (void)user;
    return ks_clock_boot_ns(&ks_clock_system);
}

static void on_change(void *user, ks_bytes key, ks_bytes value, int64_t revision)
{
    (void)user;
    ks_control_feed_changed(feed, key, value, revision);
}

static void on_applied(void *user, int64_t revision)
{
    (void)user;
    (void)revision;
    ks_control_feed_told(feed);
}

static void start(void)
{
    const struct ks_control_feed_options options = {.folder = mirror_folder,
                                                    .clock = &clock_of_test,
                                                    .signer = signer,
                                                    .tombstones_max = TOMBSTONES_MAX};
    assert_int_equal(ks_control_feed_new(&options, &feed).code, KS_OK);
    const struct ks_store_options of_store = {.engine = KS_STORE_EMBEDDED,
                                              .folder = folder,
                                              .on_applied = on_applied,
                                              .on_change = on_change};
    assert_int_equal(ks_store_new(&of_store, &store).code, KS_OK);
    ks_control_feed_set_store(feed, store);
    watch = (struct ks_rpc_method){.path = KS_CONTROL_FEED_METHOD,
                                   .stream = &ks_feed_stream_callbacks,
                                   .user = ks_control_feed_streams(feed)};
    server = fixture_server((struct ks_rpc_server_options){.methods = &watch, .method_count = 1});
    channel = fixture_channel(server, "client");
}

/* As control ends: what the store says last must not need it. */
static void stop(void)
{
    ks_rpc_channel_free(channel);
    ks_rpc_server_free(server);
    ks_control_feed_close(feed);
    ks_control_feed_changed(feed, KS_LITERAL("account/last"), KS_LITERAL("x"), INT64_MAX - 1);
    ks_control_feed_told(feed);
    ks_control_feed_reloaded(feed);
    ks_store_free(store);
    ks_control_feed_free(feed);
}

static int set_up(void **state)
{
    (void)state;
    folder = fixture_folder("store");
    mirror_folder = fixture_folder("feed");
    clock_of_test = (struct ks_clock){boot, wall, NULL};
    atomic_store(&wall_ms, ks_clock_wall_ms(&ks_clock_system));
    assert_int_equal(
        ks_signer_new(fixture_path("clients.pem"), fixture_path("clients.key"), &signer).code,
        KS_OK);
    start();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stop();
    ks_signer_free(signer);
    fixture_remove(folder);
    fixture_remove(mirror_folder);
    ks_free(folder);
    ks_free(mirror_folder);
    return 0;
}

/* Puts a record, or deletes it (value NULL). Gives the revision. */
static int64_t change(const char *key, const char *value)
{
    const struct ks_store_mutation mutation = {.ops = {{ks_bytes_of(key), ks_bytes_of(value)}},
                                               .op_count = 1};
    struct fixture_outcome outcome = fixture_commit(store, &mutation);
    assert_int_equal(outcome.code, KS_OK);
    return outcome.revision;
}

/* ---- A keystore, which remembers what it was told ---- */

struct heard {
    struct ks_head head; /* of the last transfer */
    bool snapshot;
    size_t record_count;
    char text[TEXT_MAX]; /* "key=value " or "key- " since the stream began */
};

struct keystore {
    struct ks_rpc_stream *stream;
    struct ks_following following;
    struct gauge transfers;
    struct gauge closed;
    struct heard heard; /* guarded by heard_lock */
};

static pthread_mutex_t heard_lock = PTHREAD_MUTEX_INITIALIZER;

/* What it has been told by now: control says how it is also when nothing changes. */
static struct heard now_of(const struct keystore *keystore)
{
    pthread_mutex_lock(&heard_lock);
    struct heard heard = keystore->heard;
    pthread_mutex_unlock(&heard_lock);
    return heard;
}

static void on_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    (void)stream;
    struct keystore *keystore = user;
    KS_ARENA_AUTO arena = {.len_max = 1U << 25};
    struct ks_follow_part part;
    pthread_mutex_lock(&heard_lock);
    assert_int_equal(ks_following_read(&keystore->following, message, &arena, &part).code, KS_OK);
    for (size_t i = 0; i < part.record_count; i++) {
        const struct ks_follow_record *record = &part.records[i];
        size_t len = strlen(keystore->heard.text);
        (void)snprintf(keystore->heard.text + len, TEXT_MAX - len, "%.*s%s%.*s ",
                       (int)record->key.len, (const char *)record->key.ptr,
                       record->value.ptr ? "=" : "-",
                       record->value.len < 20 ? (int)record->value.len : 20,
                       record->value.ptr ? (const char *)record->value.ptr : "");
        keystore->heard.record_count++;
    }
    if (part.whole) {
        struct ks_head head;
        assert_int_equal(ks_head_open(verifier, part.head, &head).code, KS_OK);
        assert_true(head.number > keystore->heard.head.number);
        assert_true(ks_head_follows(&keystore->heard.head, &head));
        keystore->heard.head = head;
        keystore->heard.snapshot = part.snapshot;
        gauge_raise(&keystore->transfers);
    }
    pthread_mutex_unlock(&heard_lock);
}

static void on_close(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)stream;
    (void)error;
    gauge_raise(&((struct keystore *)user)->closed);
}

static const struct ks_rpc_stream_callbacks callbacks = {.on_message = on_message,
                                                         .on_close = on_close};

/* Begins to follow from where it is. */
static void follow(struct keystore *keystore)
{
    KS_BUFFER_AUTO request = {.len_max = KS_FOLLOWING_REQUEST_MAX};
    struct ks_follow_position had = {.revision = keystore->heard.head.revision,
                                     .number = keystore->heard.head.number};
    memcpy(had.epoch, keystore->heard.head.epoch, sizeof(keystore->heard.head.epoch));
    memcpy(had.history, keystore->heard.head.history, sizeof(keystore->heard.head.history));
    keystore->transfers = keystore->closed = (struct gauge)GAUGE_INIT;
    keystore->heard.text[0] = '\0';
    keystore->heard.record_count = 0;
    ks_following_open(&keystore->following, &had, &request);
    const struct ks_rpc_stream_options options = {.method = KS_CONTROL_FEED_METHOD,
                                                  .callbacks = &callbacks,
                                                  .user = keystore,
                                                  .ret_ref = &keystore->stream};
    (void)ks_rpc_stream_open(channel, &options);
    assert_int_equal(ks_rpc_stream_send(keystore->stream, ks_buffer_bytes(&request)).code, KS_OK);
}

static void leave(struct keystore *keystore)
{
    ks_rpc_stream_cancel(keystore->stream);
    gauge_await(&keystore->closed, 1);
    ks_rpc_stream_unref(keystore->stream);
    (void)ks_following_close(&keystore->following);
}

static void await_revision(const struct keystore *keystore, int64_t revision)
{
    await_true(now_of(keystore).head.revision >= revision);
}

static void a_new_keystore_gets_everything_then_what_changes(void **state)
{
    (void)state;
    struct keystore keystore = {.stream = NULL};
    change("account/1", "one");
    change("request/1", "not for regions");
    change("user/1/alice", "alice");
    int64_t last = change("certificate/a0", "good");
    follow(&keystore);
    await_revision(&keystore, last);
    await_true(now_of(&keystore).record_count == 3);
    assert_int_equal(now_of(&keystore).head.count, 3);

    int64_t revoked = change("certificate/a0", "revoked");
    await_revision(&keystore, revoked);
    assert_non_null(strstr(now_of(&keystore).text, "certificate/a0=revoked "));
    int64_t deleted = change("user/1/alice", NULL);
    await_revision(&keystore, deleted);
    assert_non_null(strstr(now_of(&keystore).text, "user/1/alice- "));
    assert_int_equal(now_of(&keystore).head.count, 2);
    assert_false(now_of(&keystore).snapshot);
    leave(&keystore);
}

/* Without it a region could not tell an empty control plane from one that has not spoken yet. */
static void an_empty_control_plane_says_so(void **state)
{
    (void)state;
    struct keystore keystore = {.stream = NULL};

    follow(&keystore);

    gauge_await(&keystore.transfers, 1);
    assert_int_equal(now_of(&keystore).head.count, 0);
    assert_string_not_equal(now_of(&keystore).head.epoch, "");
    leave(&keystore);
}

/* store.md 6: control's own expiry was enough to cost everybody a snapshot. */
static void what_was_missed_is_told_and_no_more(void **state)
{
    (void)state;
    struct keystore keystore = {.stream = NULL};
    int64_t before = 0;
    for (int i = 0; i < 20; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "account/%d", i);
        before = change(key, "one");
    }
    follow(&keystore);
    await_revision(&keystore, before);
    leave(&keystore);

    change("request/1", "x");
    change("account/7", NULL);
    int64_t last = change("user/3/bob", "bob");
    follow(&keystore);

    await_revision(&keystore, last);
    assert_false(now_of(&keystore).snapshot);
    assert_string_equal(now_of(&keystore).text, "account/7- user/3/bob=bob ");
    assert_int_equal(now_of(&keystore).head.count, 20);
    leave(&keystore);
}

/* The store has no tombstones; the mirror has, on its disk. */
static void a_restart_of_control_costs_no_snapshot(void **state)
{
    (void)state;
    struct keystore keystore = {.stream = NULL};
    change("account/1", "one");
    change("account/2", "two");
    int64_t before = change("account/3", "three");
    follow(&keystore);
    await_revision(&keystore, before);
    leave(&keystore);
    struct ks_store_status status;
    ks_store_get_status(store, &status);
    assert_string_equal(now_of(&keystore).head.history, status.keystore_id);
    int64_t since = now_of(&keystore).head.since;
    change("account/2", NULL);
    stop();
    /* What changes while the feed does not listen, as after a crash between store and mirror. */
    store = fixture_embedded(folder);
    change("account/1", NULL);
    int64_t last = change("account/4", "four");
    ks_store_free(store);
    start();

    follow(&keystore);

    await_revision(&keystore, last);
    assert_false(now_of(&keystore).snapshot);
    assert_string_equal(now_of(&keystore).head.history, status.keystore_id);
    assert_int_equal(now_of(&keystore).head.since, since);
    assert_non_null(strstr(now_of(&keystore).text, "account/1- "));
    assert_non_null(strstr(now_of(&keystore).text, "account/2- "));
    assert_non_null(strstr(now_of(&keystore).text, "account/4=four "));
    assert_int_equal(now_of(&keystore).record_count, 3);
    leave(&keystore);
}

static void one_that_was_away_for_too_many_deletions_gets_a_snapshot(void **state)
{
    (void)state;
    struct keystore keystore = {.stream = NULL};
    int64_t last = 0;
    for (unsigned i = 0; i < 3 * TOMBSTONES_MAX; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "account/%u", i);
        last = change(key, "one");
    }
    follow(&keystore);
    await_revision(&keystore, last);
    leave(&keystore);
    for (unsigned i = 0; i < 2 * TOMBSTONES_MAX; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "account/%u", i);
        last = change(key, NULL);
    }
    /* The mirror may be behind the store by a moment. */
    struct keystore other = {.stream = NULL};
    follow(&other);
    await_revision(&other, last);
    leave(&other);

    follow(&keystore);

    await_revision(&keystore, last);
    assert_true(now_of(&keystore).snapshot);
    assert_int_equal(now_of(&keystore).head.count, TOMBSTONES_MAX);
    leave(&keystore);
}

/* A region that hears nothing knows that revocations don't arrive. */
static void control_says_that_nothing_has_changed(void **state)
{
    (void)state;
    struct keystore keystore = {.stream = NULL};
    int64_t revision = change("account/1", "one");
    follow(&keystore);
    await_revision(&keystore, revision);
    int before = gauge_read(&keystore.transfers);
    uint64_t number = now_of(&keystore).head.number;

    gauge_await(&keystore.transfers, before + 1); /* KS_CONTROL_HEAD_PERIOD_MS */

    assert_true(now_of(&keystore).head.number > number);
    assert_int_equal(now_of(&keystore).head.revision, revision);
    leave(&keystore);
}

/* Numbers rise also when the clock goes back: else nobody would hear control any more. */
static void a_clock_that_goes_back_does_not_silence_control(void **state)
{
    (void)state;
    struct keystore keystore = {.stream = NULL};
    int64_t revision = change("account/1", "one");
    follow(&keystore);
    await_revision(&keystore, revision);

    atomic_fetch_sub(&wall_ms, 3600 * 1000);
    revision = change("account/1", "two");

    await_revision(&keystore, revision); /* on_message compares numbers */
    leave(&keystore);
    stop();
    start();
    follow(&keystore);
    revision = change("account/1", "three");
    await_revision(&keystore, revision);
    leave(&keystore);
}

/* Over months the signer's certificate is made anew; who was away for longer reads old and new. */
static void heads_of_all_times_verify(void **state)
{
    (void)state;
    struct keystore keystore = {.stream = NULL};
    follow(&keystore);
    for (int i = 0; i < 4; i++) {
        int64_t revision = change("account/1", "x");
        await_revision(&keystore, revision);
        atomic_fetch_add(&wall_ms, 25LL * 24 * 3600 * 1000);
    }
    leave(&keystore);
}

static void large_values_come_in_parts(void **state)
{
    (void)state;
    static char value[LARGE_LEN + 1];
    struct keystore keystore = {.stream = NULL};
    int64_t last = 0;
    memset(value, 'v', LARGE_LEN);
    for (int i = 0; i < 6; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "account/%d", i);
        last = change(key, value);
    }

    follow(&keystore);

    await_revision(&keystore, last);
    await_true(now_of(&keystore).record_count == 6);
    leave(&keystore);
}

static void a_reload_of_the_store_tells_what_differs(void **state)
{
    (void)state;
    struct keystore keystore = {.stream = NULL};
    change("account/1", "one");
    int64_t last = change("account/2", "two");
    follow(&keystore);
    await_revision(&keystore, last);
    int before = gauge_read(&keystore.transfers);
    size_t records = now_of(&keystore).record_count;

    ks_control_feed_reloaded(feed);

    gauge_await(&keystore.transfers, before + 1);
    assert_int_equal(now_of(&keystore).record_count, records);
    assert_int_equal(gauge_read(&keystore.closed), 0);
    leave(&keystore);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static int group_set_up(void **state)
{
    assert_int_equal(ks_crypto_init(&(struct ks_crypto_options){0}).code, KS_OK);
    if (fixture_setup(state) != 0) {
        return -1;
    }
    certificates_root(fixture_path(""),
                      &(struct certificate_root){.name = "clients", .life_days = 3650});
    FILE *file = fopen(fixture_path("clients.pem"), "rb");
    assert_non_null(file);
    uint8_t bytes[8192];
    size_t len = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    assert_int_equal(ks_head_verifier_new((ks_bytes){bytes, len}, &verifier).code, KS_OK);
    return 0;
}

static int group_tear_down(void **state)
{
    ks_head_verifier_free(verifier);
    return fixture_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_keystore_gets_everything_then_what_changes),
        TEST(an_empty_control_plane_says_so),
        TEST(what_was_missed_is_told_and_no_more),
        TEST(a_restart_of_control_costs_no_snapshot),
        TEST(one_that_was_away_for_too_many_deletions_gets_a_snapshot),
        TEST(control_says_that_nothing_has_changed),
        TEST(a_clock_that_goes_back_does_not_silence_control),
        TEST(heads_of_all_times_verify),
        TEST(large_values_come_in_parts),
        TEST(a_reload_of_the_store_tells_what_differs),
    };
    return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
