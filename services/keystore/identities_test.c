/* Identities: from a control that is a fake, through the whole keystore, to frontends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/arena.h"
#include "pkg/base/mem.h"
#include "pkg/store/store_fixture.h"
#include "services/keystore/keystore_fixture.h"

static void identities_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    (void)user;
    (void)stream;
    KS_ARENA_AUTO arena = {.len_max = ARENA_MAX};
    ProtobufCMessage *unpacked = NULL;
    assert_int_equal(
        ks_codec_unpack(INTERNAL_TYPE(watch_identities_response), message, NULL, &arena, &unpacked)
            .code,
        KS_OK);
    const INTERNAL(WatchIdentitiesResponse) *response =
        (const INTERNAL(WatchIdentitiesResponse) *)unpacked;
    pthread_mutex_lock(&world.lock);
    world.message_count++;
    struct ks_head head;
    if (response->head.len > 0 && !ks_failed(ks_head_read(ks_bytes_in(response->head), &head))) {
        world.seen_revision = head.revision;
    }
    world.seen_count += (unsigned)response->n_records;
    if (response->n_records > 0) {
        snprintf(world.seen_key, sizeof(world.seen_key), "%s",
                 response->records[response->n_records - 1]->key);
    }
    pthread_mutex_unlock(&world.lock);
}

static const struct ks_rpc_stream_callbacks identities_callbacks = {
    .on_message = identities_message, .on_close = world_stream_closed};

/* Follows from nothing, until a message of this revision has come; the stream stays open. */
static struct ks_rpc_stream *follow(struct ks_rpc_channel *channel, int64_t revision)
{
    for (int i = 0; i < 100; i++) {
        struct ks_rpc_stream *stream =
            world_open_stream(channel, SERVICE "WatchIdentities", &identities_callbacks);
        INTERNAL(WatchIdentitiesRequest) request = INTERNAL_NEW(WATCH_IDENTITIES_REQUEST);
        KS_BUFFER_AUTO packed = {.len_max = 256};
        assert_int_equal(ks_codec_pack(&request.base, &packed).code, KS_OK);
        ks_result sent = ks_rpc_stream_send(stream, ks_buffer_bytes(&packed));
        for (int wait = 0; !ks_failed(sent) && wait < 100; wait++) {
            fixture_sleep_ms(5);
            pthread_mutex_lock(&world.lock);
            bool there = world.seen_revision >= revision;
            pthread_mutex_unlock(&world.lock);
            if (there) {
                return stream;
            }
        }
        ks_rpc_stream_cancel(stream);
        ks_rpc_stream_unref(stream);
    }
    fail_msg("the identities never came");
    return NULL;
}

static int64_t seen_revision(void)
{
    pthread_mutex_lock(&world.lock);
    int64_t revision = world.seen_revision;
    pthread_mutex_unlock(&world.lock);
    return revision;
}

/* The record that came last. */
static void assert_seen(const char *key)
{
    pthread_mutex_lock(&world.lock);
    assert_string_equal(world.seen_key, key);
    pthread_mutex_unlock(&world.lock);
}

static void assert_asked_history(const char *history)
{
    pthread_mutex_lock(&world.lock);
    assert_string_equal(world.asked_history, history);
    pthread_mutex_unlock(&world.lock);
}

/* Promise 8. */
static void identities_reach_frontends_also_without_control_and_after_a_restart(void **state)
{
    (void)state;
    struct ks_rpc_channel *channel = world_channel_of("frontend");
    struct ks_rpc_stream *stream = follow(channel, 5);
    assert_seen("account/111122223333");

    pthread_mutex_lock(&world.lock);
    struct ks_rpc_stream *keystores = ks_rpc_stream_ref(world.follower);
    unsigned before = world.message_count;
    pthread_mutex_unlock(&world.lock);
    fixture_set_put(&world.plane, "user/111122223333/alice", KS_LITERAL("value"), 6);
    world_send_identities(keystores, "user/111122223333/alice", 6, false, &world.plane);
    ks_rpc_stream_unref(keystores);
    await_true(world_count(&world.message_count) >= before + 1);
    assert_seen("user/111122223333/alice");
    assert_int_equal(seen_revision(), 6);
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);

    ks_rpc_server_free(world.control);
    world.control = NULL;
    world_stop();
    world_start();
    world.seen_revision = 0;
    channel = world_channel_of("frontend");
    stream = follow(channel, 6);
    assert_seen("user/111122223333/alice");
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);
}

