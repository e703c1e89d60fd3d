/* Health, reflection, the probe's listener and drain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "pkg/base/clock.h"
#include "pkg/base/mem.h"
#include "pkg/rpc/rpc_fixture.h"
#include "pkg/rpc/wire.h"

#define CHECK           "/grpc.health.v1.Health/Check"
#define WATCH           "/grpc.health.v1.Health/Watch"
#define REFLECT_V1      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
#define REFLECT_V1ALPHA "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
#define SMALL_MAX       16384U
#define COMMAND_MAX     600U
#define NOTICE_MS       300
#define OUTSTANDING     16

enum { SERVING = 1, NOT_SERVING = 2, SERVICE_UNKNOWN = 3 };

static struct gauge finished = GAUGE_INIT;
static atomic_int failures;
static atomic_bool stopping;
static struct ks_rpc_call *_Atomic held;
static struct gauge holding = GAUGE_INIT;

static void echo(void *user, struct ks_rpc_call *call)
{
    (void)user;
    ks_rpc_call_reply(call, ks_rpc_call_request(call));
}

static void hold(void *user, struct ks_rpc_call *call)
{
    (void)user;
    held = call;
    gauge_raise(&holding);
}

static const struct ks_rpc_method methods[] = {
    {.path = "/test.v1.Service/Echo", .unary = echo},
    {.path = "/test.v1.Service/Hold", .unary = hold, .watch_cancel = true},
    {.path = "/test.v1.Other/Echo", .unary = echo},
};

/* Two files; b.proto imports a.proto. See descriptors_test for the lookups themselves. */
static const char descriptors[] = "\x0a\x1f"
                                  "\x0a\x07"
                                  "a.proto"
                                  "\x12\x07"
                                  "test.v1"
                                  "\x22\x0b"
                                  "\x0a\x09"
                                  "Requested"
                                  "\x0a\x47"
                                  "\x0a\x07"
                                  "b.proto"
                                  "\x12\x07"
                                  "test.v1"
                                  "\x1a\x07"
                                  "a.proto"
                                  "\x32\x19"
                                  "\x0a\x07"
                                  "Service"
                                  "\x12\x06\x0a\x04"
                                  "Echo"
                                  "\x12\x06\x0a\x04"
                                  "Hold"
                                  "\x32\x0f"
                                  "\x0a\x05"
                                  "Other"
                                  "\x12\x06\x0a\x04"
                                  "Echo";

static struct ks_rpc_server *server;
static struct ks_rpc_channel *channel;

