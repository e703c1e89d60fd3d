/* The whole process in one piece: what frontends, keystores and operators see. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "keystead/kms/v1/keys.pb-c.h"
#include "pkg/base/arena.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/codec/wire.h"
#include "pkg/operation/list.h"
#include "pkg/rpc/client.h"
#include "pkg/rpc/loop.h"
#include "pkg/store/store_fixture.h"
#include "proto/keystead/internal/v1/limits.h"
#include "services/keystore/keystore_fixture.h"
#include "tests/harness/certificates.h"

#define ITEMS   40U
#define WAIT_MS 10000

/*
 * The queues on both sides and what gRPC holds take less than half of them: the keystore has handled
 * more than its queue takes when the last one is sent.
 */
#define DEAF_MESSAGES (6U * KS_RPC_STREAM_QUEUE_COUNT)

/* A unary call; the code, and the response in to. */
static ks_code call(const char *certificate, const char *method, const ProtobufCMessage *request,
                    struct ks_buffer *to)
{
    struct ks_rpc_channel *channel = world_channel_of(certificate);
    KS_BUFFER_AUTO packed = {.len_max = 4096};
    assert_int_equal(ks_codec_pack(request, &packed).code, KS_OK);
    const struct ks_rpc_unary_options options = {
        .method = method, .request = &packed, .deadline_ms = 5000};
    struct ks_rpc_error error;
    ks_result result = ks_rpc_unary_wait(channel, &options, to, &error);
    ks_rpc_channel_free(channel);
    return result.code;
}

/* What GetStatus says, in the arena. */
static const INTERNAL(GetStatusResponse) * status_of(struct ks_arena *arena)
{
    INTERNAL(GetStatusRequest) ask = INTERNAL_NEW(GET_STATUS_REQUEST);
    KS_BUFFER_AUTO response = {.len_max = 65536};
    assert_int_equal(call("operator", SERVICE "GetStatus", &ask.base, &response), KS_OK);
    ProtobufCMessage *message = NULL;
    assert_int_equal(ks_codec_unpack(INTERNAL_TYPE(get_status_response), ks_buffer_bytes(&response),
                                     NULL, arena, &message)
                         .code,
                     KS_OK);
    return (const INTERNAL(GetStatusResponse) *)message;
}

/* Items that have come, as GetStatus says: those of a message once they are all taken. */
static uint64_t status_items(void)
{
    KS_ARENA_AUTO arena = {.len_max = ARENA_MAX};
    return status_of(&arena)->traffic->items;
}

/* Execute */

static void execute_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    (void)user;
    (void)stream;
    KS_ARENA_AUTO arena = {.len_max = ARENA_MAX};
    ProtobufCMessage *unpacked = NULL;
    assert_int_equal(
        ks_codec_unpack(INTERNAL_TYPE(execute_response), message, NULL, &arena, &unpacked).code,
        KS_OK);
    const INTERNAL(ExecuteResponse) *response = (const INTERNAL(ExecuteResponse) *)unpacked;
    pthread_mutex_lock(&world.lock);
    world.message_count++;
    for (size_t i = 0; i < response->n_results; i++) {
        world.codes[response->results[i]->tag] = ks_code_from_number(response->results[i]->code);
        world.result_count++;
    }
    pthread_mutex_unlock(&world.lock);
}

static const struct ks_rpc_stream_callbacks execute_callbacks = {.on_message = execute_message,
                                                                 .on_close = world_stream_closed};

/* As many items as asked for in one message, each allowed. */
static void send_operations(struct ks_rpc_stream *stream, uint32_t operation, ks_bytes request,
                            size_t count)
{
    KS_BUFFER_AUTO message = {.len_max = 65536};
    for (size_t i = 0; i < count; i++) {
        INTERNAL(Item) item = INTERNAL_NEW(ITEM);
        item.tag = i;
        item.operation = operation;
        item.request = ks_lend_bytes(request);
        item.account = ks_lend_text("111122223333");
        item.principal = ks_lend_text("arn:aws:iam::111122223333:user/alice");
        item.decision = INTERNAL_ENUM(DECISION__DECISION_ALLOW);
        assert_int_equal(ks_codec_pack_field(1, &item.base, &message).code, KS_OK);
    }
    assert_int_equal(ks_rpc_stream_send_buffer(stream, &message).code, KS_OK);
}

