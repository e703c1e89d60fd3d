#include "pkg/rpc/server.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>

#include "pkg/base/clock.h"
#include "pkg/base/mem.h"
#include "pkg/rpc/loop.h"
#include "pkg/rpc/server_core.h"

#define MESSAGE_BYTES_DEFAULT      (4U * 1024U * 1024U)
#define CALLS_DEFAULT              4096U
#define STREAMS_DEFAULT            1024U
#define CONNECTION_STREAMS_DEFAULT 1024U
#define MEMORY_BYTES_DEFAULT       (512U * 1024U * 1024U)
#define CONNECTION_AGE_GRACE_MS    10000

/* A peer that does not answer for 20 s + 10 s has gone; one that pings too often is sent away. */
#define KEEPALIVE_TIME_MS    20000
#define KEEPALIVE_TIMEOUT_MS 10000
#define CLIENT_PING_LEAST_MS 5000
#define PING_STRIKES_MAX     3

#define IDENTITY_ONLY 1U /* of the compression algorithms, as a bit set: none */

#define ARGS_MAX 20U

struct args {
    grpc_arg rows[ARGS_MAX];
    size_t count;
};

static void put_number(struct args *args, const char *name, int64_t value)
{
    assert(args->count < ARGS_MAX);
    assert(value >= 0 && value <= INT32_MAX);

    args->rows[args->count++] = (grpc_arg){
        .type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)name, .value.integer = (int)value};
}

static void fill_args(struct args *args, const struct ks_rpc_server_options *options)
{
    put_number(args, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int64_t)options->message_bytes_max);
    put_number(args, GRPC_ARG_MAX_CONCURRENT_STREAMS, (int64_t)options->connection_streams_max);
    put_number(args, GRPC_ARG_MAX_METADATA_SIZE, KS_RPC_METADATA_SIZE);
    put_number(args, GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, IDENTITY_ONLY);
    put_number(args, GRPC_ARG_KEEPALIVE_TIME_MS, KEEPALIVE_TIME_MS);
    put_number(args, GRPC_ARG_KEEPALIVE_TIMEOUT_MS, KEEPALIVE_TIMEOUT_MS);
    put_number(args, GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    put_number(args, GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, CLIENT_PING_LEAST_MS);
    put_number(args, GRPC_ARG_HTTP2_MAX_PING_STRIKES, PING_STRIKES_MAX);
    /* Otherwise a second process could share the port, unnoticed by both. */
    put_number(args, GRPC_ARG_ALLOW_REUSEPORT, 0);
    if (options->connection_age_max_ms > 0) {
        put_number(args, GRPC_ARG_MAX_CONNECTION_AGE_MS, options->connection_age_max_ms);
        put_number(args, GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, CONNECTION_AGE_GRACE_MS);
    }
}

static void or_default(size_t *value, size_t otherwise)
{
    if (*value == 0) {
        *value = otherwise;
    }
}

static void take_options(struct ks_rpc_server *server, const struct ks_rpc_server_options *options)
{
    server->options = *options;
    or_default(&server->options.message_bytes_max, MESSAGE_BYTES_DEFAULT);
    or_default(&server->options.calls_max, CALLS_DEFAULT);
    or_default(&server->options.streams_max, STREAMS_DEFAULT);
    or_default(&server->options.connection_streams_max, CONNECTION_STREAMS_DEFAULT);
    or_default(&server->options.stream_queue_bytes_max, KS_RPC_STREAM_QUEUE_BYTES);
    or_default(&server->options.memory_bytes_max, MEMORY_BYTES_DEFAULT);
    for (size_t i = 0; i < options->loop_count; i++) {
        server->lanes[i].server = server;
        server->lanes[i].loop = options->loops[i];
        server->lanes[i].peers.options = &server->options;
    }
}

static void add_row(struct ks_rpc_server *server, const struct ks_rpc_method *row)
{
    assert(server->row_count < KS_RPC_ROWS_MAX);
    assert(row->path && row->path[0] == '/');
    assert(!row->unary != !row->stream);

    struct ks_rpc_method *copy = &server->rows[server->row_count++];
    *copy = *row;
    or_default(&copy->request_bytes_max, server->options.message_bytes_max);
}