static int start(void **state)
{
    (void)state;
    gauge_reset(&finished);
    gauge_reset(&holding);
    failures = 0;
    stopping = false;
    server = fixture_server((struct ks_rpc_server_options){.methods = methods,
                                                           .method_count = KS_COUNT(methods),
                                                           .descriptors = KS_LITERAL(descriptors),
                                                           .probe_address = "127.0.0.1:0"});
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

/* With a ref for the caller. */
static struct ks_rpc_stream *
open_stream(const char *method, const struct ks_rpc_stream_callbacks *callbacks, void *user)
{
    struct ks_rpc_stream *stream = NULL;
    const struct ks_rpc_stream_options options = {
        .method = method, .callbacks = callbacks, .user = user, .ret_ref = &stream};
    ks_rpc_stream_open(channel, &options);
    return stream;
}

static void put_name(struct ks_buffer *to, uint32_t number, const char *name)
{
    bool full = false;
    ks_rpc_wire_put_bytes(to, number, ks_bytes_of(name), &full);
    assert_false(full);
}

/* The status that Check gives; 0 for NOT_FOUND. */
static uint64_t check(const char *service)
{
    KS_BUFFER_AUTO request = {.len_max = SMALL_MAX};
    KS_BUFFER_AUTO response = {.len_max = SMALL_MAX};
    put_name(&request, 1, service);
    ks_result r = fixture_call(channel, CHECK, ks_buffer_bytes(&request), &response, NULL);
    if (r.code == KS_NOT_FOUND) {
        return 0;
    }
    assert_int_equal(r.code, KS_OK);
    return ks_rpc_wire_value(ks_buffer_bytes(&response), 1);
}

static void check_tells_each_services_health(void **state)
{
    (void)state;

    assert_int_equal(check(""), SERVING);
    assert_int_equal(check("test.v1.Service"), 0);
    ks_rpc_health_set(server, "test.v1.Service", true);
    assert_int_equal(check("test.v1.Service"), SERVING);
    ks_rpc_health_set(server, "test.v1.Service", false);
    assert_int_equal(check("test.v1.Service"), NOT_SERVING);
    assert_int_equal(check(""), SERVING);
}

/* What a watch saw, as digits: "131". */
struct watcher {
    struct gauge seen;
    struct gauge closed;
    char statuses[16];
    ks_code code;
};
#define WATCHER_INIT                                                                               \
    {                                                                                              \
        .seen = GAUGE_INIT, .closed = GAUGE_INIT                                                   \
    }

static void on_status(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    (void)stream;
    struct watcher *watcher = user;
    int count = gauge_read(&watcher->seen);
    if (count < (int)sizeof(watcher->statuses) - 1) {
        watcher->statuses[count] = (char)('0' + ks_rpc_wire_value(message, 1));
    }
    gauge_raise(&watcher->seen);
}

static void on_watch_close(void *user, struct ks_rpc_stream *stream,
                           const struct ks_rpc_error *error)
{
    (void)stream;
    struct watcher *watcher = user;
    watcher->code = error->code;
    gauge_raise(&watcher->closed);
}

static const struct ks_rpc_stream_callbacks watch_callbacks = {.on_message = on_status,
                                                               .on_close = on_watch_close};

static struct ks_rpc_stream *watch(struct watcher *watcher, const char *service)
{
    struct ks_rpc_stream *stream = open_stream(WATCH, &watch_callbacks, watcher);
    KS_BUFFER_AUTO request = {.len_max = SMALL_MAX};
    put_name(&request, 1, service);
    assert_int_equal(ks_rpc_stream_send_buffer(stream, &request).code, KS_OK);
    ks_rpc_stream_finish(stream, NULL);
    gauge_await(&watcher->seen, 1);
    return stream;
}

static void watch_tells_every_change_in_order(void **state)
{
    (void)state;
    struct watcher whole = WATCHER_INIT;
    struct watcher late = WATCHER_INIT;
    struct ks_rpc_stream *streams[] = {watch(&whole, ""), watch(&late, "test.v1.Late")};

    ks_rpc_health_set(server, "", true); /* no change */
    ks_rpc_health_set(server, "", false);
    ks_rpc_health_set(server, "test.v1.Late", true);
    ks_rpc_health_set(server, "", true);
    gauge_await(&whole.seen, 3);
    gauge_await(&late.seen, 2);
    ks_rpc_server_drain(server, 0, FIXTURE_WAIT_MS);
    gauge_await(&whole.closed, 1);
    gauge_await(&late.closed, 1);

    assert_string_equal(whole.statuses, "1212");
    assert_string_equal(late.statuses, "312");
    assert_int_equal(whole.code, KS_UNAVAILABLE);
    ks_rpc_stream_unref(streams[0]);
    ks_rpc_stream_unref(streams[1]);
}

/* Whether a client without a certificate, and without our library, gets an OK. */
static bool probe_is_answered(const char *method)
{
    char command[COMMAND_MAX];
    snprintf(command, sizeof(command),
             "printf '\\0\\0\\0\\0\\0' | curl -s --http2-prior-knowledge --data-binary @- "
             "-H 'content-type: application/grpc' -H 'te: trailers' -D %s -o /dev/null "
             "http://127.0.0.1:%d%s; grep -qi 'grpc-status: 0' %s",
             fixture_path("head"), ks_rpc_server_probe_port(server), method, fixture_path("head"));
    return system(command) == 0;
}

static void the_probe_serves_health_alone_and_without_a_certificate(void **state)
{
    (void)state;

    assert_true(probe_is_answered(CHECK));
    assert_false(probe_is_answered("/test.v1.Service/Echo"));
    assert_false(probe_is_answered(REFLECT_V1));
}

/* A client that calls as fast as it can until it is told to stop. */
static void again(void *user, ks_code code, const struct ks_rpc_reply *reply)
{
    (void)user;
    (void)reply;
    if (code != KS_OK) {
        failures++;
    }
    if (stopping || code != KS_OK) {
        gauge_raise(&finished);
        return;
    }
    ks_rpc_unary(channel, "/test.v1.Service/Echo", KS_LITERAL("x"), FIXTURE_WAIT_MS, again, NULL);
}

static void stop_calling(void *arg)
{
    (void)arg;
    stopping = true;
}

/* It takes a client a moment to move away. */
static void on_not_serving(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    on_status(user, stream, message);
    if (ks_rpc_wire_value(message, 1) == NOT_SERVING) {
        ks_rpc_loop_after(fixture_client_loop, NOTICE_MS / 3, stop_calling, NULL);
    }
}

/* The library's own shutdown loses such calls; the notice is what saves them. */
static void drain_loses_no_call_of_a_client_that_watches(void **state)
{
    (void)state;
    static const struct ks_rpc_stream_callbacks callbacks = {.on_message = on_not_serving};
    struct watcher watcher = WATCHER_INIT;
    struct ks_rpc_stream *stream = open_stream(WATCH, &callbacks, &watcher);
    assert_int_equal(ks_rpc_stream_send(stream, (ks_bytes){0}).code, KS_OK);
    ks_rpc_stream_finish(stream, NULL); /* a watch takes one request */
    gauge_await(&watcher.seen, 1);

    for (int i = 0; i < OUTSTANDING; i++) {
        again(NULL, KS_OK, NULL);
    }
    ks_rpc_server_drain(server, NOTICE_MS, FIXTURE_WAIT_MS);
    gauge_await(&finished, OUTSTANDING);

    assert_int_equal(failures, 0);
    ks_rpc_stream_unref(stream);
}

static void on_held_reply(void *user, ks_code code, const struct ks_rpc_reply *reply)
{
    (void)user;
    (void)reply;
    failures += code != KS_OK;
    gauge_raise(&finished);
}

static void answer_held(void *arg)
{
    (void)arg;
    ks_rpc_call_reply(held, (ks_bytes){0});
}

static void answer_held_later(void *arg)
{
    (void)arg;
    ks_rpc_loop_after(fixture_loop, NOTICE_MS, answer_held, NULL);
}

static void drain_waits_for_calls_in_progress(void **state)
{
    (void)state;
    ks_rpc_unary(channel, "/test.v1.Service/Hold", (ks_bytes){0}, FIXTURE_WAIT_MS, on_held_reply,
                 NULL);
    gauge_await(&holding, 1);

    ks_rpc_loop_post(fixture_loop, answer_held_later, NULL);
    ks_rpc_server_drain(server, 0, FIXTURE_WAIT_MS);
    gauge_await(&finished, 1);

    assert_int_equal(failures, 0);
}

static void drain_cancels_what_is_left_after_its_grace(void **state)
{
    (void)state;
    ks_rpc_unary(channel, "/test.v1.Service/Hold", (ks_bytes){0}, FIXTURE_WAIT_MS, on_held_reply,
                 NULL);
    gauge_await(&holding, 1);
    int64_t before_ns = ks_clock_boot_ns(&ks_clock_system);

    ks_rpc_server_drain(server, 0, NOTICE_MS);
    gauge_await(&finished, 1);

    assert_int_equal(failures, 1);
    assert_true(ks_clock_boot_ns(&ks_clock_system) - before_ns < FIXTURE_WAIT_MS * KS_NS_PER_MS);
    while (!ks_rpc_call_cancelled(held)) {
    }
    ks_rpc_call_fail_code(held, KS_UNAVAILABLE);
}

/* Asks one question and hands the answer's bytes over. */
struct asker {
    struct gauge answered;
    struct gauge closed;
    struct ks_buffer answer;
};

static void on_answer(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    (void)stream;
    struct asker *asker = user;
    assert_int_equal(ks_buffer_append(&asker->answer, message).code, KS_OK);
    gauge_raise(&asker->answered);
}

static void on_asked(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)stream;
    assert_int_equal(error->code, KS_OK);
    gauge_raise(&((struct asker *)user)->closed);
}