static void send_items(struct ks_rpc_stream *stream, size_t count)
{
    send_operations(stream, KS_NUMBER_LIST_KEYS, (ks_bytes){0}, count);
}

static void a_frontend_gets_a_result_for_each_item_many_in_one_message(void **state)
{
    (void)state;
    struct ks_rpc_channel *channel = world_channel_of("frontend");
    struct ks_rpc_stream *stream =
        world_open_stream(channel, SERVICE "Execute", &execute_callbacks);

    send_items(stream, ITEMS);

    await_true(world_count(&world.result_count) >= ITEMS);
    assert_int_equal(world.message_count, 2); /* the time, and all results */
    for (size_t i = 0; i < ITEMS; i++) {
        assert_int_equal(world.codes[i], KS_OK);
    }
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);
}

static void what_is_no_request_ends_its_stream_and_no_other(void **state)
{
    (void)state;
    struct ks_rpc_channel *channel = world_channel_of("frontend");
    struct ks_rpc_stream *bad = world_open_stream(channel, SERVICE "Execute", &execute_callbacks);
    struct ks_rpc_stream *good = world_open_stream(channel, SERVICE "Execute", &execute_callbacks);

    assert_int_equal(ks_rpc_stream_send(bad, KS_LITERAL("\xff\xff\xff")).code, KS_OK);
    await_true(world_count(&world.closed_count) >= 1);
    assert_int_equal(world.closed_code, KS_VALIDATION);
    send_items(good, 1);
    await_true(world_count(&world.result_count) >= 1);

    ks_rpc_stream_unref(bad);
    ks_rpc_stream_unref(good);
    ks_rpc_channel_free(channel);
}

/* The hsm gets them in one frame, and what it answers goes back in one message. */
static void items_that_need_the_hsm_go_back_together(void **state)
{
    (void)state;
    static const uint8_t eight_bytes[] = {0x08, 0x08};
    const ks_bytes request = {eight_bytes, sizeof(eight_bytes)};
    const uint32_t operation = KS_NUMBER_GENERATE_RANDOM;
    struct ks_rpc_channel *channel = world_channel_of("frontend");
    struct ks_rpc_stream *stream =
        world_open_stream(channel, SERVICE "Execute", &execute_callbacks);
    unsigned asked = 0;
    do { /* until the keeper has opened the link */
        send_operations(stream, operation, request, 1);
        asked++;
        await_true(world_count(&world.result_count) >= asked);
    } while (world.codes[0] == KS_UNAVAILABLE && asked < GAUGE_WAIT_MS);
    unsigned messages = world.message_count;
    size_t frames = ks_fake_hsm_batch_count(world.hsm);

    /* The replies come after the items were all taken: it is theirs to gather. */
    ks_fake_hsm_hang(world.hsm, true);
    send_operations(stream, operation, request, ITEMS);
    await_true(status_items() == asked + ITEMS);
    ks_fake_hsm_hang(world.hsm, false);

    await_true(world_count(&world.result_count) >= asked + ITEMS);
    assert_int_equal(world.codes[ITEMS - 1], KS_OK);
    assert_int_equal(world.message_count - messages, 1);
    assert_in_range(ks_fake_hsm_batch_count(world.hsm) - frames, 1,
                    2); /* the keeper may ask, too */
    KS_ARENA_AUTO arena = {.len_max = ARENA_MAX};
    const INTERNAL(Traffic) *traffic = status_of(&arena)->traffic;
    assert_int_equal(traffic->items, asked + ITEMS);
    assert_int_equal(traffic->item_messages, asked + 1);
    assert_int_equal(traffic->results, asked + ITEMS);
    assert_int_equal(traffic->result_messages, world.message_count - 1); /* not the time alone */
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);
}

