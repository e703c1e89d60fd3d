#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/rpc/rpc_fixture.h"

#define MESSAGE_MAX (64U * 1024U)
#define QUEUE_BYTES (256U * 1024U)
#define MESSAGES    300
#define ITEMS       20000U
#define BATCH_MAX   (ITEMS * sizeof(uint32_t))
#define SENDERS     4
#define STREAMS_MAX 3
#define ECHO        "/test.Service/Echo"
#define COLLECT     "/test.Service/Collect"
#define REFUSED     "/test.Service/Refused"
#define FAILING     "/test.Service/Failing"
#define ONE_SIDED   "/test.Service/OneSided"

/* The server's side: what its callbacks saw. */
static struct gauge opened = GAUGE_INIT;
static struct gauge taken = GAUGE_INIT; /* messages */
static struct gauge items = GAUGE_INIT; /* of COLLECT */
static struct gauge closed = GAUGE_INIT;
static ks_code closed_with;
static uint32_t next_item;
static bool out_of_order;
static struct ks_rpc_stream *last_opened;

static ks_result server_open(void *user, struct ks_rpc_stream *stream)
{
    (void)user;
    assert_string_equal(ks_rpc_stream_peer(stream)->spiffe, "spiffe://test/client/a");
    last_opened = stream;
    gauge_raise(&opened);
    return KS_RES(OK);
}

static const struct ks_rpc_stream *held_back; /* by the test; on the server's loop */

/* It reads on when what it has sent is written: otherwise its own queue would fill. */
static void server_echo(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    (void)user;
    gauge_raise(&taken);
    assert_int_equal(ks_rpc_stream_send(stream, message).code, KS_OK);
    ks_rpc_stream_pause(stream);
}

static void server_written(void *user, struct ks_rpc_stream *stream)
{
    (void)user;
    if (stream != held_back) {
        ks_rpc_stream_resume(stream);
    }
}

/* Messages of many numbers, each one above the last. */
static void server_collect(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    (void)user;
    (void)stream;
    gauge_raise(&taken);
    for (size_t at = 0; at < message.len; at += sizeof(uint32_t)) {
        uint32_t item;
        memcpy(&item, message.ptr + at, sizeof(item));
        out_of_order |= item != next_item++;
    }
    if (next_item == ITEMS) {
        gauge_raise(&items);
    }
}

static void server_close(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)user;
    (void)stream;
    closed_with = error->code;
    gauge_raise(&closed);
}

static ks_result server_refuse(void *user, struct ks_rpc_stream *stream)
{
    (void)user;
    (void)stream;
    return KS_RES(DISABLED);
}

static void server_fail(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    (void)user;
    const struct ks_rpc_status status = {
        .code = KS_STALE_VIEW, .metadata = {{"key_id", "k"}}, .metadata_count = 1};
    assert_int_equal(ks_rpc_stream_send(stream, message).code, KS_OK);
    ks_rpc_stream_finish(stream, &status);
    assert_int_equal(ks_rpc_stream_send(stream, message).code, KS_UNAVAILABLE);
}

static void server_goes_on(void *user, struct ks_rpc_stream *stream)
{
    (void)user;
    assert_int_equal(ks_rpc_stream_send(stream, KS_LITERAL("later")).code, KS_OK);
    ks_rpc_stream_finish(stream, NULL);
}

static const struct ks_rpc_stream_callbacks echo_callbacks = {.on_open = server_open,
                                                              .on_message = server_echo,
                                                              .on_writable = server_written,
                                                              .on_close = server_close};
static const struct ks_rpc_stream_callbacks collect_callbacks = {
    .on_open = server_open, .on_message = server_collect, .on_close = server_close};
static const struct ks_rpc_stream_callbacks refused_callbacks = {
    .on_open = server_refuse, .on_message = server_echo, .on_close = server_close};
static const struct ks_rpc_stream_callbacks failing_callbacks = {.on_message = server_fail};
static const struct ks_rpc_stream_callbacks one_sided_callbacks = {.on_half_close = server_goes_on,
                                                                   .on_close = server_close};

