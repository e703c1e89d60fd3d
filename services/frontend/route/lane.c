#include "services/frontend/route/lane.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "pkg/arn/spiffe.h"
#include "pkg/base/clock.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/celltime/celltime.h"
#include "pkg/rpc/client.h"
#include "pkg/rpc/loop.h"
#include "proto/keystead/internal/v1/limits.h"

#define EXECUTE "/keystead.internal.v1.KeystoreService/Execute"

#define REOPEN_FIRST_MS 20
#define REOPEN_MAX_MS   1000

/* The stream to one keystore. */
struct link {
    struct ks_lane *lane;
    size_t index;
    char spiffe[KS_SPIFFE_LEN_MAX + 1];
    struct ks_rpc_channel *channel;
    struct ks_rpc_stream *stream; /* NULL: being reopened */
    struct ks_rpc_timer *reopening;
    int64_t reopen_ms;
    int64_t told_ms;    /* the time that it has told last */
    int64_t told_count; /* how often it has told one; 0: not yet */
};

struct ks_lane {
    struct ks_lane_options options;
    struct ks_router router;
    struct ks_upstream *upstream;
    struct ks_rpc_timer *tick;
    struct link links[KS_UPSTREAM_PEERS_MAX];
    struct ks_celltime time;
    bool started; /* something may run on the loop */
    bool closing;
};

static int64_t now_of(const struct ks_lane *lane)
{
    return ks_clock_boot_ns(lane->options.clock);
}

/* ---- Streams ---- */

static void open_stream(struct link *link);

static void reopen(void *arg)
{
    struct link *link = arg;
    link->reopening = NULL;
    open_stream(link);
}

static ks_result on_open(void *user, struct ks_rpc_stream *stream)
{
    (void)stream;
    struct link *link = user;
    link->reopen_ms = REOPEN_FIRST_MS;
    ks_upstream_accepted(link->lane->upstream, link->index);
    return KS_RES(OK);
}

/* ---- Time ---- */

static void hear_time(struct link *link, int64_t time_ms)
{
    struct ks_lane *lane = link->lane;
    struct ks_celltime_word words[KS_UPSTREAM_PEERS_MAX];
    char ids[KS_UPSTREAM_PEERS_MAX][4];
    size_t count = 0;
    link->told_ms = time_ms;
    link->told_count++;
    for (size_t i = 0; i < lane->options.keystore_count; i++) {
        const struct link *each = &lane->links[i];
        if (each->told_count > 0) {
            (void)snprintf(ids[i], sizeof(ids[i]), "%u", (unsigned)i % 100);
            words[count++] = (struct ks_celltime_word){ids[i], each->told_count, each->told_ms};
        }
    }
    ks_celltime_hear(&lane->time, words, count, now_of(lane));
    ks_celltime_step(&lane->time, 0, now_of(lane));
}

ks_result ks_lane_now_ms(struct ks_lane *lane, int64_t *ret_now_ms)
{
    ks_celltime_step(&lane->time, 0, now_of(lane));
    if (!lane->time.is_known) {
        return KS_RES(UNAVAILABLE);
    }
    *ret_now_ms = lane->time.withdrawal_ms;
    return KS_RES(OK);
}

/* ---- Messages ---- */

static void on_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    struct link *link = user;
    struct ks_lane *lane = link->lane;
    int64_t time_ms;
    ks_result received = ks_upstream_received(lane->upstream, link->index, message, now_of(lane));
    if (ks_failed(received)) {
        ks_log(ERROR, "keystore answers nonsense; its stream is closed, ignoring",
               KS_TEXT("address", lane->options.keystores[link->index].address));
        ks_rpc_stream_cancel(stream);
    } else if (ks_item_response_time(message, &time_ms)) {
        hear_time(link, time_ms);
    }
}

static void on_writable(void *user, struct ks_rpc_stream *stream)
{
    (void)stream;
    struct link *link = user;
    ks_upstream_writable(link->lane->upstream, link->index, now_of(link->lane));
}