/* The longest padding that a frontend lets pass was once a byte too long for a keystore. */
static void a_bad_item_is_answered_and_ends_no_stream(void **state)
{
    (void)state;
    struct ks_rpc_channel *channel = world_channel_of("frontend");
    struct ks_rpc_stream *stream =
        world_open_stream(channel, SERVICE "Execute", &execute_callbacks);
    static uint8_t padding[KS_EXECUTE_ITEM_MAX];
    KS_BUFFER_AUTO item = {.len_max = 2 * KS_EXECUTE_ITEM_MAX};
    assert_int_equal(ks_wire_put_varint(1, ITEMS, &item).code, KS_OK);
    assert_int_equal(ks_wire_put_bytes(1000, (ks_bytes){padding, sizeof(padding)}, &item).code,
                     KS_OK);
    KS_BUFFER_AUTO message = {.len_max = 2 * KS_EXECUTE_ITEM_MAX};
    assert_int_equal(ks_wire_put_bytes(1, ks_buffer_bytes(&item), &message).code, KS_OK);

    assert_int_equal(ks_rpc_stream_send_buffer(stream, &message).code, KS_OK);
    send_items(stream, ITEMS);

    await_true(world_count(&world.result_count) >= ITEMS + 1);
    assert_int_equal(world.codes[ITEMS], KS_VALIDATION);
    assert_int_equal(world.codes[0], KS_OK);
    assert_int_equal(world.closed_count, 0);
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);
}

/* A message of items that are refused at length, without the hsm. */
static ks_result send_bad_items(struct ks_rpc_stream *stream)
{
    static const uint8_t limit_zero[] = {0x08, 0x00};
    KS_BUFFER_AUTO message = {.len_max = 65536};
    for (size_t i = 0; i < KS_EXECUTE_ITEMS_MAX; i++) {
        INTERNAL(Item) item = INTERNAL_NEW(ITEM);
        item.tag = 1;
        item.operation = KS_NUMBER_LIST_KEYS;
        item.account = ks_lend_text("111122223333");
        item.request = ks_lend_bytes((ks_bytes){limit_zero, sizeof(limit_zero)});
        assert_int_equal(ks_codec_pack_field(1, &item.base, &message).code, KS_OK);
    }
    return ks_rpc_stream_send_buffer(stream, &message);
}

static atomic_bool deaf;

static void read_unless_deaf(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    execute_message(user, stream, message);
    if (atomic_load(&deaf)) {
        ks_rpc_stream_pause(stream);
    }
}

static void read_on(void *argument)
{
    atomic_store(&deaf, false);
    ks_rpc_stream_resume(argument);
}

static const struct ks_rpc_stream_callbacks deaf_callbacks = {.on_message = read_unless_deaf,
                                                              .on_close = world_stream_closed};

/*
 * Results that find no room would be waited for until the frontend's patience ends: it is told at
 * once that they are lost, and asks elsewhere.
 */
static void a_frontend_that_reads_nothing_loses_its_stream_and_no_result_in_silence(void **state)
{
    (void)state;
    struct ks_rpc_channel *channel = world_channel_of("frontend");
    struct ks_rpc_stream *stream = world_open_stream(channel, SERVICE "Execute", &deaf_callbacks);

    atomic_store(&deaf, true);
    for (unsigned i = 0; i < DEAF_MESSAGES; i++) {
        while (send_bad_items(stream).code == KS_LIMIT_EXCEEDED) {
            fixture_sleep_ms(1);
        }
    }
    ks_rpc_loop_post(world.loop, read_on, stream);

    await_true(world_count(&world.closed_count) == 1);
    assert_true(world_count(&world.result_count) < DEAF_MESSAGES * KS_EXECUTE_ITEMS_MAX);
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);
}

/* A CreateKey of an account; its result bears the tag. */
static void send_create_key(struct ks_rpc_stream *stream, const char *account, uint64_t tag)
{
    char request_id[32];
    snprintf(request_id, sizeof(request_id), "%s-%u", account, world_count(&world.result_count));
    INTERNAL(Item) item = INTERNAL_NEW(ITEM);
    item.tag = tag;
    item.operation = KS_NUMBER_CREATE_KEY;
    item.account = ks_lend_text(account);
    item.principal = ks_lend_text("arn:aws:iam::111122223333:user/alice");
    item.request_id = ks_lend_text(request_id);
    item.decision = INTERNAL_ENUM(DECISION__DECISION_ALLOW);
    KS_BUFFER_AUTO message = {.len_max = 4096};
    assert_int_equal(ks_codec_pack_field(1, &item.base, &message).code, KS_OK);
    assert_int_equal(ks_rpc_stream_send_buffer(stream, &message).code, KS_OK);
}

