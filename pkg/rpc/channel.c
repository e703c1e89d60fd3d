#include "pkg/rpc/channel.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>

#include "pkg/base/mem.h"
#include "pkg/rpc/identity.h"
#include "pkg/rpc/loop.h"
#include "pkg/rpc/tag.h"

#define MESSAGE_BYTES_DEFAULT (4U * 1024U * 1024U)

/*
 * The library's own waits are for the internet: 1 s before the second attempt, growing to 2 min.
 * Here a server that was restarted is back within a second.
 */
#define RECONNECT_FIRST_MS 100
#define RECONNECT_MOST_MS  1000
#define CONNECT_LEAST_MS   5000 /* for one attempt: a handshake on a machine that starts up */

#define KEEPALIVE_TIME_MS    10000 /* seldom enough for server.c */
#define KEEPALIVE_TIMEOUT_MS 5000

#define IDENTITY_ONLY 1U /* of the compression algorithms, as a bit set: none */

struct ks_rpc_connection {
    grpc_channel *core;
    atomic_uint refs;
};

struct ks_rpc_channel {
    char *address;
    char *server_spiffe;
    size_t message_bytes_max;
    struct ks_rpc_loop *loop;

    /* Guards what follows: calls begin on any thread. */
    pthread_mutex_t lock;
    pthread_cond_t idle;
    struct ks_rpc_connection *current;
    struct ks_rpc_use uses; /* the ring's head */
    bool closing;
    bool stopped; /* the loop has let go of the timer */

    /* The loop's thread only, after new. */
    struct ks_rpc_identity *identity;
    struct ks_rpc_connection *candidate; /* with newer files; NULL: none */
    struct ks_rpc_timer *renewal;
};

struct ks_rpc_loop *ks_rpc_channel_loop(const struct ks_rpc_channel *channel)
{
    return channel->loop;
}

size_t ks_rpc_channel_message_bytes_max(const struct ks_rpc_channel *channel)
{
    return channel->message_bytes_max;
}

static void connection_unref(struct ks_rpc_connection *connection)
{
    if (!connection || atomic_fetch_sub(&connection->refs, 1) != 1) {
        return;
    }
    grpc_channel_destroy(connection->core);
    ks_free(connection);
}

static grpc_channel *core_new(const struct ks_rpc_channel *channel,
                              grpc_channel_credentials *credentials)
{
    const struct setting {
        const char *name;
        int value;
    } settings[] = {
        {GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)channel->message_bytes_max},
        {GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, IDENTITY_ONLY},
        {GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1}, /* two channels are two connections */
        {GRPC_ARG_ENABLE_RETRIES, 1},            /* of what no server has seen */
        {GRPC_ARG_ENABLE_HTTP_PROXY, 0},         /* whatever the environment says */
        {GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1},
        {GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, RECONNECT_FIRST_MS},
        {GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, RECONNECT_MOST_MS},
        {GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, CONNECT_LEAST_MS},
        {GRPC_ARG_KEEPALIVE_TIME_MS, KEEPALIVE_TIME_MS},
        {GRPC_ARG_KEEPALIVE_TIMEOUT_MS, KEEPALIVE_TIMEOUT_MS},
        {GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0}, /* as many as keepalive wants */
    };
    grpc_arg rows[KS_COUNT(settings)];
    for (size_t i = 0; i < KS_COUNT(settings); i++) {
        rows[i] = (grpc_arg){.type = GRPC_ARG_INTEGER,
                             .key = (char *)(uintptr_t)settings[i].name,
                             .value.integer = settings[i].value};
    }
    const grpc_channel_args args = {KS_COUNT(rows), rows};
    return grpc_channel_create(channel->address, credentials, &args);
}

static ks_result connection_new(struct ks_rpc_channel *channel,
                                struct ks_rpc_connection **ret_connection)
{
    grpc_channel_credentials *credentials = NULL;
    KS_TRY(ks_rpc_identity_connect(channel->identity, channel->server_spiffe, &credentials));
    grpc_channel *core = core_new(channel, credentials);
    grpc_channel_credentials_release(credentials);
    if (!core) {
        return KS_RES(INTERNAL);
    }
    struct ks_rpc_connection *connection = ks_alloc(1, sizeof(*connection));
    connection->core = core;
    atomic_init(&connection->refs, 1);
    *ret_connection = connection;
    return KS_RES(OK);
}

/* The candidate takes over once its handshake has shown that the files are good. */
static void try_candidate(struct ks_rpc_channel *channel)
{
    struct ks_rpc_connection *candidate = channel->candidate;
    if (!candidate ||
        grpc_channel_check_connectivity_state(candidate->core, 1) != GRPC_CHANNEL_READY) {
        return;
    }
    channel->candidate = NULL;
    pthread_mutex_lock(&channel->lock);
    struct ks_rpc_connection *before = channel->current;
    channel->current = candidate;
    pthread_mutex_unlock(&channel->lock);
    connection_unref(before);
}

