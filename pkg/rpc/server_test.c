#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/clock.h"
#include "pkg/base/mem.h"
#include "pkg/rpc/rpc_fixture.h"

#define REQUEST_MAX       1000U
#define DEADLINE_MS       1000
#define CONNECTION_AGE_MS 300

static struct gauge handled = GAUGE_INIT;
static struct gauge answered = GAUGE_INIT;
static struct gauge admitted = GAUGE_INIT;
static struct gauge forgotten = GAUGE_INIT;
static struct ks_rpc_call *_Atomic held; /* by hold, until the test answers it */
static ks_code last_code;

static void echo(void *user, struct ks_rpc_call *call)
{
    (void)user;
    gauge_raise(&handled);
    ks_rpc_call_reply(call, ks_rpc_call_request(call));
}

static void echo_buffer(void *user, struct ks_rpc_call *call)
{
    (void)user;
    KS_BUFFER_AUTO response = {.len_max = REQUEST_MAX};
    assert_int_equal(ks_buffer_append(&response, ks_rpc_call_request(call)).code, KS_OK);
    ks_rpc_call_reply_buffer(call, &response);
    assert_int_equal(response.len, 0);
}

static void refuse(void *user, struct ks_rpc_call *call)
{
    (void)user;
    const struct ks_rpc_status status = {
        .code = KS_THROTTLED,
        .text = "slower, please",
        .metadata = {{"account", "111122223333"}, {"limit", "rps"}},
        .metadata_count = 2,
        .retry_delay_ms = 1250,
        .violations = {{"grant.name", "too long"}},
        .violation_count = 1,
    };
    ks_rpc_call_fail(call, &status);
}

static void hold(void *user, struct ks_rpc_call *call)
{
    (void)user;
    held = call;
    gauge_raise(&handled);
}

static void who(void *user, struct ks_rpc_call *call)
{
    (void)user;
    ks_rpc_call_reply(call, ks_bytes_of(ks_rpc_call_peer(call)->spiffe));
}

static void session(void *user, struct ks_rpc_call *call)
{
    (void)user;
    ks_rpc_call_reply(call, ks_bytes_of(ks_rpc_call_peer(call)->session));
}

static void certificate(void *user, struct ks_rpc_call *call)
{
    (void)user;
    ks_rpc_call_reply(call, ks_bytes_of(ks_rpc_call_peer(call)->certificate_pem));
}

static const struct ks_rpc_method methods[] = {
    {.path = "/test.Service/Echo", .unary = echo, .request_bytes_max = REQUEST_MAX},
    {.path = "/test.Service/EchoBuffer", .unary = echo_buffer},
    {.path = "/test.Service/Fail", .unary = refuse},
    {.path = "/test.Service/Hold", .unary = hold},
    {.path = "/test.Service/Watched", .unary = hold, .watch_cancel = true},
    {.path = "/test.Service/Who", .unary = who},
    {.path = "/test.Service/Session", .unary = session},
    {.path = "/test.Service/Certificate", .unary = certificate},
};

/* Clients of /client/ may come in. */
static ks_result admit(void *user, const struct ks_rpc_peer *peer, void **ret_session)
{
    (void)user;
    gauge_raise(&admitted);
    if (!ks_bytes_starts_with(ks_bytes_of(peer->spiffe), KS_LITERAL("spiffe://test/client/"))) {
        return KS_RES(ACCESS_DENIED);
    }
    *ret_session = ks_strdup("seen");
    return KS_RES(OK);
}

static void forget(void *user, void *seen)
{
    (void)user;
    gauge_raise(&forgotten);
    ks_free(seen);
}

static struct ks_rpc_server *server;
static struct ks_rpc_channel *channel;

