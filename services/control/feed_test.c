#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/base/arena.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/rpc/rpc_fixture.h"
#include "pkg/store/store_fixture.h"
#include "services/control/feed.h"

#define QUEUE_BYTES   (8U * 1024U * 1024U)
#define MESSAGES_MAX  512U
#define ARENA_LEN_MAX (64U * 1024U * 1024U)
#define FIELDS_MAX    100000U
#define LARGE_LEN     200000U /* of a value: fits the store, five of them fit no message */
#define CHANGES_MAX   8U
#define SLOW_CHANGES  150 /* 30 MB: more than the queue and the windows of the connection take */

typedef Keystead__Internal__V1__WatchIdentitiesResponse watch_response;

/* ---- The control plane ---- */

static char *folder;
static struct ks_store *store;
static struct ks_control_feed *feed;
static struct ks_rpc_server *server;
static struct ks_rpc_method watch;
static struct ks_rpc_channel *channel;

/*
 * The replicated engine says that it has applied a revision before it says what changed, the
 * embedded one after. While this is set the store here does as the replicated one.
 */
static bool applied_first;
static struct late_change {
    char *key;
    char *value;
    int64_t revision;
} late[CHANGES_MAX];
static size_t late_count;

static void on_change(void *user, ks_bytes key, ks_bytes value, int64_t revision)
{
    (void)user;
    if (!applied_first) {
        ks_control_feed_changed(feed, key, value, revision);
        return;
    }
    assert_true(late_count < CHANGES_MAX);
    late[late_count++] = (struct late_change){ks_bytes_dup(key), ks_bytes_dup(value), revision};
}

static void on_applied(void *user, int64_t revision)
{
    (void)user;
    (void)revision;
    ks_control_feed_told(feed);
    for (size_t i = 0; i < late_count; i++) {
        ks_control_feed_changed(feed, ks_bytes_of(late[i].key), ks_bytes_of(late[i].value),
                                late[i].revision);
        ks_free(late[i].key);
        ks_free(late[i].value);
    }
    late_count = 0;
}

static void open_server(void)
{
    watch = (struct ks_rpc_method){.path = KS_CONTROL_FEED_METHOD,
                                   .stream = &ks_feed_stream_callbacks,
                                   .user = ks_control_feed_streams(feed)};
    server = fixture_server((struct ks_rpc_server_options){
        .methods = &watch, .method_count = 1, .stream_queue_bytes_max = QUEUE_BYTES});
    channel = fixture_channel(server, "client");
}

static int open_plane(void **state)
{
    (void)state;
    folder = fixture_folder("mirror");
    feed = ks_control_feed_new(fixture_loop);
    applied_first = false;
    const struct ks_store_options options = {.engine = KS_STORE_EMBEDDED,
                                             .folder = folder,
                                             .on_applied = on_applied,
                                             .on_change = on_change};
    if (ks_failed(ks_store_new(&options, &store))) {
        return -1;
    }
    ks_control_feed_set_store(feed, store);
    open_server();
    return 0;
}

static void on_loop(void *arg)
{
    gauge_raise(arg);
}

/* As control ends: what the store posted to the loop last must not need it. */
static int close_plane(void **state)
{
    (void)state;
    struct gauge passed = GAUGE_INIT;
    ks_rpc_channel_free(channel);
    ks_rpc_server_free(server);
    ks_control_feed_changed(feed, KS_LITERAL("account/last"), KS_LITERAL("x"), INT64_MAX - 1);
    ks_store_free(store);
    ks_control_feed_told(feed);
    ks_rpc_loop_post(fixture_loop, on_loop, &passed);
    gauge_await(&passed, 1);
    ks_control_feed_free(feed);
    fixture_remove(folder);
    ks_free(folder);
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

/* ---- A keystore ---- */

struct keystore {
    struct ks_rpc_stream *stream; /* a ref */
    struct ks_arena arena;
    struct gauge received;
    struct gauge closed;
    struct ks_buffer messages[MESSAGES_MAX];
};

static void on_received(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    (void)stream;
    struct keystore *keystore = user;
    int index = gauge_read(&keystore->received);
    assert_true((size_t)index < MESSAGES_MAX);
    struct ks_buffer *copy = &keystore->messages[index];
    copy->len_max = 2 * KS_FEED_RECORDS_MAX;
    assert_int_equal(ks_buffer_append(copy, message).code, KS_OK);
    gauge_raise(&keystore->received);
}

static void on_closed(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)stream;
    (void)error;
    gauge_raise(&((struct keystore *)user)->closed);
}