static const struct ks_rpc_method methods[] = {
    {.path = ECHO, .stream = &echo_callbacks, .request_bytes_max = MESSAGE_MAX},
    {.path = COLLECT, .stream = &collect_callbacks, .request_bytes_max = BATCH_MAX},
    {.path = REFUSED, .stream = &refused_callbacks},
    {.path = FAILING, .stream = &failing_callbacks},
    {.path = ONE_SIDED, .stream = &one_sided_callbacks},
};

/* The client's side. */
struct client {
    struct gauge opened;
    struct gauge received;
    struct gauge writable;
    struct gauge closed;
    struct ks_rpc_error error;
    uint8_t expected; /* first byte of the next message */
    bool out_of_order;
};
#define CLIENT_INIT                                                                                \
    {                                                                                              \
        .opened = GAUGE_INIT, .received = GAUGE_INIT, .writable = GAUGE_INIT, .closed = GAUGE_INIT \
    }

static ks_result client_open(void *user, struct ks_rpc_stream *stream)
{
    (void)stream;
    gauge_raise(&((struct client *)user)->opened);
    return KS_RES(OK);
}

static void client_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    (void)stream;
    struct client *client = user;
    client->out_of_order |= message.len == 0 || message.ptr[0] != client->expected;
    client->expected++;
    gauge_raise(&client->received);
}

static void client_writable(void *user, struct ks_rpc_stream *stream)
{
    (void)stream;
    gauge_raise(&((struct client *)user)->writable);
}

static void client_close(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)stream;
    struct client *client = user;
    client->error = *error;
    gauge_raise(&client->closed);
}

static const struct ks_rpc_stream_callbacks client_callbacks = {
    .on_open = client_open,
    .on_message = client_message,
    .on_writable = client_writable,
    .on_close = client_close,
};

static struct ks_rpc_server *server;
static struct ks_rpc_channel *channel;

static int start(void **state)
{
    (void)state;
    gauge_reset(&opened);
    gauge_reset(&taken);
    gauge_reset(&items);
    gauge_reset(&closed);
    next_item = 0;
    out_of_order = false;
    server = fixture_server((struct ks_rpc_server_options){
        .methods = methods, .method_count = KS_COUNT(methods), .streams_max = STREAMS_MAX});
    channel = fixture_channel(server, "client");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ks_rpc_channel_free(channel);
    ks_rpc_server_free(server);
    return 0;
}

static struct ks_rpc_stream *open_to(struct ks_rpc_channel *to, const char *method,
                                     struct client *client)
{
    struct ks_rpc_stream *stream = NULL;
    const struct ks_rpc_stream_options options = {.method = method,
                                                  .callbacks = &client_callbacks,
                                                  .user = client,
                                                  .queue_bytes_max = QUEUE_BYTES,
                                                  .ret_ref = &stream};
    ks_rpc_stream_open(to, &options);
    return stream;
}

static ks_result send_numbered(struct ks_rpc_stream *stream, uint8_t first, size_t len)
{
    KS_BUFFER_AUTO message = {.len_max = MESSAGE_MAX + 1};
    uint8_t *place;
    assert_int_equal(ks_buffer_extend(&message, len, &place).code, KS_OK);
    place[0] = first;
    ks_result r = ks_rpc_stream_send_buffer(stream, &message);
    assert_int_equal(message.len, ks_failed(r) ? len : 0);
    return r;
}

static void messages_come_back_in_order_and_a_half_close_ends_it(void **state)
{
    (void)state;
    struct client client = CLIENT_INIT;
    struct ks_rpc_stream *stream = open_to(channel, ECHO, &client);

    for (int i = 0; i < MESSAGES; i++) {
        assert_int_equal(send_numbered(stream, (uint8_t)i, 100).code, KS_OK);
    }
    ks_rpc_stream_finish(stream, NULL);
    gauge_await(&client.closed, 1);

    assert_int_equal(gauge_read(&client.opened), 1);
    assert_int_equal(gauge_read(&client.received), MESSAGES);
    assert_false(client.out_of_order);
    assert_int_equal(client.error.code, KS_OK);
    gauge_await(&closed, 1);
    assert_int_equal(closed_with, KS_OK);
    ks_rpc_stream_unref(stream);
}

/* A sender as stream.h describes it. */
struct collector {
    pthread_mutex_t lock;
    struct ks_buffer batch;
    struct ks_rpc_stream *stream;
    atomic_uint sent; /* messages */
};