/* Totals of the lane: what becomes of the items of this end shows at the next one. */
static void log_counts(const struct ks_lane *lane)
{
    const struct ks_upstream_counts *counts = ks_upstream_counts(lane->upstream);
    if (counts->streams > 0) {
        ks_log(INFO, "streams to keystores have ended under items",
               KS_NUMBER("streams", counts->streams), KS_NUMBER("suspects", counts->suspects),
               KS_NUMBER("answered", counts->answered), KS_NUMBER("unanswered", counts->unanswered),
               KS_NUMBER("guilty", counts->guilty));
    }
}

static void on_close(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)stream;
    struct link *link = user;
    struct ks_lane *lane = link->lane;
    ks_log(DEBUG, "stream to keystore ended",
           KS_TEXT("address", lane->options.keystores[link->index].address),
           KS_TEXT("code", ks_code_name(error->code)));
    link->stream = NULL;
    uint64_t before = ks_upstream_counts(lane->upstream)->streams;
    ks_upstream_closed(lane->upstream, link->index, error->code == KS_UNAUTHENTICATED,
                       now_of(lane));
    if (ks_upstream_counts(lane->upstream)->streams > before) {
        log_counts(lane);
    }
    if (lane->closing) {
        return;
    }
    link->reopening = ks_rpc_loop_after(lane->options.loop, link->reopen_ms, reopen, link);
    link->reopen_ms = 2 * link->reopen_ms < REOPEN_MAX_MS ? 2 * link->reopen_ms : REOPEN_MAX_MS;
}

static const struct ks_rpc_stream_callbacks callbacks = {
    .on_open = on_open,
    .on_message = on_message,
    .on_writable = on_writable,
    .on_close = on_close,
};

static void open_stream(struct link *link)
{
    struct ks_lane *lane = link->lane;
    if (lane->closing) {
        return;
    }
    struct ks_rpc_stream_options options = {
        .method = EXECUTE, .callbacks = &callbacks, .user = link};
    link->stream = ks_rpc_stream_open(link->channel, &options);
    ks_upstream_opened(lane->upstream, link->index, now_of(lane));
}

/* ---- What the upstream asks for ---- */

static bool is_ready(void *user, size_t peer)
{
    struct ks_lane *lane = user;
    return lane->links[peer].stream && ks_rpc_stream_ready(lane->links[peer].stream);
}

static ks_result send_message(void *user, size_t peer, struct ks_buffer *message)
{
    struct ks_lane *lane = user;
    return ks_rpc_stream_send_buffer(lane->links[peer].stream, message);
}

static void on_tick(void *arg)
{
    struct ks_lane *lane = arg;
    lane->tick = NULL;
    ks_upstream_tick(lane->upstream, now_of(lane));
}

static void arm(void *user)
{
    struct ks_lane *lane = user;
    lane->tick = ks_rpc_loop_after(lane->options.loop, KS_UPSTREAM_TICK_MS, on_tick, lane);
}

static ks_result send_item(void *upstream, struct ks_upstream_item *item, int64_t now_ns)
{
    return ks_upstream_send(upstream, item, now_ns);
}

/* ---- Life ---- */

static ks_result link_init(struct ks_lane *lane, size_t index)
{
    const struct ks_keystore_place *place = &lane->options.keystores[index];
    struct link *link = &lane->links[index];
    link->lane = lane;
    link->index = index;
    link->reopen_ms = REOPEN_FIRST_MS;
    (void)snprintf(link->spiffe, sizeof(link->spiffe), "spiffe://%s/region/%s/keystore/%s",
                   KS_TRUST_DOMAIN, lane->options.home->region, place->zone);
    struct ks_rpc_channel_options options = {
        .address = place->address,
        .tls = lane->options.tls,
        .server_spiffe = link->spiffe,
        .loop = lane->options.loop,
        .message_bytes_max = KS_EXECUTE_RESPONSE_MAX,
    };
    return ks_rpc_channel_new(&options, &link->channel);
}