static const struct ks_rpc_stream_callbacks keystore_callbacks = {.on_message = on_received,
                                                                  .on_close = on_closed};

/* A stream that has not said anything yet. */
static struct keystore *keystore_new(void)
{
    struct keystore *keystore = ks_alloc(1, sizeof(*keystore));
    keystore->received = keystore->closed = (struct gauge)GAUGE_INIT;
    keystore->arena.len_max = ARENA_LEN_MAX;
    const struct ks_rpc_stream_options options = {
        .method = KS_CONTROL_FEED_METHOD,
        .callbacks = &keystore_callbacks,
        .user = keystore,
        .ret_ref = &keystore->stream,
    };
    (void)ks_rpc_stream_open(channel, &options);
    return keystore;
}

static void keystore_say(struct keystore *keystore, char *epoch, int64_t revision)
{
    Keystead__Internal__V1__WatchIdentitiesRequest request =
        KEYSTEAD__INTERNAL__V1__WATCH_IDENTITIES_REQUEST__INIT;
    request.epoch = epoch;
    request.revision = revision;
    KS_BUFFER_AUTO packed = {.len_max = 256};
    assert_int_equal(ks_codec_pack(&request.base, &packed).code, KS_OK);
    assert_int_equal(ks_rpc_stream_send(keystore->stream, ks_buffer_bytes(&packed)).code, KS_OK);
}

/* One that has that much. */
static struct keystore *follow_from(char *epoch, int64_t revision)
{
    struct keystore *keystore = keystore_new();
    keystore_say(keystore, epoch, revision);
    return keystore;
}

static void keystore_free(struct keystore *keystore)
{
    ks_rpc_stream_cancel(keystore->stream);
    gauge_await(&keystore->closed, 1);
    ks_rpc_stream_unref(keystore->stream);
    for (size_t i = 0; i < MESSAGES_MAX; i++) {
        ks_buffer_done(&keystore->messages[i]);
    }
    ks_arena_done(&keystore->arena);
    ks_free(keystore);
}

/* The message of that number, from 0; waits for it. Lasts as long as the keystore. */
static const watch_response *message(struct keystore *keystore, int index)
{
    gauge_await(&keystore->received, index + 1);
    const struct ks_codec_limits limits = {.field_count_max = FIELDS_MAX};
    ProtobufCMessage *unpacked;
    ks_result r = ks_codec_unpack(&keystead__internal__v1__watch_identities_response__descriptor,
                                  ks_buffer_bytes(&keystore->messages[index]), &limits,
                                  &keystore->arena, &unpacked);
    assert_int_equal(r.code, KS_OK);
    return (const watch_response *)unpacked;
}

static void assert_record(const Keystead__Internal__V1__IdentityRecord *record, const char *key,
                          const char *value, int64_t revision)
{
    assert_string_equal(record->key, key);
    assert_int_equal(record->mod_revision, revision);
    assert_int_equal(record->deleted, value == NULL);
    assert_true(
        ks_bytes_equal((ks_bytes){record->value.data, record->value.len}, ks_bytes_of(value)));
}

/* ---- What a keystore gets ---- */

static void a_new_keystore_gets_everything_then_what_changes(void **state)
{
    (void)state;
    int64_t account = change("account/1", "one");
    int64_t user = change("user/1/alice", "a user");
    change("request/1", "not for regions");
    int64_t certificate = change("certificate/a0", "a certificate");

    struct keystore *keystore = follow_from("", 0);
    const watch_response *everything = message(keystore, 0);

    assert_true(everything->snapshot);
    assert_true(everything->snapshot_end);
    assert_int_equal(everything->revision, certificate);
    assert_string_not_equal(everything->epoch, "");
    assert_int_equal(everything->n_records, 3);
    assert_record(everything->records[0], "account/1", "one", account);
    assert_record(everything->records[1], "user/1/alice", "a user", user);
    assert_record(everything->records[2], "certificate/a0", "a certificate", certificate);

    int64_t revoked = change("certificate/a0", "revoked");
    const watch_response *changed = message(keystore, 1);
    assert_false(changed->snapshot);
    assert_int_equal(changed->revision, revoked);
    assert_string_equal(changed->epoch, everything->epoch);
    assert_int_equal(changed->n_records, 1);
    assert_record(changed->records[0], "certificate/a0", "revoked", revoked);

    int64_t deleted = change("user/1/alice", NULL);
    changed = message(keystore, 2);
    assert_int_equal(changed->revision, deleted);
    assert_record(changed->records[0], "user/1/alice", NULL, deleted);
    keystore_free(keystore);
}