static void renew(void *arg)
{
    struct ks_rpc_channel *channel = arg;
    try_candidate(channel);
    struct ks_rpc_connection *newer = NULL;
    /* A failure to read is no news: the next turn looks again. */
    if (ks_rpc_identity_changed(channel->identity) && !ks_failed(connection_new(channel, &newer))) {
        connection_unref(channel->candidate);
        channel->candidate = newer;
        try_candidate(channel);
    }
    channel->renewal = ks_rpc_loop_after(channel->loop, KS_RPC_RENEW_MS, renew, channel);
}

static void start_renewal(void *arg)
{
    struct ks_rpc_channel *channel = arg;
    channel->renewal = ks_rpc_loop_after(channel->loop, KS_RPC_RENEW_MS, renew, channel);
}

static void stop_renewal(void *arg)
{
    struct ks_rpc_channel *channel = arg;
    ks_rpc_timer_cancel(channel->renewal);
    connection_unref(channel->candidate);
    channel->candidate = NULL;
    pthread_mutex_lock(&channel->lock);
    channel->stopped = true;
    pthread_cond_broadcast(&channel->idle);
    pthread_mutex_unlock(&channel->lock);
}

static void channel_delete(struct ks_rpc_channel *channel)
{
    connection_unref(channel->current);
    ks_rpc_identity_free(channel->identity);
    pthread_cond_destroy(&channel->idle);
    pthread_mutex_destroy(&channel->lock);
    ks_free(channel->address);
    ks_free(channel->server_spiffe);
    ks_free(channel);
}

ks_result ks_rpc_channel_new(const struct ks_rpc_channel_options *options,
                             struct ks_rpc_channel **ret_channel)
{
    assert(options->address && options->loop);
    assert(options->server_spiffe && options->server_spiffe[0]);

    struct ks_rpc_channel *channel = ks_alloc(1, sizeof(*channel));
    channel->address = ks_strdup(options->address);
    channel->server_spiffe = ks_strdup(options->server_spiffe);
    channel->message_bytes_max =
        options->message_bytes_max ? options->message_bytes_max : MESSAGE_BYTES_DEFAULT;
    assert(channel->message_bytes_max <= INT32_MAX);
    channel->loop = options->loop;
    channel->uses.next = &channel->uses;
    channel->uses.previous = &channel->uses;
    pthread_mutex_init(&channel->lock, NULL);
    pthread_cond_init(&channel->idle, NULL);
    channel->identity = ks_rpc_identity_new(&options->tls);
    ks_result r = connection_new(channel, &channel->current);
    if (ks_failed(r)) {
        channel_delete(channel);
        return r;
    }
    ks_rpc_loop_post(channel->loop, start_renewal, channel);
    *ret_channel = channel;
    return KS_RES(OK);
}

void ks_rpc_channel_free(struct ks_rpc_channel *channel)
{
    if (!channel) {
        return;
    }
    assert(!ks_rpc_loop_is_current(channel->loop));

    ks_rpc_loop_post(channel->loop, stop_renewal, channel);
    pthread_mutex_lock(&channel->lock);
    channel->closing = true;
    for (struct ks_rpc_use *use = channel->uses.next; use != &channel->uses; use = use->next) {
        use->cancel(use);
    }
    while (!channel->stopped || channel->uses.next != &channel->uses) {
        pthread_cond_wait(&channel->idle, &channel->lock);
    }
    pthread_mutex_unlock(&channel->lock);
    channel_delete(channel);
}

grpc_call *ks_rpc_use_begin(struct ks_rpc_channel *channel, struct ks_rpc_use *use,
                            const char *method, int64_t deadline_ms)
{
    assert(method && method[0] == '/');

    gpr_timespec deadline = gpr_inf_future(GPR_CLOCK_MONOTONIC);
    if (deadline_ms > 0) {
        deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                gpr_time_from_millis(deadline_ms, GPR_TIMESPAN));
    }
    pthread_mutex_lock(&channel->lock);
    struct ks_rpc_connection *connection = channel->current;
    atomic_fetch_add(&connection->refs, 1);
    pthread_mutex_unlock(&channel->lock);

    grpc_call *call = grpc_channel_create_call(
        connection->core, NULL, GRPC_PROPAGATE_DEFAULTS, ks_rpc_loop_queue(channel->loop),
        grpc_slice_from_static_string(method), NULL, deadline, NULL);
    use->channel = channel;
    use->connection = connection;
    return call;
}

void ks_rpc_use_expose(struct ks_rpc_use *use)
{
    struct ks_rpc_channel *channel = use->channel;
    pthread_mutex_lock(&channel->lock);
    use->next = &channel->uses;
    use->previous = channel->uses.previous;
    use->next->previous = use;
    use->previous->next = use;
    if (channel->closing) {
        use->cancel(use);
    }
    pthread_mutex_unlock(&channel->lock);
}

void ks_rpc_use_end(struct ks_rpc_use *use)
{
    struct ks_rpc_channel *channel = use->channel;
    struct ks_rpc_connection *connection = use->connection;
    pthread_mutex_lock(&channel->lock);
    use->next->previous = use->previous;
    use->previous->next = use->next;
    pthread_cond_broadcast(&channel->idle);
    pthread_mutex_unlock(&channel->lock);
    connection_unref(connection);
}