static void flush(struct collector *collector)
{
    pthread_mutex_lock(&collector->lock);
    if (collector->batch.len > 0 && ks_rpc_stream_ready(collector->stream)) {
        atomic_fetch_add(&collector->sent, 1);
        assert_int_equal(ks_rpc_stream_send_buffer(collector->stream, &collector->batch).code,
                         KS_OK);
    }
    pthread_mutex_unlock(&collector->lock);
}

static void collector_writable(void *user, struct ks_rpc_stream *stream)
{
    (void)stream;
    flush(user);
}

/* No item is left behind, whatever the interleaving of the sender and on_writable. */
static void items_are_gathered_while_a_write_is_under_way(void **state)
{
    (void)state;
    static const struct ks_rpc_stream_callbacks callbacks = {.on_writable = collector_writable};
    struct collector collector = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                  .batch = {.len_max = BATCH_MAX}};
    const struct ks_rpc_stream_options options = {.method = COLLECT,
                                                  .callbacks = &callbacks,
                                                  .user = &collector,
                                                  .ret_ref = &collector.stream};
    ks_rpc_stream_open(channel, &options);

    for (uint32_t i = 0; i < ITEMS; i++) {
        pthread_mutex_lock(&collector.lock);
        ks_result r =
            ks_buffer_append(&collector.batch, (ks_bytes){(const uint8_t *)&i, sizeof(i)});
        pthread_mutex_unlock(&collector.lock);
        assert_int_equal(r.code, KS_OK);
        flush(&collector);
    }
    gauge_await(&items, 1);

    assert_false(out_of_order);
    assert_int_equal(gauge_read(&taken), atomic_load(&collector.sent));
    assert_true(atomic_load(&collector.sent) < ITEMS / 2);
    ks_rpc_stream_finish(collector.stream, NULL);
    gauge_await(&closed, 1);
    ks_rpc_stream_unref(collector.stream);
}

static void pause_last(void *arg)
{
    held_back = last_opened;
    ks_rpc_stream_pause(last_opened);
    gauge_raise(arg);
}

static void pause_server(void)
{
    struct gauge paused = GAUGE_INIT;
    ks_rpc_loop_post(fixture_loop, pause_last, &paused);
    gauge_await(&paused, 1);
}

static void resume_last(void *arg)
{
    (void)arg;
    held_back = NULL;
    ks_rpc_stream_resume(last_opened);
}

/* What comes back on the second stream has overtaken what waits on the first. */
static void a_paused_stream_hands_out_at_most_the_message_being_read(void **state)
{
    (void)state;
    struct client clients[2] = {CLIENT_INIT, CLIENT_INIT};
    struct ks_rpc_stream *other = open_to(channel, ECHO, &clients[1]);
    gauge_await(&opened, 1);
    struct ks_rpc_stream *stream = open_to(channel, ECHO, &clients[0]);
    gauge_await(&opened, 2);
    pause_server();

    for (uint8_t i = 0; i < 3; i++) {
        assert_int_equal(send_numbered(stream, i, 1).code, KS_OK);
    }
    for (uint8_t i = 0; i < 3; i++) {
        assert_int_equal(send_numbered(other, i, 1).code, KS_OK);
        gauge_await(&clients[1].received, i + 1);
    }
    assert_true(gauge_read(&taken) <= 3 + 1);
    ks_rpc_loop_post(fixture_loop, resume_last, NULL);
    gauge_await(&clients[0].received, 3);

    assert_false(clients[0].out_of_order);
    ks_rpc_stream_finish(stream, NULL);
    ks_rpc_stream_finish(other, NULL);
    gauge_await(&clients[0].closed, 1);
    gauge_await(&clients[1].closed, 1);
    ks_rpc_stream_unref(stream);
    ks_rpc_stream_unref(other);
}