static void add_rows(struct ks_rpc_server *server)
{
    for (size_t i = 0; i < server->options.method_count; i++) {
        add_row(server, &server->options.methods[i]);
    }
    server->health = ks_rpc_health_new();
    server->reflection = ks_rpc_reflection_new(server);
    const struct ks_rpc_method builtins[] = {
        {.path = KS_RPC_HEALTH_SERVICE "Check",
         .unary = ks_rpc_health_check,
         .user = server->health,
         .request_bytes_max = KS_RPC_BUILTIN_BYTES_MAX},
        {.path = KS_RPC_HEALTH_SERVICE "Watch",
         .stream = &ks_rpc_health_watch,
         .one_request = true,
         .user = server->health,
         .request_bytes_max = KS_RPC_BUILTIN_BYTES_MAX},
        {.path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
         .stream = &ks_rpc_reflect,
         .user = server->reflection,
         .request_bytes_max = KS_RPC_BUILTIN_BYTES_MAX},
        {.path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
         .stream = &ks_rpc_reflect,
         .user = server->reflection,
         .request_bytes_max = KS_RPC_BUILTIN_BYTES_MAX},
    };
    static_assert(KS_COUNT(builtins) <= KS_RPC_BUILTINS_MAX, "ROWS_MAX has room for them");
    for (size_t i = 0; i < KS_COUNT(builtins); i++) {
        add_row(server, &builtins[i]);
    }
    /* What reflection lists it must describe. A server without descriptors is a test's. */
    bool describes = server->options.descriptors.len > 0;
    for (size_t i = 0; describes && i < server->row_count; i++) {
        assert(ks_rpc_reflection_describes(server->reflection, server->rows[i].path));
    }
}

static bool is_health(const struct ks_rpc_method *row)
{
    return strncmp(row->path, KS_RPC_HEALTH_SERVICE, strlen(KS_RPC_HEALTH_SERVICE)) == 0;
}

static void register_rows(struct ks_rpc_listener *listener)
{
    struct ks_rpc_server *server = listener->server;
    for (size_t i = 0; i < server->row_count; i++) {
        const struct ks_rpc_method *row = &server->rows[i];
        if (listener->is_probe && !is_health(row)) {
            continue;
        }
        listener->registered[i] = grpc_server_register_method(
            listener->core, row->path, NULL,
            row->unary ? GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER : GRPC_SRM_PAYLOAD_NONE, 0);
        assert(listener->registered[i]); /* no path stands there twice */
    }
}

static grpc_server *core_new(const struct ks_rpc_server *server)
{
    struct args args = {0};
    fill_args(&args, &server->options);
    grpc_resource_quota *quota = grpc_resource_quota_create("server");
    grpc_resource_quota_resize(quota, server->options.memory_bytes_max);
    args.rows[args.count++] = (grpc_arg){
        .type = GRPC_ARG_POINTER,
        .key = (char *)(uintptr_t)GRPC_ARG_RESOURCE_QUOTA,
        .value.pointer = {.p = quota, .vtable = grpc_resource_quota_arg_vtable()},
    };
    const grpc_channel_args list = {args.count, args.rows};
    grpc_server *core = grpc_server_create(&list, NULL);
    grpc_resource_quota_unref(quota);
    return core;
}

static void step_shutdown(void *owner, bool ok)
{
    (void)ok;
    struct ks_rpc_listener *listener = owner;
    struct ks_rpc_server *server = listener->server;
    pthread_mutex_lock(&server->lock);
    server->listening--;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

/* The library does not say why it cannot listen: without the certificates it could, or not. */
static ks_result why_not(const struct ks_rpc_listener *listener, const char *address)
{
    grpc_server_credentials *none = grpc_insecure_server_credentials_create();
    int port = grpc_server_add_http2_port(listener->core, address, none);
    grpc_server_credentials_release(none);
    return port > 0 ? KS_RES(VALIDATION) : KS_RES(CONFLICT);
}

/* Takes the credentials. On failure the listener has its core all the same, to be shut down. */
static ks_result listen_on(struct ks_rpc_listener *listener, const char *address,
                           grpc_server_credentials *credentials)
{
    struct ks_rpc_server *server = listener->server;
    listener->on_shutdown = KS_RPC_TAG(step_shutdown, listener);
    listener->core = core_new(server);
    server->listening++;
    for (size_t i = 0; i < server->options.loop_count; i++) {
        grpc_server_register_completion_queue(listener->core,
                                              ks_rpc_loop_queue(server->options.loops[i]), NULL);
    }
    register_rows(listener);
    listener->port = grpc_server_add_http2_port(listener->core, address, credentials);
    grpc_server_credentials_release(credentials);
    return listener->port > 0 ? KS_RES(OK) : why_not(listener, address);
}

static ks_result listen_all(struct ks_rpc_server *server)
{
    grpc_server_credentials *credentials = NULL;
    KS_TRY(ks_rpc_identity_serve(server->identity, &credentials));
    KS_TRY(listen_on(&server->main, server->options.address, credentials));
    if (server->options.probe_address) {
        KS_TRY(listen_on(&server->probe, server->options.probe_address,
                         grpc_insecure_server_credentials_create()));
    }
    grpc_server_start(server->main.core);
    ks_rpc_listener_serve(&server->main);
    if (server->probe.core) {
        grpc_server_start(server->probe.core);
        ks_rpc_listener_serve(&server->probe);
    }
    return KS_RES(OK);
}

static void init_lock(struct ks_rpc_server *server)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&server->lock, NULL);
}