/* How many keystores come before this one by zone, and among those of a zone by address. */
static uint8_t rank_of(const struct ks_lane_options *options, size_t index)
{
    const struct ks_keystore_place *place = &options->keystores[index];
    unsigned rank = 0;
    for (size_t i = 0; i < options->keystore_count; i++) {
        const struct ks_keystore_place *other = &options->keystores[i];
        int order = strcmp(other->zone, place->zone);
        order = order == 0 ? strcmp(other->address, place->address) : order;
        rank += order < 0 ? 1 : 0;
    }
    return (uint8_t)rank;
}

static struct ks_upstream *upstream_new(struct ks_lane *lane)
{
    const struct ks_lane_options *options = &lane->options;
    uint32_t near = 0;
    for (size_t i = 0; i < options->keystore_count; i++) {
        bool same =
            ks_bytes_equal(ks_bytes_of(options->keystores[i].zone), ks_bytes_of(options->zone));
        near |= same ? 1U << i : 0;
    }
    struct ks_upstream_options upstream = {
        .peer_count = options->keystore_count,
        .near = near,
        .patience_ns = options->patience_ms * KS_NS_PER_MS,
        .mutation_patience_ns = options->mutation_patience_ms * KS_NS_PER_MS,
        .ready = is_ready,
        .send = send_message,
        .arm = arm,
        .user = lane,
    };
    for (size_t i = 0; i < options->keystore_count; i++) {
        upstream.mutation_ranks[i] = rank_of(options, i);
    }
    return ks_upstream_new(&upstream);
}

static void open_streams(void *arg)
{
    struct ks_lane *lane = arg;
    for (size_t i = 0; i < lane->options.keystore_count; i++) {
        open_stream(&lane->links[i]);
    }
}

ks_result ks_lane_new(const struct ks_lane_options *options, struct ks_lane **ret_lane)
{
    assert(options->keystore_count > 0);
    assert(options->keystore_count <= KS_UPSTREAM_PEERS_MAX);

    struct ks_lane *lane = ks_alloc(1, sizeof(*lane));
    lane->options = *options;
    lane->upstream = upstream_new(lane);
    ks_celltime_begin(&lane->time, now_of(lane));
    ks_celltime_hear(&lane->time, NULL, 0, now_of(lane));
    lane->router = (struct ks_router){
        .home = options->home,
        .clock = options->clock,
        .views = ks_views_new(options->view_count_max, &options->hash_key),
        .send = send_item,
        .upstream = lane->upstream,
    };
    ks_result made = KS_RES(OK);
    for (size_t i = 0; i < options->keystore_count && !ks_failed(made); i++) {
        made = link_init(lane, i);
    }
    if (ks_failed(made)) {
        ks_lane_free(lane);
        return made;
    }
    lane->started = true;
    ks_rpc_loop_post(options->loop, open_streams, lane);
    *ret_lane = lane;
    return KS_RES(OK);
}

/* On the loop, so that no timer runs while the streams are being closed. */
static void close_timers(void *arg)
{
    struct ks_lane *lane = arg;
    lane->closing = true;
    ks_rpc_timer_cancel(lane->tick);
    lane->tick = NULL;
    for (size_t i = 0; i < lane->options.keystore_count; i++) {
        ks_rpc_timer_cancel(lane->links[i].reopening);
        lane->links[i].reopening = NULL;
    }
}

void ks_lane_free(struct ks_lane *lane)
{
    if (!lane) {
        return;
    }
    if (lane->started) {
        /* Before the channels are gone, which waits for the loop. */
        ks_rpc_loop_post(lane->options.loop, close_timers, lane);
    }
    for (size_t i = 0; i < lane->options.keystore_count; i++) {
        ks_rpc_channel_free(lane->links[i].channel);
    }
    log_counts(lane);
    ks_views_free(lane->router.views);
    ks_upstream_free(lane->upstream);
    ks_free(lane);
}

struct ks_router *ks_lane_router(struct ks_lane *lane)
{
    return &lane->router;
}

void ks_lane_cork(struct ks_lane *lane)
{
    ks_upstream_cork(lane->upstream);
}

void ks_lane_uncork(struct ks_lane *lane)
{
    ks_upstream_uncork(lane->upstream, now_of(lane));
}