static void ask(const char *method, uint32_t question, const char *argument, struct asker *asker)
{
    static const struct ks_rpc_stream_callbacks callbacks = {.on_message = on_answer,
                                                             .on_close = on_asked};
    struct ks_rpc_stream *stream = open_stream(method, &callbacks, asker);
    KS_BUFFER_AUTO request = {.len_max = SMALL_MAX};
    put_name(&request, question, argument);
    ks_bytes sent = ks_buffer_bytes(&request);
    assert_int_equal(ks_rpc_stream_send(stream, sent).code, KS_OK);
    ks_rpc_stream_finish(stream, NULL);
    gauge_await(&asker->closed, 1);
    assert_int_equal(gauge_read(&asker->answered), 1);
    assert_true(ks_bytes_equal(ks_rpc_wire_bytes(ks_buffer_bytes(&asker->answer), 2), sent));
    ks_rpc_stream_unref(stream);
}

static size_t count_fields(ks_bytes message, uint32_t number)
{
    size_t count = 0;
    struct ks_rpc_wire_field field;
    bool damaged = false;
    while (ks_rpc_wire_next(&message, &field, &damaged)) {
        count += field.number == number;
    }
    assert_false(damaged);
    return count;
}

#define ASKER_INIT                                                                                 \
    {                                                                                              \
        .answered = GAUGE_INIT, .closed = GAUGE_INIT, .answer = {.len_max = SMALL_MAX }            \
    }