static void *stop_in_the_background(void *argument)
{
    (void)argument;
    ks_keystore_stop(world.keystore);
    return NULL;
}

/* The keys of an account are counted by a worker, which must not be gone before those who ask. */
static void a_new_accounts_create_key_is_answered_while_the_keystore_drains(void **state)
{
    (void)state;
    struct ks_rpc_channel *channel = world_channel_of("frontend");
    struct ks_rpc_stream *stream =
        world_open_stream(channel, SERVICE "Execute", &execute_callbacks);
    unsigned asked = 0;
    do { /* until the keeper has made a domain key */
        send_create_key(stream, "111122223333", 0);
        asked++;
        await_true(world_count(&world.result_count) >= asked);
    } while (world.codes[0] == KS_UNAVAILABLE && asked < GAUGE_WAIT_MS);
    assert_int_equal(world.codes[0], KS_OK);
    world.settings.drain_notice_ms = 500;
    pthread_t stopping;
    assert_int_equal(pthread_create(&stopping, NULL, stop_in_the_background, NULL), 0);
    fixture_sleep_ms(50);

    send_create_key(stream, "444455556666", 1);
    pthread_join(stopping, NULL);

    assert_int_equal(world_count(&world.result_count), asked + 1);
    assert_int_equal(world.codes[1], KS_OK);
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);
    ks_config_done(&ks_keystore_table, &world.settings);
    world_start();
}

static ks_code refused_with(const char *certificate, const char *method)
{
    unsigned before = world.closed_count;
    struct ks_rpc_channel *channel = world_channel_of(certificate);
    struct ks_rpc_stream *stream = world_open_stream(channel, method, &execute_callbacks);
    await_true(world_count(&world.closed_count) >= before + 1);
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);
    return world.closed_code;
}

/* Each listener checks root and path; each method, whose path. */
static void each_method_is_for_those_it_is_for(void **state)
{
    (void)state;
    assert_int_equal(refused_with("tenant", SERVICE "Execute"), KS_ACCESS_DENIED);
    assert_int_equal(refused_with("foreign", SERVICE "Execute"), KS_ACCESS_DENIED);
    assert_int_equal(refused_with("operator", SERVICE "Execute"), KS_ACCESS_DENIED);
    assert_int_equal(refused_with("peer", SERVICE "Execute"), KS_ACCESS_DENIED);
    assert_int_equal(refused_with("frontend", SERVICE "Applied"), KS_ACCESS_DENIED);
    assert_int_equal(refused_with("control", SERVICE "WatchIdentities"), KS_ACCESS_DENIED);

    KS_BUFFER_AUTO response = {.len_max = 65536};
    INTERNAL(GetStatusRequest) ask = INTERNAL_NEW(GET_STATUS_REQUEST);
    assert_int_equal(call("control", SERVICE "GetStatus", &ask.base, &response), KS_ACCESS_DENIED);
    INTERNAL(PutRosterRequest) roster = INTERNAL_NEW(PUT_ROSTER_REQUEST);
    roster.number = 1;
    KS_BUFFER_AUTO signed_roster = {.len_max = 65536};
    ks_fake_hsm_sign_roster(&world.hsm, 1, 1, &signed_roster);
    roster.roster = ks_lend_bytes(ks_buffer_bytes(&signed_roster));
    assert_int_equal(call("frontend", SERVICE "PutRoster", &roster.base, &response),
                     KS_ACCESS_DENIED);
    assert_int_equal(call("peer", SERVICE "RotateDomainKey", &roster.base, &response),
                     KS_ACCESS_DENIED);
    assert_int_equal(call("operator", SERVICE "PutRoster", &roster.base, &response), KS_OK);
    assert_int_equal(ks_fake_hsm_roster_number(world.hsm), 1);
}

/*
 * security.md 9: a stolen key must not work beyond its certificate for as long as a connection lasts.
 * A stream that stands is ended with the next message; a call is refused.
 */
