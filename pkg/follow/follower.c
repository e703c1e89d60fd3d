#include "pkg/follow/follower.h"

#include <assert.h>

#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/rpc/client.h"
#include "pkg/rpc/loop.h"

/* A message and its records, unpacked with some words around each. */
#define ARENA_LEN_MAX (32U * 1024U * 1024U)
#define ASK_AGAIN_MS  100

struct ks_follower {
    struct ks_follower_options options;
    struct ks_rpc_channel *channel;
    /* The loop's. */
    struct ks_following following;
    struct ks_rpc_timer *reopening;
    bool closing;
};

static void on_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    struct ks_follower *follower = user;
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    struct ks_follow_part part;
    ks_result result = ks_following_read(&follower->following, message, &arena, &part);
    if (!ks_failed(result)) {
        result = follower->options.on_part(follower->options.user, &part);
    }
    if (ks_failed(result)) {
        ks_log(ERROR, "identities can't be taken; asking anew",
               KS_TEXT("address", follower->options.address),
               KS_TEXT("code", ks_code_name(result.code)));
        ks_rpc_stream_cancel(stream);
    } else if (part.whole) {
        ks_following_applied(&follower->following);
    }
}

static void open_stream(void *argument);

static void on_close(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)stream;
    struct ks_follower *follower = user;
    ks_log(DEBUG, "stream of identities ended", KS_TEXT("address", follower->options.address),
           KS_TEXT("code", ks_code_name(error->code)));
    int64_t wait_ms = ks_following_close(&follower->following);
    follower->options.on_end(follower->options.user);
    if (!follower->closing) {
        follower->reopening =
            ks_rpc_loop_after(follower->options.loop, wait_ms, open_stream, follower);
    }
}

static const struct ks_rpc_stream_callbacks callbacks = {
    .on_message = on_message,
    .on_close = on_close,
};

/* On the loop: posted, or a timer. */
static void open_stream(void *argument)
{
    struct ks_follower *follower = argument;
    follower->reopening = NULL;
    if (follower->closing) {
        return;
    }
    struct ks_follow_position had = {.revision = 0};
    KS_BUFFER_AUTO request = {.len_max = KS_FOLLOWING_REQUEST_MAX};
    if (!follower->options.on_open(follower->options.user, &had)) {
        follower->reopening =
            ks_rpc_loop_after(follower->options.loop, ASK_AGAIN_MS, open_stream, follower);
        return;
    }
    ks_following_open(&follower->following, &had, &request);
    const struct ks_rpc_stream_options options = {
        .method = follower->options.method, .callbacks = &callbacks, .user = follower};
    struct ks_rpc_stream *stream = ks_rpc_stream_open(follower->channel, &options);
    ks_result sent = ks_rpc_stream_send_buffer(stream, &request);
    (void)sent; /* If it can't be sent, on_close says so. */
}

ks_result ks_follower_new(const struct ks_follower_options *options,
                          struct ks_follower **ret_follower)
{
    assert(options->on_open && options->on_part && options->on_end);

    const struct ks_rpc_channel_options channel = {
        .address = options->address,
        .tls = options->tls,
        .server_spiffe = options->server_spiffe,
        .loop = options->loop,
        .message_bytes_max = KS_FOLLOWING_MESSAGE_MAX,
    };
    struct ks_follower *follower = ks_alloc(1, sizeof(*follower));
    follower->options = *options;
    ks_result made = ks_rpc_channel_new(&channel, &follower->channel);
    if (ks_failed(made)) {
        ks_free(follower);
        return made;
    }
    ks_rpc_loop_post(options->loop, open_stream, follower);
    *ret_follower = follower;
    return KS_RES(OK);
}

/* On the loop, so that no timer runs while the stream is being closed. */
static void end(void *argument)
{
    struct ks_follower *follower = argument;
    follower->closing = true;
    ks_rpc_timer_cancel(follower->reopening);
    follower->reopening = NULL;
}

void ks_follower_free(struct ks_follower *follower)
{
    if (!follower) {
        return;
    }
    /* Before the channel is freed, which waits for the loop. */
    ks_rpc_loop_post(follower->options.loop, end, follower);
    ks_rpc_channel_free(follower->channel);
    ks_free(follower);
}
