#include "services/keystore/serve/mirror.h"

#include <assert.h>
#include <string.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/arn/spiffe.h"
#include "pkg/base/arena.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/rpc/client.h"
#include "pkg/rpc/loop.h"
#include "services/keystore/records/message.h"

#define METHOD            "/keystead.internal.v1.ControlMirrorService/WatchIdentities"
#define REOPEN_FIRST_MS   100
#define REOPEN_MAX_MS     2000
#define MESSAGE_BYTES_MAX (8U * 1024U * 1024U)
#define MESSAGE_ARENA_MAX (32U * 1024U * 1024U)
#define MESSAGE_FIELDS    400000U /* 5 for each record */
#define REQUEST_LEN_MAX   256U
#define EPOCH_LEN         40U

/* Records while they come in: all of a snapshot, or those of one message. */
struct batch {
    struct ks_arena arena;
    struct ks_store_op *ops;
    size_t count;
    size_t capacity;
};

struct ks_mirror {
    struct ks_mirror_options options;
    struct ks_rpc_channel *channel;
    /* The loop's. */
    struct ks_rpc_timer *reopening;
    int64_t reopen_ms;
    bool closing;
    struct batch snapshot;
};

static void open_stream(struct ks_mirror *mirror);

static void batch_done(struct batch *batch)
{
    ks_arena_done(&batch->arena);
    ks_free(batch->ops);
    *batch = (struct batch){.count = 0};
}

static ks_bytes keep(struct batch *batch, ks_bytes bytes)
{
    return (ks_bytes){(const uint8_t *)ks_arena_dup(&batch->arena, bytes), bytes.len};
}

/* Fails: LIMIT_EXCEEDED (more records or bytes than are taken). */
static ks_result batch_add(struct batch *batch, const INTERNAL(IdentityRecord) * record)
{
    batch->arena.len_max = KS_MIRROR_BYTES_MAX;
    if (batch->count == batch->capacity) {
        size_t larger = batch->capacity > 0 ? 2 * batch->capacity : 64;
        if (larger > 2U * KS_MIRROR_RECORDS_MAX) {
            return KS_RES(LIMIT_EXCEEDED);
        }
        batch->ops = ks_realloc(batch->ops, larger, sizeof(*batch->ops));
        batch->capacity = larger;
    }
    struct ks_store_op op = {.key = keep(batch, ks_bytes_of(record->key))};
    if (!record->deleted) {
        op.value = keep(batch, ks_bytes_in(record->value));
    }
    if (!op.key.ptr || (!record->deleted && !op.value.ptr)) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    batch->ops[batch->count++] = op;
    return KS_RES(OK);
}

static ks_result apply(struct ks_mirror *mirror, const INTERNAL(WatchIdentitiesResponse) * message,
                       const struct batch *batch)
{
    const struct ks_identities_change change = {
        .snapshot = message->snapshot,
        .epoch = message->epoch,
        .revision = message->revision,
        .ops = batch->ops,
        .op_count = batch->count,
    };
    KS_TRY(ks_identities_apply(mirror->options.identities, &change));
    if (message->snapshot) {
        ks_log(INFO, "identities mirrored", KS_NUMBER("count", batch->count),
               KS_NUMBER("revision", message->revision));
    }
    return KS_RES(OK);
}

static ks_result take(struct ks_mirror *mirror, const INTERNAL(WatchIdentitiesResponse) * message)
{
    struct batch change = {.count = 0};
    struct batch *batch = message->snapshot ? &mirror->snapshot : &change;
    ks_result result = KS_RES(OK);
    for (size_t i = 0; i < message->n_records && !ks_failed(result); i++) {
        result = batch_add(batch, message->records[i]);
    }
    if (!ks_failed(result) && (!message->snapshot || message->snapshot_end)) {
        result = apply(mirror, message, batch);
        batch_done(batch);
    }
    batch_done(&change);
    return result;
}

