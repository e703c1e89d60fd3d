#include <assert.h>

#include <grpc/grpc.h>

#include "pkg/base/mem.h"
#include "pkg/rpc/channel.h"
#include "pkg/rpc/client.h"
#include "pkg/rpc/stream_core.h"

struct client_stream {
    struct ks_rpc_use use;
    struct ks_rpc_stream *stream;
};

static void cancel(struct ks_rpc_use *use)
{
    static_assert(offsetof(struct client_stream, use) == 0, "a use is the head of its owner");
    ks_rpc_stream_cancel(((struct client_stream *)use)->stream);
}

static void gone(void *owner, struct ks_rpc_stream *stream)
{
    (void)stream;
    struct client_stream *self = owner;
    ks_rpc_use_end(&self->use);
    ks_free(self);
}

struct ks_rpc_stream *ks_rpc_stream_open(struct ks_rpc_channel *channel,
                                         const struct ks_rpc_stream_options *options)
{
    assert(channel && options->callbacks);

    struct client_stream *self = ks_alloc(1, sizeof(*self));
    self->use.cancel = cancel;
    struct ks_rpc_stream_setup setup = {
        .call = ks_rpc_use_begin(channel, &self->use, options->method, 0),
        .loop = ks_rpc_channel_loop(channel),
        .callbacks = options->callbacks,
        .user = options->user,
        .message_bytes_max = ks_rpc_channel_message_bytes_max(channel),
        .queue_bytes_max =
            options->queue_bytes_max ? options->queue_bytes_max : KS_RPC_STREAM_QUEUE_BYTES,
        .gone = gone,
        .owner = self,
    };
    struct ks_rpc_stream *stream = ks_rpc_stream_new(&setup);
    if (options->ret_ref) {
        *options->ret_ref = ks_rpc_stream_ref(stream);
    }
    self->stream = stream;
    ks_rpc_use_expose(&self->use);
    ks_rpc_stream_start(stream);
    return stream;
}