/* Without it a region could not tell an empty control plane from one that has not spoken yet. */
static void an_empty_control_plane_says_so(void **state)
{
    (void)state;

    struct keystore *keystore = follow_from("", 0);
    const watch_response *everything = message(keystore, 0);

    assert_true(everything->snapshot_end);
    assert_int_equal(everything->n_records, 0);
    assert_string_not_equal(everything->epoch, "");
    keystore_free(keystore);
}

/* The epoch and revision that a keystore has now, after it got everything. */
static char *get_position(struct keystore *keystore, int64_t *ret_revision)
{
    const watch_response *last = message(keystore, gauge_read(&keystore->received) - 1);
    *ret_revision = last->revision;
    return last->epoch;
}

static void who_has_everything_gets_no_snapshot(void **state)
{
    (void)state;
    change("account/1", "one");
    struct keystore *before = follow_from("", 0);
    (void)message(before, 0);
    int64_t revision;
    char *epoch = get_position(before, &revision);

    struct keystore *after = follow_from(epoch, revision);
    struct keystore *other = follow_from("", 0);
    (void)message(other, 0); /* by now the loop has looked at the first one, too */
    int64_t next = change("account/2", "two");
    const watch_response *first = message(after, 0);

    assert_false(first->snapshot);
    assert_int_equal(first->revision, next);
    assert_record(first->records[0], "account/2", "two", next);
    keystore_free(before);
    keystore_free(after);
    keystore_free(other);
}

static void assert_gets_snapshot(char *epoch, int64_t revision)
{
    struct keystore *keystore = follow_from(epoch, revision);
    assert_true(message(keystore, 0)->snapshot);
    keystore_free(keystore);
}

static void who_missed_something_or_has_another_epoch_gets_a_snapshot(void **state)
{
    (void)state;
    change("account/1", "one");
    struct keystore *keystore = follow_from("", 0);
    (void)message(keystore, 0);
    int64_t revision;
    char *epoch = get_position(keystore, &revision);
    char another[64];
    snprintf(another, sizeof(another), "%s", epoch);
    another[0] = another[0] == 'x' ? 'y' : 'x';

    assert_gets_snapshot(another, revision);
    assert_gets_snapshot("", revision);
    assert_gets_snapshot(epoch, revision - 1);
    assert_gets_snapshot(epoch, 0);
    assert_gets_snapshot(epoch, -1);
    assert_gets_snapshot(epoch, revision + 1);
    assert_gets_snapshot(epoch, INT64_MAX);

    keystore_free(keystore);
}

/* Else the next one who comes back would need a snapshot after each request that expired. */
static void a_change_that_is_not_mirrored_moves_followers_on(void **state)
{
    (void)state;
    struct keystore *keystore = follow_from("", 0);
    (void)message(keystore, 0);

    int64_t revision = change("request/1", "not for regions");
    const watch_response *moved = message(keystore, 1);

    assert_int_equal(moved->revision, revision);
    assert_int_equal(moved->n_records, 0);
    assert_false(moved->snapshot);
    keystore_free(keystore);
}

/* Who comes back with a revision must have been sent every change up to it: one may be a revocation. */
static void a_revision_is_said_only_when_its_changes_were_sent(void **state)
{
    (void)state;
    struct keystore *keystore = follow_from("", 0);
    (void)message(keystore, 0);
    applied_first = true;

    int64_t one = change("account/1", "one");
    int64_t two = change("account/2", "two");
    int64_t three = change("account/3", "three");

    const watch_response *first = message(keystore, 1);
    assert_int_equal(first->revision, one);
    assert_int_equal(first->n_records, 1);
    assert_record(first->records[0], "account/1", "one", one);
    const watch_response *second = message(keystore, 2);
    assert_int_equal(second->revision, two);
    assert_record(second->records[0], "account/2", "two", two);
    on_applied(NULL, three);
    assert_int_equal(message(keystore, 3)->revision, three);
    applied_first = false;
    keystore_free(keystore);
}

static char *large_value(void)
{
    static char value[LARGE_LEN + 1];
    memset(value, 'v', LARGE_LEN);
    return value;
}