static void on_message(void *user, struct ks_rpc_stream *stream, ks_bytes bytes)
{
    struct ks_mirror *mirror = user;
    KS_ARENA_AUTO arena = {.len_max = MESSAGE_ARENA_MAX};
    const struct ks_codec_limits limits = {.len_max = MESSAGE_BYTES_MAX,
                                           .field_count_max = MESSAGE_FIELDS};
    ProtobufCMessage *message = NULL;
    ks_result result =
        ks_codec_unpack(INTERNAL_TYPE(watch_identities_response), bytes, &limits, &arena, &message);
    if (!ks_failed(result)) {
        const INTERNAL(WatchIdentitiesResponse) *response =
            (const INTERNAL(WatchIdentitiesResponse) *)message;
        result = strlen(response->epoch) < EPOCH_LEN ? take(mirror, response) : KS_RES(VALIDATION);
    }
    if (ks_failed(result)) {
        ks_log(ERROR, "identities can't be mirrored; asking anew",
               KS_TEXT("code", ks_code_name(result.code)));
        ks_rpc_stream_cancel(stream);
        return;
    }
    mirror->reopen_ms = REOPEN_FIRST_MS;
}

static void reopen(void *argument)
{
    struct ks_mirror *mirror = argument;
    mirror->reopening = NULL;
    open_stream(mirror);
}

static void on_close(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)stream;
    struct ks_mirror *mirror = user;
    ks_log(DEBUG, "control's stream ended", KS_TEXT("code", ks_code_name(error->code)));
    batch_done(&mirror->snapshot);
    if (mirror->closing) {
        return;
    }
    mirror->reopening = ks_rpc_loop_after(mirror->options.loop, mirror->reopen_ms, reopen, mirror);
    int64_t longer_ms = 2 * mirror->reopen_ms;
    mirror->reopen_ms = longer_ms < REOPEN_MAX_MS ? longer_ms : REOPEN_MAX_MS;
}

static const struct ks_rpc_stream_callbacks callbacks = {
    .on_message = on_message,
    .on_close = on_close,
};

/* What this disk has; nothing if the copy can't be read yet. */
static ks_result write_request(struct ks_mirror *mirror, struct ks_buffer *request)
{
    char epoch[EPOCH_LEN] = "";
    INTERNAL(WatchIdentitiesRequest) message = INTERNAL_NEW(WATCH_IDENTITIES_REQUEST);
    KS_STORE_VIEW_AUTO view = {0};
    if (!ks_failed(ks_store_peek(mirror->options.store, &view))) {
        ks_store_mirror_position(&view, epoch, &message.revision);
    }
    message.epoch = epoch;
    return ks_codec_pack(&message.base, request);
}

static void open_stream(struct ks_mirror *mirror)
{
    if (mirror->closing) {
        return;
    }
    KS_BUFFER_AUTO request = {.len_max = REQUEST_LEN_MAX};
    ks_result result = write_request(mirror, &request);
    assert(!ks_failed(result));
    const struct ks_rpc_stream_options options = {
        .method = METHOD, .callbacks = &callbacks, .user = mirror};
    struct ks_rpc_stream *stream = ks_rpc_stream_open(mirror->channel, &options);
    result = ks_rpc_stream_send_buffer(stream, &request);
    (void)result; /* If it can't be sent, on_close says so. */
}

static void begin(void *argument)
{
    open_stream(argument);
}

ks_result ks_mirror_new(const struct ks_mirror_options *options, struct ks_mirror **ret_mirror)
{
    const struct ks_rpc_channel_options channel = {
        .address = options->address,
        .tls = options->tls,
        .server_spiffe = "spiffe://" KS_TRUST_DOMAIN "/control",
        .loop = options->loop,
        .message_bytes_max = MESSAGE_BYTES_MAX,
    };
    struct ks_mirror *mirror = ks_alloc(1, sizeof(*mirror));
    mirror->options = *options;
    mirror->reopen_ms = REOPEN_FIRST_MS;
    ks_result result = ks_rpc_channel_new(&channel, &mirror->channel);
    if (ks_failed(result)) {
        ks_free(mirror);
        return result;
    }
    ks_rpc_loop_post(options->loop, begin, mirror);
    *ret_mirror = mirror;
    return KS_RES(OK);
}

/* On the loop, so that no timer runs while the stream is being closed. */
static void end(void *argument)
{
    struct ks_mirror *mirror = argument;
    mirror->closing = true;
    ks_rpc_timer_cancel(mirror->reopening);
    mirror->reopening = NULL;
}

void ks_mirror_free(struct ks_mirror *mirror)
{
    if (!mirror) {
        return;
    }
    ks_rpc_loop_post(mirror->options.loop, end, mirror);
    ks_rpc_channel_free(mirror->channel);
    ks_free(mirror);
}