/* The bound is felt by the sender as an error, and what was accepted before it arrives. */
static void a_full_queue_refuses_and_drains_when_the_reader_goes_on(void **state)
{
    (void)state;
    struct client client = CLIENT_INIT;
    struct ks_rpc_stream *stream = open_to(channel, ECHO, &client);
    gauge_await(&opened, 1);
    pause_server();

    int accepted = 0;
    ks_result r = KS_RES(OK);
    for (int i = 0; i < 10000 && !ks_failed(r); i++) {
        r = send_numbered(stream, (uint8_t)accepted, MESSAGE_MAX);
        accepted += !ks_failed(r);
    }
    assert_int_equal(r.code, KS_LIMIT_EXCEEDED);
    assert_true(accepted >= (int)(QUEUE_BYTES / MESSAGE_MAX));
    assert_false(ks_rpc_stream_ready(stream));
    ks_rpc_loop_post(fixture_loop, resume_last, NULL);
    gauge_await(&client.received, accepted);

    assert_false(client.out_of_order);
    gauge_await(&client.writable, 1);
    ks_rpc_stream_finish(stream, NULL);
    gauge_await(&client.closed, 1);
    ks_rpc_stream_unref(stream);
}

static void the_servers_status_arrives_after_its_messages(void **state)
{
    (void)state;
    struct client client = CLIENT_INIT;
    struct ks_rpc_stream *stream = open_to(channel, FAILING, &client);

    assert_int_equal(send_numbered(stream, 0, 1).code, KS_OK);
    gauge_await(&client.closed, 1);

    assert_int_equal(gauge_read(&client.received), 1);
    assert_int_equal(client.error.code, KS_STALE_VIEW);
    assert_string_equal(ks_rpc_error_entry(&client.error, "key_id"), "k");
    assert_int_equal(send_numbered(stream, 0, 1).code, KS_UNAVAILABLE);
    ks_rpc_stream_finish(stream, NULL);
    ks_rpc_stream_cancel(stream);
    ks_rpc_stream_unref(stream);
}

static void a_server_may_go_on_after_a_half_close(void **state)
{
    (void)state;
    struct client client = {.opened = GAUGE_INIT,
                            .received = GAUGE_INIT,
                            .writable = GAUGE_INIT,
                            .closed = GAUGE_INIT,
                            .expected = 'l'};
    struct ks_rpc_stream *stream = open_to(channel, ONE_SIDED, &client);

    ks_rpc_stream_finish(stream, NULL);
    gauge_await(&client.closed, 1);

    assert_int_equal(gauge_read(&client.received), 1);
    assert_false(client.out_of_order);
    assert_int_equal(client.error.code, KS_OK);
    ks_rpc_stream_unref(stream);
}

static void a_refused_stream_is_told_why_and_its_owner_hears_nothing(void **state)
{
    (void)state;
    struct client client = CLIENT_INIT;
    struct ks_rpc_stream *stream = open_to(channel, REFUSED, &client);

    gauge_await(&client.closed, 1);

    assert_int_equal(client.error.code, KS_DISABLED);
    assert_int_equal(gauge_read(&taken), 0);
    stop(NULL);
    assert_int_equal(gauge_read(&closed), 0);
    start(NULL);
    ks_rpc_stream_unref(stream);
}

static void streams_over_the_maximum_are_throttled(void **state)
{
    (void)state;
    struct client clients[STREAMS_MAX + 1] = {CLIENT_INIT, CLIENT_INIT, CLIENT_INIT, CLIENT_INIT};
    struct ks_rpc_stream *streams[STREAMS_MAX + 1];
    for (int i = 0; i < STREAMS_MAX; i++) {
        streams[i] = open_to(channel, ECHO, &clients[i]);
        gauge_await(&opened, i + 1);
    }

    streams[STREAMS_MAX] = open_to(channel, ECHO, &clients[STREAMS_MAX]);
    gauge_await(&clients[STREAMS_MAX].closed, 1);

    assert_int_equal(clients[STREAMS_MAX].error.code, KS_THROTTLED);
    for (int i = 0; i < STREAMS_MAX; i++) {
        ks_rpc_stream_finish(streams[i], NULL);
        gauge_await(&clients[i].closed, 1);
        assert_int_equal(clients[i].error.code, KS_OK);
    }
    for (int i = 0; i <= STREAMS_MAX; i++) {
        ks_rpc_stream_unref(streams[i]);
    }
}

static void a_message_above_the_limit_ends_the_stream(void **state)
{
    (void)state;
    struct client client = CLIENT_INIT;
    struct ks_rpc_stream *stream = open_to(channel, ECHO, &client);

    assert_int_equal(send_numbered(stream, 0, MESSAGE_MAX).code, KS_OK);
    assert_int_equal(send_numbered(stream, 1, MESSAGE_MAX + 1).code, KS_OK);
    gauge_await(&client.closed, 1);

    assert_int_equal(gauge_read(&client.received), 1);
    assert_int_equal(client.error.code, KS_LIMIT_EXCEEDED);
    ks_rpc_stream_unref(stream);
}