static int start(void **state)
{
    (void)state;
    gauge_reset(&handled);
    gauge_reset(&answered);
    gauge_reset(&admitted);
    gauge_reset(&forgotten);
    held = NULL;
    server = fixture_server((struct ks_rpc_server_options){.methods = methods,
                                                           .method_count = KS_COUNT(methods),
                                                           .calls_max = 2,
                                                           .message_bytes_max = 100 * REQUEST_MAX,
                                                           .admit = admit,
                                                           .forget = forget});
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

static void on_reply(void *user, ks_code code, const struct ks_rpc_reply *reply)
{
    (void)user;
    (void)reply;
    last_code = code;
    gauge_raise(&answered);
}

static void answers_with_what_the_handler_gave(void **state)
{
    (void)state;
    KS_BUFFER_AUTO response = {.len_max = REQUEST_MAX};

    ks_result r = fixture_call(channel, "/test.Service/Echo", KS_LITERAL("hello"), &response, NULL);

    assert_int_equal(r.code, KS_OK);
    assert_true(ks_bytes_equal(ks_buffer_bytes(&response), KS_LITERAL("hello")));
}

static void answers_with_a_buffer_and_with_nothing(void **state)
{
    (void)state;
    KS_BUFFER_AUTO response = {.len_max = REQUEST_MAX};

    assert_int_equal(
        fixture_call(channel, "/test.Service/EchoBuffer", KS_LITERAL("taken"), &response, NULL)
            .code,
        KS_OK);
    assert_true(ks_bytes_equal(ks_buffer_bytes(&response), KS_LITERAL("taken")));
    ks_buffer_done(&response);
    assert_int_equal(
        fixture_call(channel, "/test.Service/EchoBuffer", (ks_bytes){0}, &response, NULL).code,
        KS_OK);
    assert_int_equal(response.len, 0);
}

/* A client switches on the reason; the rest tells it what to do. */
static void an_error_arrives_with_all_its_details(void **state)
{
    (void)state;
    KS_BUFFER_AUTO response = {.len_max = REQUEST_MAX};
    struct ks_rpc_error error = {0};

    ks_result r = fixture_call(channel, "/test.Service/Fail", (ks_bytes){0}, &response, &error);

    assert_int_equal(r.code, KS_THROTTLED);
    assert_int_equal(error.code, KS_THROTTLED);
    assert_string_equal(error.reason, "ThrottlingException");
    assert_string_equal(error.text, "slower, please");
    assert_int_equal(error.metadata_count, 2);
    assert_string_equal(ks_rpc_error_entry(&error, "account"), "111122223333");
    assert_string_equal(ks_rpc_error_entry(&error, "limit"), "rps");
    assert_null(ks_rpc_error_entry(&error, "other"));
    assert_int_equal(error.retry_delay_ms, 1250);
    assert_string_equal(error.violated_field, "grant.name");
    assert_string_equal(error.violation, "too long");
}

static void an_unknown_method_is_unsupported(void **state)
{
    (void)state;
    KS_BUFFER_AUTO response = {.len_max = REQUEST_MAX};

    for (int i = 0; i < 20; i++) {
        struct ks_rpc_error error = {0};
        ks_result r =
            fixture_call(channel, "/test.Service/Nothing", (ks_bytes){0}, &response, &error);
        assert_int_equal(r.code, KS_UNSUPPORTED);
        assert_string_equal(error.text, "unknown method /test.Service/Nothing");
    }
}

static ks_code echo_of(size_t len)
{
    uint8_t *request = ks_alloc(len, 1);
    KS_BUFFER_AUTO response = {.len_max = 2 * len};
    ks_result r =
        fixture_call(channel, "/test.Service/Echo", (ks_bytes){request, len}, &response, NULL);
    ks_free(request);
    return r.code;
}

static void a_request_is_refused_above_the_methods_and_above_the_servers_limit(void **state)
{
    (void)state;

    assert_int_equal(echo_of(REQUEST_MAX - 1), KS_OK);
    assert_int_equal(echo_of(REQUEST_MAX), KS_OK);
    assert_int_equal(echo_of(REQUEST_MAX + 1), KS_LIMIT_EXCEEDED);
    assert_int_equal(echo_of(101 * REQUEST_MAX), KS_LIMIT_EXCEEDED);
    assert_int_equal(echo_of(1), KS_OK);
}

static void a_request_that_is_too_long_is_told_the_limit(void **state)
{
    (void)state;
    static const uint8_t request[REQUEST_MAX + 1];
    KS_BUFFER_AUTO response = {.len_max = REQUEST_MAX};
    struct ks_rpc_error error = {0};

    ks_result r = fixture_call(channel, "/test.Service/Echo", (ks_bytes){request, sizeof(request)},
                               &response, &error);

    assert_int_equal(r.code, KS_LIMIT_EXCEEDED);
    assert_string_equal(error.text,
                        "the request message has 1001 bytes; this method takes at most 1000");
}

static void calls_over_the_maximum_are_throttled(void **state)
{
    (void)state;

    ks_rpc_unary(channel, "/test.Service/Hold", (ks_bytes){0}, FIXTURE_WAIT_MS, on_reply, NULL);
    gauge_await(&handled, 1);
    struct ks_rpc_call *first = held;
    ks_rpc_unary(channel, "/test.Service/Hold", (ks_bytes){0}, FIXTURE_WAIT_MS, on_reply, NULL);
    gauge_await(&handled, 2);
    assert_int_equal(echo_of(1), KS_THROTTLED);
    ks_rpc_call_reply(first, (ks_bytes){0});
    ks_rpc_call_reply(held, (ks_bytes){0});
    gauge_await(&answered, 2);
    assert_int_equal(last_code, KS_OK);
    assert_int_equal(echo_of(1), KS_OK);
}

static void the_deadline_reaches_the_handler_and_ends_the_call(void **state)
{
    (void)state;
    assert_int_equal(echo_of(1), KS_OK); /* The connection stands. */
    gauge_reset(&handled);
    int64_t before_ns = ks_clock_boot_ns(&ks_clock_system);

    ks_rpc_unary(channel, "/test.Service/Hold", (ks_bytes){0}, DEADLINE_MS, on_reply, NULL);
    gauge_await(&handled, 1);
    int64_t deadline_ns = ks_rpc_call_deadline_ns(held);
    gauge_await(&answered, 1);

    assert_int_equal(last_code, KS_DEADLINE);
    assert_true(deadline_ns > before_ns);
    /* gRPC rounds a timeout up when it sends it. */
    assert_true(deadline_ns < before_ns + 3 * DEADLINE_MS * KS_NS_PER_MS);
    while (!ks_rpc_call_cancelled(held)) {
    }
    ks_rpc_call_reply(held, (ks_bytes){0});
}

/* Only with watch_cancel: the deadline is far away. */
static void a_watched_call_learns_that_its_client_has_gone(void **state)
{
    (void)state;
    struct ks_rpc_channel *leaving = fixture_channel(server, "client");
    ks_rpc_unary(leaving, "/test.Service/Watched", (ks_bytes){0}, FIXTURE_WAIT_MS, on_reply, NULL);
    gauge_await(&handled, 1);
    assert_false(ks_rpc_call_cancelled(held));

    ks_rpc_channel_free(leaving);

    assert_int_equal(gauge_read(&answered), 1);
    assert_int_equal(last_code, KS_CANCELLED);
    while (!ks_rpc_call_cancelled(held)) {
    }
    ks_rpc_call_fail_code(held, KS_CANCELLED);
}

static void the_peer_is_known_by_its_uri_and_certificate(void **state)
{
    (void)state;
    KS_BUFFER_AUTO response = {.len_max = 8 * REQUEST_MAX};

    assert_int_equal(
        fixture_call(channel, "/test.Service/Who", (ks_bytes){0}, &response, NULL).code, KS_OK);
    assert_true(ks_bytes_equal(ks_buffer_bytes(&response), KS_LITERAL("spiffe://test/client/a")));
    ks_buffer_done(&response);
    assert_int_equal(
        fixture_call(channel, "/test.Service/Certificate", (ks_bytes){0}, &response, NULL).code,
        KS_OK);
    assert_true(ks_bytes_starts_with(ks_buffer_bytes(&response),
                                     KS_LITERAL("-----BEGIN CERTIFICATE-----")));
}

static void a_peer_is_admitted_once_a_connection_and_then_forgotten(void **state)
{
    (void)state;
    KS_BUFFER_AUTO response = {.len_max = REQUEST_MAX};

    for (int i = 0; i < 50; i++) {
        assert_int_equal(
            fixture_call(channel, "/test.Service/Session", (ks_bytes){0}, &response, NULL).code,
            KS_OK);
    }
    assert_int_equal(response.len, 50 * strlen("seen"));
    assert_int_equal(gauge_read(&admitted), 1);
    stop(NULL);
    assert_int_equal(gauge_read(&forgotten), 1);
    start(NULL);
}

static void a_peer_that_is_not_admitted_reaches_no_handler(void **state)
{
    (void)state;
    KS_BUFFER_AUTO response = {.len_max = REQUEST_MAX};
    const char *const refused[] = {"stranger", "nameless"};

    for (size_t i = 0; i < KS_COUNT(refused); i++) {
        struct ks_rpc_channel *other = fixture_channel(server, refused[i]);
        ks_result r = fixture_call(other, "/test.Service/Echo", KS_LITERAL("x"), &response, NULL);
        assert_int_equal(r.code, KS_ACCESS_DENIED);
        r = fixture_call(other, "/grpc.health.v1.Health/Check", (ks_bytes){0}, &response, NULL);
        assert_int_equal(r.code, KS_ACCESS_DENIED);
        ks_rpc_channel_free(other);
    }
    assert_int_equal(gauge_read(&handled), 0);
}

static void an_address_in_use_is_a_conflict(void **state)
{
    (void)state;
    char address[32];
    snprintf(address, sizeof(address), "127.0.0.1:%d", ks_rpc_server_port(server));
    const struct ks_rpc_server_options options = {.address = address,
                                                  .tls = fixture_tls("root", "server"),
                                                  .loops = &fixture_loop,
                                                  .loop_count = 1};
    struct ks_rpc_server *second = NULL;

    assert_int_equal(ks_rpc_server_new(&options, &second).code, KS_CONFLICT);
    assert_null(second);
}

static void a_missing_certificate_is_told_at_once(void **state)
{
    (void)state;
    const struct ks_rpc_server_options options = {.address = "127.0.0.1:0",
                                                  .tls = fixture_tls("root", "nobody"),
                                                  .loops = &fixture_loop,
                                                  .loop_count = 1};
    struct ks_rpc_server *second = NULL;

    assert_int_equal(ks_rpc_server_new(&options, &second).code, KS_VALIDATION);
}

static void a_pair_that_does_not_fit_is_told_at_once(void **state)
{
    (void)state;
    struct ks_rpc_tls tls = fixture_tls("root", "server");
    tls.key_file = fixture_path("client.key");
    const struct ks_rpc_server_options options = {
        .address = "127.0.0.1:0", .tls = tls, .loops = &fixture_loop, .loop_count = 1};
    struct ks_rpc_server *second = NULL;

    assert_int_equal(ks_rpc_server_new(&options, &second).code, KS_VALIDATION);
}

/* The client is told to go, and comes again, without a call lost. */
static void an_old_connection_is_replaced(void **state)
{
    (void)state;
    struct ks_rpc_server *restless =
        fixture_server((struct ks_rpc_server_options){.methods = methods,
                                                      .method_count = KS_COUNT(methods),
                                                      .admit = admit,
                                                      .forget = forget,
                                                      .connection_age_max_ms = CONNECTION_AGE_MS});
    struct ks_rpc_channel *other = fixture_channel(restless, "client");
    int64_t until_ns = ks_clock_boot_ns(&ks_clock_system) + FIXTURE_WAIT_MS * KS_NS_PER_MS;

    while (gauge_read(&admitted) < 3 && ks_clock_boot_ns(&ks_clock_system) < until_ns) {
        KS_BUFFER_AUTO response = {.len_max = REQUEST_MAX};
        assert_int_equal(
            fixture_call(other, "/test.Service/Echo", KS_LITERAL("x"), &response, NULL).code,
            KS_OK);
    }

    assert_int_equal(gauge_read(&admitted), 3);
    ks_rpc_channel_free(other);
    ks_rpc_server_free(restless);
}

static void a_server_that_is_away_is_unavailable(void **state)
{
    (void)state;
    KS_BUFFER_AUTO response = {.len_max = REQUEST_MAX};
    struct ks_rpc_channel *nowhere =
        fixture_channel_to(1, fixture_tls("root", "client"), "spiffe://test/server/");

    ks_result r = fixture_call(nowhere, "/test.Service/Echo", (ks_bytes){0}, &response, NULL);

    assert_int_equal(r.code, KS_UNAVAILABLE);
    ks_rpc_channel_free(nowhere);
}

static void nothing_said(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    (void)user;
    (void)stream;
    (void)message;
}

static void ended(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)user;
    (void)stream;
    last_code = error ? error->code : KS_OK;
    gauge_raise(&answered);
}