static void reflection_lists_every_service_once(void **state)
{
    (void)state;
    const char *const versions[] = {REFLECT_V1, REFLECT_V1ALPHA};

    for (size_t i = 0; i < KS_COUNT(versions); i++) {
        struct asker asker = ASKER_INIT;
        ask(versions[i], 7, "", &asker);
        ks_bytes services = ks_rpc_wire_bytes(ks_buffer_bytes(&asker.answer), 6);
        assert_int_equal(count_fields(services, 1), 5); /* two, health, two of reflection */
        ks_buffer_done(&asker.answer);
    }
}

/* The name of the service at index of a list; an empty one behind the last. */
static ks_bytes service_name(ks_bytes services, size_t index)
{
    struct ks_rpc_wire_field field;
    bool damaged = false;
    for (size_t i = 0; ks_rpc_wire_next(&services, &field, &damaged); i++) {
        if (i == index) {
            return ks_rpc_wire_bytes(field.bytes, 1);
        }
    }
    return (ks_bytes){0};
}

static void assert_described(const char *version, const char *symbol)
{
    struct asker asker = ASKER_INIT;
    ask(version, 4, symbol, &asker);
    ks_bytes files = ks_rpc_wire_bytes(ks_buffer_bytes(&asker.answer), 4);
    if (count_fields(files, 1) == 0) {
        fail_msg("%s is not described", symbol);
    }
    ks_buffer_done(&asker.answer);
}

/* Tools look up each service that was listed, and the types of an error's details. */
static void reflection_describes_all_that_it_lists_and_the_details_of_errors(void **state)
{
    (void)state;
    const char *const versions[] = {REFLECT_V1, REFLECT_V1ALPHA};
    const char *const details[] = {"google.rpc.Status",        "google.rpc.ErrorInfo",
                                   "google.rpc.RetryInfo",     "google.rpc.BadRequest",
                                   "google.protobuf.Duration", "google.protobuf.Any"};

    for (size_t i = 0; i < KS_COUNT(versions); i++) {
        struct asker asker = ASKER_INIT;
        ask(versions[i], 7, "", &asker);
        ks_bytes services = ks_rpc_wire_bytes(ks_buffer_bytes(&asker.answer), 6);
        for (size_t at = 0; at < count_fields(services, 1); at++) {
            char *name = ks_bytes_dup(service_name(services, at));
            assert_described(versions[i], name);
            ks_free(name);
        }
        ks_buffer_done(&asker.answer);
        for (size_t at = 0; at < KS_COUNT(details); at++) {
            assert_described(versions[i], details[at]);
        }
    }
}

static void reflection_finds_files_and_refuses_what_is_not_there(void **state)
{
    (void)state;
    static const struct {
        uint32_t question;
        const char *argument;
        size_t files;  /* 0: an error */
        uint64_t code; /* of the error: gRPC's number */
    } rows[] = {
        {3, "a.proto", 1, 0},
        {3, "b.proto", 2, 0},
        {3, "c.proto", 0, 5},
        {4, "test.v1.Service", 2, 0},
        {4, "test.v1.Requested", 1, 0},
        {4, "test.v1.Nothing", 0, 5},
        {5, "", 0, 5},
        {6, "test.v1.Nothing", 0, 5},
        {9, "", 0, 3},
    };

    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        struct asker asker = ASKER_INIT;
        ask(REFLECT_V1, rows[i].question, rows[i].argument, &asker);
        ks_bytes answer = ks_buffer_bytes(&asker.answer);
        assert_int_equal(count_fields(ks_rpc_wire_bytes(answer, 4), 1), rows[i].files);
        assert_int_equal(ks_rpc_wire_value(ks_rpc_wire_bytes(answer, 7), 1), rows[i].code);
        ks_buffer_done(&asker.answer);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(check_tells_each_services_health),
        CASE(watch_tells_every_change_in_order),
        CASE(the_probe_serves_health_alone_and_without_a_certificate),
        CASE(drain_loses_no_call_of_a_client_that_watches),
        CASE(drain_waits_for_calls_in_progress),
        CASE(drain_cancels_what_is_left_after_its_grace),
        CASE(reflection_lists_every_service_once),
        CASE(reflection_describes_all_that_it_lists_and_the_details_of_errors),
        CASE(reflection_finds_files_and_refuses_what_is_not_there),
    };
    return cmocka_run_group_tests_name("health", tests, fixture_setup, fixture_teardown);
}
