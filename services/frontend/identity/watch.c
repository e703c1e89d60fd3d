#include "services/frontend/identity/watch.h"

#include <assert.h>
#include <stdio.h>

#include "pkg/arn/spiffe.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/rpc/client.h"
#include "pkg/rpc/loop.h"

#define WATCH_IDENTITIES "/keystead.internal.v1.KeystoreService/WatchIdentities"

#define REOPEN_FIRST_MS   50
#define REOPEN_MAX_MS     2000
#define REQUEST_LEN_MAX   256U
#define MESSAGE_BYTES_MAX (16U * 1024U * 1024U)

/* The stream from one keystore. */
struct source {
    struct ks_watch *watch;
    size_t index;
    struct ks_rpc_channel *channel;
    struct ks_rpc_timer *reopening;
    int64_t reopen_ms;
};

struct ks_watch {
    struct ks_watch_options options;
    struct ks_mirror *mirror;
    char spiffe[KS_SPIFFE_LEN_MAX + 1]; /* of any keystore of the region */
    struct source sources[KS_MIRROR_SOURCES_MAX];
    bool told; /* on_first was called */
    bool started;
    bool closing;
};

static void open_stream(struct source *source);

static void reopen(void *arg)
{
    struct source *source = arg;
    source->reopening = NULL;
    open_stream(source);
}

static void on_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    struct source *source = user;
    struct ks_watch *watch = source->watch;
    if (ks_failed(ks_mirror_received(watch->mirror, source->index, message))) {
        ks_log(ERROR, "keystore sends identities that make no sense; asking anew",
               KS_TEXT("address", watch->options.addresses[source->index]));
        ks_rpc_stream_cancel(stream);
        return;
    }
    source->reopen_ms = REOPEN_FIRST_MS;
    if (!watch->told && ks_mirror_has_version(watch->mirror)) {
        watch->told = true;
        ks_log(INFO, "identities are here",
               KS_NUMBER("revision", ks_mirror_revision(watch->mirror)),
               KS_TEXT("address", watch->options.addresses[source->index]));
        watch->options.on_first(watch->options.user);
    }
}

static void on_close(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)stream;
    struct source *source = user;
    struct ks_watch *watch = source->watch;
    ks_log(DEBUG, "stream of identities ended",
           KS_TEXT("address", watch->options.addresses[source->index]),
           KS_TEXT("code", ks_code_name(error->code)));
    ks_mirror_closed(watch->mirror, source->index);
    if (watch->closing) {
        return;
    }
    source->reopening = ks_rpc_loop_after(watch->options.loop, source->reopen_ms, reopen, source);
    source->reopen_ms =
        2 * source->reopen_ms < REOPEN_MAX_MS ? 2 * source->reopen_ms : REOPEN_MAX_MS;
}

static const struct ks_rpc_stream_callbacks callbacks = {
    .on_message = on_message,
    .on_close = on_close,
};

static void open_stream(struct source *source)
{
    struct ks_watch *watch = source->watch;
    if (watch->closing) {
        return;
    }
    KS_BUFFER_AUTO request = {.len_max = REQUEST_LEN_MAX};
    ks_result made = ks_mirror_opened(watch->mirror, source->index, &request);
    assert(!ks_failed(made));
    struct ks_rpc_stream_options options = {
        .method = WATCH_IDENTITIES, .callbacks = &callbacks, .user = source};
    struct ks_rpc_stream *stream = ks_rpc_stream_open(source->channel, &options);
    /* If it can't be sent, on_close says so. */
    (void)(ks_rpc_stream_send_buffer(stream, &request).code);
}

static void open_streams(void *arg)
{
    struct ks_watch *watch = arg;
    for (size_t i = 0; i < watch->options.address_count; i++) {
        open_stream(&watch->sources[i]);
    }
}

static ks_result source_init(struct ks_watch *watch, size_t index)
{
    struct source *source = &watch->sources[index];
    source->watch = watch;
    source->index = index;
    source->reopen_ms = REOPEN_FIRST_MS;
    struct ks_rpc_channel_options options = {
        .address = watch->options.addresses[index],
        .tls = watch->options.tls,
        .server_spiffe = watch->spiffe,
        .loop = watch->options.loop,
        .message_bytes_max = MESSAGE_BYTES_MAX,
    };
    return ks_rpc_channel_new(&options, &source->channel);
}

ks_result ks_watch_new(const struct ks_watch_options *options, struct ks_watch **ret_watch)
{
    assert(options->address_count > 0);
    assert(options->address_count <= KS_MIRROR_SOURCES_MAX);

    struct ks_watch *watch = ks_alloc(1, sizeof(*watch));
    watch->options = *options;
    watch->mirror = ks_mirror_new(options->identities);
    (void)snprintf(watch->spiffe, sizeof(watch->spiffe), "spiffe://%s/region/%s/keystore/",
                   KS_TRUST_DOMAIN, options->region);
    ks_result made = KS_RES(OK);
    for (size_t i = 0; i < options->address_count && !ks_failed(made); i++) {
        made = source_init(watch, i);
    }
    if (ks_failed(made)) {
        ks_watch_free(watch);
        return made;
    }
    watch->started = true;
    ks_rpc_loop_post(options->loop, open_streams, watch);
    *ret_watch = watch;
    return KS_RES(OK);
}

/* On the loop, so that no timer runs while the streams are being closed. */
static void close_timers(void *arg)
{
    struct ks_watch *watch = arg;
    watch->closing = true;
    for (size_t i = 0; i < watch->options.address_count; i++) {
        ks_rpc_timer_cancel(watch->sources[i].reopening);
        watch->sources[i].reopening = NULL;
    }
}

void ks_watch_free(struct ks_watch *watch)
{
    if (!watch) {
        return;
    }
    if (watch->started) {
        /* Before the channels are gone, which waits for the loop. */
        ks_rpc_loop_post(watch->options.loop, close_timers, watch);
    }
    for (size_t i = 0; i < watch->options.address_count; i++) {
        ks_rpc_channel_free(watch->sources[i].channel);
    }
    ks_mirror_free(watch->mirror);
    ks_free(watch);
}
