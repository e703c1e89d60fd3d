/*
 * Nothing runs without exactly one whole message. tests/harness/raw_http2.py sends what no gRPC
 * library would; here stand the handlers, which must not notice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/rpc/rpc_fixture.h"

#define COMMAND_LEN_MAX 2000U
#define CLIENT          "tests/harness/raw_http2.py"

static struct gauge handled = GAUGE_INIT;

static void run(void *user, struct ks_rpc_call *call)
{
    (void)user;
    gauge_raise(&handled);
    ks_rpc_call_reply(call, ks_rpc_call_request(call));
}

static void on_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    (void)user;
    gauge_raise(&handled);
    assert_int_equal(ks_rpc_stream_send(stream, message).code, KS_OK);
}

static const struct ks_rpc_stream_callbacks many = {.on_message = on_message};

static void on_one(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    on_message(user, stream, message);
    ks_rpc_stream_finish(stream, NULL);
}

static const struct ks_rpc_stream_callbacks one = {.on_message = on_one};

static const struct ks_rpc_method methods[] = {
    {.path = "/test.Service/Unary", .unary = run},
    {.path = "/test.Service/Watched", .unary = run, .watch_cancel = true},
    {.path = "/test.Service/One", .stream = &one, .one_request = true},
    {.path = "/test.Service/Many", .stream = &many},
};

/* Runs the client against server, with options that name the methods. */
static int send_everything(const struct ks_rpc_server *server, const char *options)
{
    struct ks_rpc_tls tls = fixture_tls("root", "client");
    char command[COMMAND_LEN_MAX];
    snprintf(command, sizeof(command),
             "python3 " CLIENT " --port %d --ca %s --certificate %s --key %s %s",
             ks_rpc_server_port(server), tls.ca_file, tls.cert_file, tls.key_file, options);
    return system(command);
}

static int count_handled(const char *options)
{
    gauge_reset(&handled);
    struct ks_rpc_server *server = fixture_server(
        (struct ks_rpc_server_options){.methods = methods, .method_count = KS_COUNT(methods)});
    int failed = send_everything(server, options);
    ks_rpc_server_free(server); /* Every call that came has ended. */
    assert_int_equal(failed, 0);
    return gauge_read(&handled);
}

static void no_handler_runs_without_exactly_one_message(void **state)
{
    (void)state;

    assert_int_equal(count_handled("--one /test.Service/Unary --one /test.Service/Watched"
                                   " --one /test.Service/One"),
                     0);
}

/* What the others refuse is not refused for another reason. */
static void a_whole_message_in_any_pieces_is_served(void **state)
{
    (void)state;

    assert_int_equal(count_handled("--echo /test.Service/Unary --echo /test.Service/Watched"
                                   " --echo /test.Service/One"),
                     12);
}

static void no_stream_takes_a_part_for_a_message(void **state)
{
    (void)state;

    assert_int_equal(count_handled("--any /test.Service/Many"), 0);
}

static void health_and_reflection_answer_nothing_without_a_message(void **state)
{
    (void)state;

    count_handled("--one /grpc.health.v1.Health/Check --one /grpc.health.v1.Health/Watch"
                  " --any /grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
                  " --any /grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_handler_runs_without_exactly_one_message),
        cmocka_unit_test(a_whole_message_in_any_pieces_is_served),
        cmocka_unit_test(no_stream_takes_a_part_for_a_message),
        cmocka_unit_test(health_and_reflection_answer_nothing_without_a_message),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