static void a_large_snapshot_comes_in_parts(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        char key[32];
        snprintf(key, sizeof(key), "account/%d", i);
        change(key, large_value());
    }

    struct keystore *keystore = follow_from("", 0);
    size_t record_count = 0;
    int index = 0;
    const watch_response *part;
    do {
        part = message(keystore, index++);
        assert_true(part->snapshot);
        assert_string_not_equal(part->epoch, "");
        record_count += part->n_records;
    } while (!part->snapshot_end);

    assert_true(index > 1);
    assert_int_equal(record_count, 6);
    keystore_free(keystore);
}

/* ---- Who is cut off ---- */

static void a_malformed_request_is_cut_off(void **state)
{
    (void)state;
    KS_BUFFER_AUTO large = {.len_max = 4096};
    uint8_t *place;
    assert_int_equal(ks_buffer_extend(&large, 1025, &place).code, KS_OK);
    memset(place, 'e', large.len);
    place[0] = 0x0a; /* epoch, of 1022 bytes: well-formed */
    place[1] = 0xfe;
    place[2] = 0x07;
    const ks_bytes malformed[] = {KS_LITERAL("\xff"),
                                  KS_LITERAL("\x0a\x05"
                                             "abc"),
                                  KS_LITERAL("\x0a\x01\xff"), ks_buffer_bytes(&large)};
    for (size_t i = 0; i < KS_COUNT(malformed); i++) {
        struct keystore *keystore = keystore_new();
        assert_int_equal(ks_rpc_stream_send(keystore->stream, malformed[i]).code, KS_OK);

        gauge_await(&keystore->closed, 1);

        assert_int_equal(gauge_read(&keystore->received), 0);
        keystore_free(keystore);
    }
}

static void a_second_request_is_cut_off(void **state)
{
    (void)state;
    struct keystore *keystore = follow_from("", 0);
    (void)message(keystore, 0);

    keystore_say(keystore, "", 0);
    gauge_await(&keystore->closed, 1);

    assert_int_equal(gauge_read(&keystore->received), 1);
    keystore_free(keystore);
}

static void pause_stream(void *arg)
{
    ks_rpc_stream_pause(((struct keystore *)arg)->stream);
}

static void resume_stream(void *arg)
{
    ks_rpc_stream_resume(((struct keystore *)arg)->stream);
}

/* Its queue would grow without end, and it must not go on without what did not fit. */
static void who_reads_too_slowly_is_cut_off_and_others_are_not(void **state)
{
    (void)state;
    struct keystore *slow = follow_from("", 0);
    (void)message(slow, 0);
    ks_rpc_loop_post(fixture_client_loop, pause_stream, slow);
    struct ks_rpc_channel *slow_channel = channel;
    channel = fixture_channel(server, "client");
    struct keystore *fast = follow_from("", 0);
    (void)message(fast, 0);

    for (int i = 1; i <= SLOW_CHANGES; i++) {
        change("account/1", large_value());
        (void)message(fast, i);
    }
    ks_rpc_loop_post(fixture_client_loop, resume_stream, slow);
    gauge_await(&slow->closed, 1);

    assert_true(gauge_read(&slow->received) < SLOW_CHANGES);
    assert_int_equal(gauge_read(&fast->closed), 0);
    keystore_free(slow);
    keystore_free(fast);
    ks_rpc_channel_free(slow_channel);
}

static void who_said_nothing_is_told_nothing(void **state)
{
    (void)state;
    struct keystore *silent = keystore_new();
    struct keystore *other = follow_from("", 0);
    (void)message(other, 0);

    change("account/1", "one");
    (void)message(other, 1);

    assert_int_equal(gauge_read(&silent->received), 0);
    keystore_say(silent, "", 0);
    assert_int_equal(message(silent, 0)->n_records, 1);
    keystore_free(silent);
    keystore_free(other);
}

static void a_keystore_that_says_no_more_is_told_on(void **state)
{
    (void)state;
    struct keystore *keystore = follow_from("", 0);
    ks_rpc_stream_finish(keystore->stream, NULL);
    (void)message(keystore, 0);

    change("account/1", "one");

    assert_int_equal(message(keystore, 1)->n_records, 1);
    keystore_free(keystore);
}