/*
 * Changes that lead to another state than the one control has signed are not taken, nor told; the
 * keystore asks for everything, and goes on when that has come.
 */
static void a_state_that_control_has_not_signed_is_never_told(void **state)
{
    (void)state;
    struct ks_rpc_channel *channel = world_channel_of("frontend");
    struct ks_rpc_stream *stream = follow(channel, 5);
    struct ks_rpc_stream *keystores = world_stream_of_keystore();
    unsigned asked = world_count(&world.asked_count);

    world_send_identities(keystores, "user/111122223333/mallory", 6, false, NULL);
    ks_rpc_stream_unref(keystores);

    await_true(world_count(&world.asked_count) > asked);
    pthread_mutex_lock(&world.lock);
    assert_string_equal(world.asked_epoch, "");
    pthread_mutex_unlock(&world.lock);
    assert_seen("account/111122223333");
    unsigned before = world_count(&world.message_count);
    await_true((keystores = world_stream_of_keystore()) != NULL);
    fixture_set_put(&world.plane, "user/111122223333/bob", KS_LITERAL("value"), 7);
    world_send_identities(keystores, "user/111122223333/bob", 7, false, &world.plane);
    ks_rpc_stream_unref(keystores);
    await_true(world_count(&world.message_count) > before && seen_revision() == 7);
    assert_seen("user/111122223333/bob");
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);
}

/*
 * store.md 1, for those who follow control: its store was put back to a snapshot before revision 7, and
 * has gone on. What it says is not taken, by a keystore that was restarted neither.
 */
static void a_control_that_went_back_is_refused_also_after_a_restart(void **state)
{
    (void)state;
    struct ks_rpc_channel *channel = world_channel_of("frontend");
    struct ks_rpc_stream *stream = follow(channel, 5);
    struct ks_rpc_stream *keystores = world_stream_of_keystore();
    fixture_set_put(&world.plane, "user/111122223333/alice", KS_LITERAL("value"), 7);
    world_send_identities(keystores, "user/111122223333/alice", 7, false, &world.plane);
    ks_rpc_stream_unref(keystores);
    await_true(world_count(&world.message_count) > 0 && seen_revision() == 7);
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);

    struct fixture_set back = {.history = "history-2", .since = 6};
    fixture_set_put(&back, "user/111122223333/bob", KS_LITERAL("value"), 9);
    for (int life = 0; life < 2; life++) {
        unsigned asked = world_count(&world.asked_count);
        await_true((keystores = world_stream_of_keystore()) != NULL);
        world_send_identities(keystores, "user/111122223333/bob", 9, true, &back);
        ks_rpc_stream_unref(keystores);
        await_true(world_count(&world.asked_count) > asked);
        assert_asked_history("history-1");
        assert_int_equal(seen_revision(), 7);
        world_stop();
        world_start();
    }
    fixture_set_done(&back);
    channel = world_channel_of("frontend");
    stream = follow(channel, 7);
    assert_int_equal(seen_revision(), 7);
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);
}

/* After a blip it asks for what comes after what it has, and passes on that alone. */
static void a_blip_costs_the_difference_only(void **state)
{
    (void)state;
    struct ks_rpc_channel *channel = world_channel_of("frontend");
    struct ks_rpc_stream *stream = follow(channel, 5);
    struct ks_rpc_stream *keystores = world_stream_of_keystore();
    unsigned asked = world_count(&world.asked_count);
    unsigned records = world_count(&world.seen_count);
    ks_rpc_stream_cancel(keystores);
    ks_rpc_stream_unref(keystores);

    await_true(world_count(&world.asked_count) > asked);
    pthread_mutex_lock(&world.lock);
    assert_string_equal(world.asked_epoch, "epoch-1");
    pthread_mutex_unlock(&world.lock);
    await_true((keystores = world_stream_of_keystore()) != NULL);
    fixture_set_put(&world.plane, "user/111122223333/alice", KS_LITERAL("value"), 6);
    world_send_identities(keystores, "user/111122223333/alice", 6, false, &world.plane);
    ks_rpc_stream_unref(keystores);

    await_true(world_count(&world.seen_count) > records && seen_revision() == 6);
    assert_int_equal(world_count(&world.seen_count), records + 1);
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(identities_reach_frontends_also_without_control_and_after_a_restart),
        TEST(a_state_that_control_has_not_signed_is_never_told),
        TEST(a_control_that_went_back_is_refused_also_after_a_restart),
        TEST(a_blip_costs_the_difference_only),
    };
    return cmocka_run_group_tests(tests, world_group_set_up, world_group_tear_down);
}