static void a_cancelled_stream_closes_on_both_sides(void **state)
{
    (void)state;
    struct client client = CLIENT_INIT;
    struct ks_rpc_stream *stream = open_to(channel, ECHO, &client);
    gauge_await(&opened, 1);

    ks_rpc_stream_cancel(stream);
    gauge_await(&client.closed, 1);
    gauge_await(&closed, 1);

    assert_int_equal(client.error.code, KS_CANCELLED);
    assert_int_equal(closed_with, KS_CANCELLED);
    ks_rpc_stream_unref(stream);
}

static void freeing_either_end_closes_the_stream(void **state)
{
    (void)state;
    struct client clients[2] = {CLIENT_INIT, CLIENT_INIT};
    struct ks_rpc_stream *streams[2];
    streams[0] = open_to(channel, ECHO, &clients[0]);
    gauge_await(&opened, 1);

    ks_rpc_channel_free(channel);
    assert_int_equal(gauge_read(&clients[0].closed), 1);
    assert_int_equal(clients[0].error.code, KS_CANCELLED);
    gauge_await(&closed, 1);

    channel = fixture_channel(server, "client");
    streams[1] = open_to(channel, ECHO, &clients[1]);
    gauge_await(&opened, 2);
    ks_rpc_server_free(server);
    assert_int_equal(gauge_read(&closed), 2);
    gauge_await(&clients[1].closed, 1);
    assert_true(ks_retryable(clients[1].error.code));
    server = fixture_server((struct ks_rpc_server_options){0});
    ks_rpc_stream_unref(streams[0]);
    ks_rpc_stream_unref(streams[1]);
}

static void a_stream_to_nowhere_is_closed_without_being_opened(void **state)
{
    (void)state;
    struct client client = CLIENT_INIT;
    struct ks_rpc_channel *nowhere =
        fixture_channel_to(1, fixture_tls("root", "client"), "spiffe://test/server/");
    struct ks_rpc_stream *stream = open_to(nowhere, ECHO, &client);

    gauge_await(&client.closed, 1);

    assert_int_equal(client.error.code, KS_UNAVAILABLE);
    assert_int_equal(gauge_read(&client.opened), 0);
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(nowhere);
}

static void *send_many(void *arg)
{
    struct ks_rpc_stream *stream = arg;
    for (int i = 0; i < MESSAGES; i++) {
        ks_result r = ks_rpc_stream_send(stream, KS_LITERAL("x"));
        if (r.code == KS_LIMIT_EXCEEDED) {
            i--;
        }
    }
    return NULL;
}

static void several_threads_may_send(void **state)
{
    (void)state;
    struct client client = CLIENT_INIT;
    struct ks_rpc_stream *stream = open_to(channel, ECHO, &client);
    pthread_t threads[SENDERS];

    for (int i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, stream), 0);
    }
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
    }
    ks_rpc_stream_finish(stream, NULL);
    gauge_await(&client.closed, 1);

    assert_int_equal(gauge_read(&client.received), SENDERS * MESSAGES);
    assert_int_equal(client.error.code, KS_OK);
    ks_rpc_stream_unref(stream);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(messages_come_back_in_order_and_a_half_close_ends_it),
        CASE(items_are_gathered_while_a_write_is_under_way),
        CASE(a_paused_stream_hands_out_at_most_the_message_being_read),
        CASE(a_full_queue_refuses_and_drains_when_the_reader_goes_on),
        CASE(the_servers_status_arrives_after_its_messages),
        CASE(a_server_may_go_on_after_a_half_close),
        CASE(a_refused_stream_is_told_why_and_its_owner_hears_nothing),
        CASE(streams_over_the_maximum_are_throttled),
        CASE(a_message_above_the_limit_ends_the_stream),
        CASE(a_cancelled_stream_closes_on_both_sides),
        CASE(freeing_either_end_closes_the_stream),
        CASE(a_stream_to_nowhere_is_closed_without_being_opened),
        CASE(several_threads_may_send),
    };
    return cmocka_run_group_tests_name("stream", tests, fixture_setup, fixture_teardown);
}