/* A message has no room for it; a snapshot has. */
static void too_much_at_once_makes_followers_start_over(void **state)
{
    (void)state;
    struct keystore *keystore = follow_from("", 0);
    (void)message(keystore, 0);
    struct ks_store_mutation mutation = {.op_count = 6};
    char keys[6][32];
    for (size_t i = 0; i < mutation.op_count; i++) {
        snprintf(keys[i], sizeof(keys[i]), "account/%zu", i);
        mutation.ops[i] = (struct ks_store_op){ks_bytes_of(keys[i]), ks_bytes_of(large_value())};
    }

    assert_int_equal(fixture_commit(store, &mutation).code, KS_OK);
    gauge_await(&keystore->closed, 1);

    assert_int_equal(gauge_read(&keystore->received), 1);
    keystore_free(keystore);
    struct keystore *again = follow_from("", 0);
    (void)message(again, 0);
    int64_t next = change("account/9", "nine");
    int last = 1;
    while (message(again, last)->snapshot) {
        last++;
    }
    assert_record(message(again, last)->records[0], "account/9", "nine", next);
    keystore_free(again);
}

static void a_reload_makes_followers_start_over(void **state)
{
    (void)state;
    struct keystore *keystore = follow_from("", 0);
    (void)message(keystore, 0);

    ks_control_feed_reloaded(feed);
    gauge_await(&keystore->closed, 1);

    assert_int_equal(gauge_read(&keystore->received), 1);
    keystore_free(keystore);
}

static void put_in_place(void *arg)
{
    ks_control_feed_set_store(feed, arg);
}

/*
 * A restored etcd has another epoch, and its revisions mean other records. The status says so a
 * moment after the copy: who came in that moment is cut off with the next change.
 */
static void who_was_told_another_epoch_starts_over(void **state)
{
    (void)state;
    struct keystore *keystore = follow_from("", 0);
    (void)message(keystore, 0);
    char *other_folder = fixture_folder("other");
    struct ks_store *other = fixture_embedded(other_folder);

    ks_rpc_loop_post(fixture_loop, put_in_place, other);
    change("account/1", "one");
    gauge_await(&keystore->closed, 1);

    assert_int_equal(gauge_read(&keystore->received), 1);
    keystore_free(keystore);
    struct gauge passed = GAUGE_INIT;
    ks_rpc_loop_post(fixture_loop, put_in_place, store);
    ks_rpc_loop_post(fixture_loop, on_loop, &passed);
    gauge_await(&passed, 1);
    ks_store_free(other);
    fixture_remove(other_folder);
    ks_free(other_folder);
}

static void no_more_follow_than_there_are_places(void **state)
{
    (void)state;
    static struct keystore *keystores[KS_FEED_FOLLOWERS_MAX];
    for (size_t i = 0; i < KS_FEED_FOLLOWERS_MAX; i++) {
        keystores[i] = follow_from("", 0);
    }
    for (size_t i = 0; i < KS_FEED_FOLLOWERS_MAX; i++) {
        (void)message(keystores[i], 0);
    }

    struct keystore *one_more = keystore_new();
    gauge_await(&one_more->closed, 1);
    keystore_free(one_more);
    keystore_free(keystores[0]);
    keystores[0] = follow_from("", 0);
    (void)message(keystores[0], 0);

    for (size_t i = 0; i < KS_FEED_FOLLOWERS_MAX; i++) {
        keystore_free(keystores[i]);
    }
}

int main(void)
{
#define WITH_PLANE(test) cmocka_unit_test_setup_teardown(test, open_plane, close_plane)
    const struct CMUnitTest tests[] = {
        WITH_PLANE(a_new_keystore_gets_everything_then_what_changes),
        WITH_PLANE(an_empty_control_plane_says_so),
        WITH_PLANE(who_has_everything_gets_no_snapshot),
        WITH_PLANE(who_missed_something_or_has_another_epoch_gets_a_snapshot),
        WITH_PLANE(a_change_that_is_not_mirrored_moves_followers_on),
        WITH_PLANE(a_revision_is_said_only_when_its_changes_were_sent),
        WITH_PLANE(a_large_snapshot_comes_in_parts),
        WITH_PLANE(a_malformed_request_is_cut_off),
        WITH_PLANE(a_second_request_is_cut_off),
        WITH_PLANE(who_reads_too_slowly_is_cut_off_and_others_are_not),
        WITH_PLANE(who_said_nothing_is_told_nothing),
        WITH_PLANE(a_keystore_that_says_no_more_is_told_on),
        WITH_PLANE(too_much_at_once_makes_followers_start_over),
        WITH_PLANE(a_reload_makes_followers_start_over),
        WITH_PLANE(who_was_told_another_epoch_starts_over),
        WITH_PLANE(no_more_follow_than_there_are_places),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