ks_result ks_rpc_server_new(const struct ks_rpc_server_options *options,
                            struct ks_rpc_server **ret_server)
{
    assert(options && options->address);
    assert(options->loop_count >= 1 && options->loop_count <= KS_RPC_LOOPS_MAX);
    assert(options->method_count <= KS_RPC_METHODS_MAX);

    struct ks_rpc_server *server = ks_alloc(1, sizeof(*server));
    init_lock(server);
    take_options(server, options);
    server->main.server = server;
    server->probe = (struct ks_rpc_listener){.server = server, .is_probe = true};
    server->identity = ks_rpc_identity_new(&options->tls);
    add_rows(server);
    ks_result r = listen_all(server);
    if (ks_failed(r)) {
        ks_rpc_server_free(server);
        return r;
    }
    *ret_server = server;
    return KS_RES(OK);
}

int ks_rpc_server_port(const struct ks_rpc_server *server)
{
    return server->main.port;
}

int ks_rpc_server_probe_port(const struct ks_rpc_server *server)
{
    return server->probe.port;
}

void ks_rpc_server_hold(struct ks_rpc_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->objects++;
    pthread_mutex_unlock(&server->lock);
}

void ks_rpc_server_release(struct ks_rpc_server *server)
{
    pthread_mutex_lock(&server->lock);
    assert(server->objects > 0);
    server->objects--;
    if (server->objects == 0) {
        pthread_cond_broadcast(&server->changed);
    }
    pthread_mutex_unlock(&server->lock);
}

static void sleep_ms(int64_t ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * KS_NS_PER_MS};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

static void shut_down(struct ks_rpc_listener *listener)
{
    if (listener->core) {
        grpc_server_shutdown_and_notify(listener->core,
                                        ks_rpc_loop_queue(listener->server->lanes[0].loop),
                                        ks_rpc_tag_begin(&listener->on_shutdown));
    }
}

/* Until the listeners' last calls have gone, or wait_ms have passed. */
static void wait_for_calls(struct ks_rpc_server *server, int64_t wait_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t nsec = until.tv_nsec + wait_ms % 1000 * KS_NS_PER_MS;
    until.tv_sec += wait_ms / 1000 + nsec / KS_NS_PER_S;
    until.tv_nsec = nsec % KS_NS_PER_S;
    pthread_mutex_lock(&server->lock);
    int timed_out = 0;
    while (server->listening > 0 && !timed_out) {
        timed_out = pthread_cond_timedwait(&server->changed, &server->lock, &until);
    }
    pthread_mutex_unlock(&server->lock);
}

void ks_rpc_server_drain(struct ks_rpc_server *server, int64_t notice_ms, int64_t grace_ms)
{
    assert(server && !server->drained);
    assert(notice_ms >= 0 && grace_ms >= 0);

    server->drained = true;
    ks_rpc_health_stop(server->health);
    sleep_ms(notice_ms);
    ks_rpc_health_end_watches(server->health);
    shut_down(&server->main);
    shut_down(&server->probe);
    wait_for_calls(server, grace_ms);
    if (server->main.core) {
        grpc_server_cancel_all_calls(server->main.core);
    }
    if (server->probe.core) {
        grpc_server_cancel_all_calls(server->probe.core);
    }
}

static void wait_for_all(struct ks_rpc_server *server)
{
    pthread_mutex_lock(&server->lock);
    while (server->listening > 0 || server->objects > 0) {
        pthread_cond_wait(&server->changed, &server->lock);
    }
    pthread_mutex_unlock(&server->lock);
}

void ks_rpc_server_free(struct ks_rpc_server *server)
{
    if (!server) {
        return;
    }
    for (size_t i = 0; i < server->options.loop_count; i++) {
        assert(!ks_rpc_loop_is_current(server->lanes[i].loop));
    }
    if (!server->drained) {
        ks_rpc_server_drain(server, 0, 0);
    }
    wait_for_all(server);
    for (size_t i = 0; i < server->options.loop_count; i++) {
        ks_rpc_peers_done(&server->lanes[i].peers);
    }
    if (server->main.core) {
        grpc_server_destroy(server->main.core);
    }
    if (server->probe.core) {
        grpc_server_destroy(server->probe.core);
    }
    ks_rpc_health_free(server->health);
    ks_rpc_reflection_free(server->reflection);
    ks_rpc_identity_free(server->identity);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    ks_free(server);
}