static const struct ks_rpc_stream_callbacks unfinished = {.on_message = nothing_said,
                                                          .on_close = ended};

/* A client that never ends its request takes a place: two are all there are. */
static void counts_requests_whose_end_has_not_come(void **state)
{
    (void)state;
    struct ks_rpc_stream *streams[3];
    for (size_t i = 0; i < KS_COUNT(streams); i++) {
        const struct ks_rpc_stream_options options = {
            .method = "/test.Service/Echo", .callbacks = &unfinished, .ret_ref = &streams[i]};
        (void)ks_rpc_stream_open(channel, &options);
        assert_int_equal(ks_rpc_stream_send(streams[i], KS_LITERAL("hello")).code, KS_OK);
    }

    gauge_await(&answered, 1);

    assert_int_equal(last_code, KS_THROTTLED);
    assert_int_equal(gauge_read(&handled), 0);
    for (size_t i = 0; i < KS_COUNT(streams); i++) {
        ks_rpc_stream_cancel(streams[i]);
    }
    gauge_await(&answered, KS_COUNT(streams));
    for (size_t i = 0; i < KS_COUNT(streams); i++) {
        ks_rpc_stream_unref(streams[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts_requests_whose_end_has_not_come, start, stop),
        cmocka_unit_test_setup_teardown(answers_with_what_the_handler_gave, start, stop),
        cmocka_unit_test_setup_teardown(answers_with_a_buffer_and_with_nothing, start, stop),
        cmocka_unit_test_setup_teardown(an_error_arrives_with_all_its_details, start, stop),
        cmocka_unit_test_setup_teardown(an_unknown_method_is_unsupported, start, stop),
        cmocka_unit_test_setup_teardown(
            a_request_is_refused_above_the_methods_and_above_the_servers_limit, start, stop),
        cmocka_unit_test_setup_teardown(a_request_that_is_too_long_is_told_the_limit, start, stop),
        cmocka_unit_test_setup_teardown(calls_over_the_maximum_are_throttled, start, stop),
        cmocka_unit_test_setup_teardown(the_deadline_reaches_the_handler_and_ends_the_call, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_watched_call_learns_that_its_client_has_gone, start,
                                        stop),
        cmocka_unit_test_setup_teardown(the_peer_is_known_by_its_uri_and_certificate, start, stop),
        cmocka_unit_test_setup_teardown(a_peer_is_admitted_once_a_connection_and_then_forgotten,
                                        start, stop),
        cmocka_unit_test_setup_teardown(a_peer_that_is_not_admitted_reaches_no_handler, start,
                                        stop),
        cmocka_unit_test_setup_teardown(an_address_in_use_is_a_conflict, start, stop),
        cmocka_unit_test_setup_teardown(a_missing_certificate_is_told_at_once, start, stop),
        cmocka_unit_test_setup_teardown(a_pair_that_does_not_fit_is_told_at_once, start, stop),
        cmocka_unit_test_setup_teardown(an_old_connection_is_replaced, start, stop),
        cmocka_unit_test_setup_teardown(a_server_that_is_away_is_unavailable, start, stop),
    };
    return cmocka_run_group_tests_name("server", tests, fixture_setup, fixture_teardown);
}