static void a_certificate_that_has_ended_ends_what_stands(void **state)
{
    (void)state;
    const struct certificate_leaf leaf = {
        .root = "root",
        .name = "short",
        .alternative_names = "URI:spiffe://keystead/region/ap-seoul-1/frontend/short",
        .not_after_s = time(NULL) + 3};
    certificates_leaf(world.certs, &leaf, NULL);
    struct ks_rpc_channel *channel = world_channel_of("short");
    struct ks_rpc_stream *stream =
        world_open_stream(channel, SERVICE "Execute", &execute_callbacks);
    send_items(stream, 1);
    await_true(world_count(&world.result_count) >= 1);
    while (time(NULL) < leaf.not_after_s) {
        fixture_sleep_ms(50);
    }

    send_items(stream, 1);

    await_true(world_count(&world.closed_count) == 1);
    assert_int_equal(world.closed_code, KS_UNAUTHENTICATED);
    assert_int_equal(world_count(&world.result_count), 1);
    struct ks_rpc_stream *again = world_open_stream(channel, SERVICE "Execute", &execute_callbacks);
    await_true(world_count(&world.closed_count) == 2);
    assert_int_equal(world.closed_code, KS_UNAUTHENTICATED);
    ks_rpc_stream_unref(stream);
    ks_rpc_stream_unref(again);
    ks_rpc_channel_free(channel);
}

static void a_custodian_kit_goes_to_the_hsm_and_is_for_operators_alone(void **state)
{
    (void)state;
    KS_BUFFER_AUTO response = {.len_max = 65536};
    KS_BUFFER_AUTO kit = {.len_max = 65536};
    INTERNAL(PutCustodiansRequest) put = INTERNAL_NEW(PUT_CUSTODIANS_REQUEST);
    ks_fake_hsm_sign_kit(world.hsm, 1, &kit);
    put.period = 1;
    put.kit = ks_lend_bytes(ks_buffer_bytes(&kit));
    assert_int_equal(call("frontend", SERVICE "PutCustodians", &put.base, &response),
                     KS_ACCESS_DENIED);
    assert_int_equal(ks_fake_hsm_kit_period(world.hsm), 0);
    assert_int_equal(call("operator", SERVICE "PutCustodians", &put.base, &response), KS_OK);
    assert_int_equal(ks_fake_hsm_kit_period(world.hsm), 1);
}

static void an_operator_sees_how_it_is_and_rotates(void **state)
{
    (void)state;
    KS_ARENA_AUTO arena = {.len_max = ARENA_MAX};
    const INTERNAL(GetStatusResponse) *status = NULL;
    for (int i = 0; i < 1000 && !(status && status->hsm_ready && status->domain_generation); i++) {
        status = status_of(&arena);
    }
    assert_true(status->hsm_ready);
    assert_string_equal(status->zone, ZONE);
    assert_int_equal(status->domain_generation, 1);
    assert_int_equal(status->n_alarms, 0);
    assert_int_equal(status->refused_records, 0);
    assert_true(status->window_left_ms > 0);
    assert_true(status->traffic->hsm_requests >= status->traffic->hsm_frames);
    assert_true(status->traffic->hsm_frames > 0);
    assert_int_equal(status->traffic->items, 0);

    KS_BUFFER_AUTO response = {.len_max = 65536};
    INTERNAL(RotateDomainKeyRequest) rotate = INTERNAL_NEW(ROTATE_DOMAIN_KEY_REQUEST);
    rotate.from_generation = 1;
    assert_int_equal(call("operator", SERVICE "RotateDomainKey", &rotate.base, &response), KS_OK);
    await_true(ks_fake_hsm_holds(world.hsm, 2));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_frontend_gets_a_result_for_each_item_many_in_one_message),
        TEST(what_is_no_request_ends_its_stream_and_no_other),
        TEST(a_bad_item_is_answered_and_ends_no_stream),
        TEST(items_that_need_the_hsm_go_back_together),
        TEST(a_frontend_that_reads_nothing_loses_its_stream_and_no_result_in_silence),
        TEST(a_new_accounts_create_key_is_answered_while_the_keystore_drains),
        TEST(each_method_is_for_those_it_is_for),
        TEST(a_certificate_that_has_ended_ends_what_stands),
        TEST(a_custodian_kit_goes_to_the_hsm_and_is_for_operators_alone),
        TEST(an_operator_sees_how_it_is_and_rotates),
    };
    return cmocka_run_group_tests(tests, world_group_set_up, world_group_tear_down);
}
