#include "services/keystore/serve/execute_stream.h"

#include <assert.h>
#include <pthread.h>

#include "pkg/authorize/facts.h"
#include "pkg/base/bytes.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/codec/wire.h"
#include "pkg/rpc/loop.h"
#include "pkg/rpc/server.h"
#include "proto/keystead/internal/v1/limits.h"
#include "services/keystore/execute/execute.h"
#include "services/keystore/hsmlink/link.h"
#include "services/keystore/serve/peer.h"

#define ITEMS_NUMBER     1U              /* ExecuteRequest.items */
#define RESULTS_NUMBER   1U              /* ExecuteResponse.results */
#define TIME_NUMBER      2U              /* ExecuteResponse.time_ms */
#define TIME_EVERY_NS    KS_NS_PER_S     /* clocks differ by nothing that counts in between */
#define BATCH_LEN_ENOUGH (1024U * 1024U) /* goes out though the last one is being written */

/*
 * Tag, code, response, text, view_revision and one in reserve; of a view itself, its version, and
 * facts of four fields.
 */
#define RESULT_FIELDS_MAX (6U + KS_OPERATION_KEYS_MAX * (2U + 4U * KS_FACTS_MAX))

static_assert(RESULT_FIELDS_MAX <= KS_EXECUTE_RESULT_FIELDS_MAX, "frontends read what is packed");
static_assert(KS_CALL_RESPONSE_MAX + BATCH_LEN_ENOUGH + 64U < KS_EXECUTE_RESPONSE_MAX,
              "the time and one more result always fit");

struct lane {
    struct ks_execute_streams *all;
    const struct ks_execute_env *env;
    struct ks_rpc_stream *stream; /* a ref */
    pthread_mutex_t lock;         /* guards the rest; held while results are packed */
    size_t refs;                  /* the stream, each item under way, what is posted or deferred */
    size_t outstanding;
    bool gathering; /* items of a message are being taken: their results go out together */
    bool deferred;  /* results of a frame of the hsm are being taken: likewise */
    bool paused;
    struct ks_buffer batch; /* an ExecuteResponse that grows */
    size_t batch_count;     /* results in it */
    int64_t told_ns;        /* when the time was told last, by the boot clock */
};

static void unlock_and_unref(struct lane *lane)
{
    bool last = --lane->refs == 0;
    pthread_mutex_unlock(&lane->lock);
    if (last) {
        ks_rpc_stream_unref(lane->stream);
        ks_buffer_done(&lane->batch);
        pthread_mutex_destroy(&lane->lock);
        ks_free(lane);
    }
}

/*
 * With the lock. A stream that is over takes nothing: its frontend asks elsewhere. One whose queue
 * is full has a frontend that does not read: results are lost, so the stream ends and says so.
 */
static void send_batch(struct lane *lane)
{
    if (lane->batch.len > 0) {
        atomic_fetch_add(&lane->all->result_count, lane->batch_count);
        atomic_fetch_add(&lane->all->result_message_count, lane->batch_count > 0 ? 1 : 0);
        ks_result sent = ks_rpc_stream_send_buffer(lane->stream, &lane->batch);
        if (sent.code == KS_LIMIT_EXCEEDED) {
            ks_log(WARN, "frontend does not read its results; its stream is cut off, ignoring",
                   KS_NUMBER("count", lane->batch_count));
            ks_rpc_stream_cancel(lane->stream);
        }
        ks_buffer_done(&lane->batch); /* nothing is left in what was sent */
    }
    lane->batch.len_max = KS_EXECUTE_RESPONSE_MAX;
    lane->batch_count = 0;
}

/* With the lock, and nothing in the batch. */
static void tell_time(struct lane *lane, int64_t now_ns)
{
    uint64_t time_ms = (uint64_t)ks_clock_wall_ms(&lane->env->clock);
    ks_result told = ks_wire_put_varint(TIME_NUMBER, time_ms, &lane->batch);
    assert(!ks_failed(told)); /* nothing stands before it */
    lane->told_ns = now_ns;
}

/* With the lock. What a message may hold at most is a frontend's limit, too: internal/v1/limits.h. */
static void pack(struct lane *lane, const INTERNAL(ItemResult) * result)
{
    int64_t now_ns = ks_clock_boot_ns(&lane->env->clock);
    if (lane->batch.len == 0 && now_ns - lane->told_ns >= TIME_EVERY_NS) {
        tell_time(lane, now_ns);
    }
    ks_result packed = ks_codec_pack_field(RESULTS_NUMBER, &result->base, &lane->batch);
    assert(!ks_failed(packed)); /* it goes out at BATCH_LEN_ENOUGH */
    lane->batch_count++;
}

static void resume(void *argument)
{
    struct lane *lane = argument;
    ks_rpc_stream_resume(lane->stream);
    pthread_mutex_lock(&lane->lock);
    unlock_and_unref(lane);
}

/* With the lock. Half of the room must be free, so that pauses are few. */
static void resume_if_due(struct lane *lane)
{
    if (lane->paused && lane->outstanding <= KS_EXECUTE_OUTSTANDING_MAX / 2) {
        lane->paused = false;
        lane->refs++;
        ks_rpc_loop_post(ks_rpc_stream_loop(lane->stream), resume, lane);
    }
}

static void send_deferred(void *argument)
{
    struct lane *lane = argument;
    pthread_mutex_lock(&lane->lock);
    lane->deferred = false;
    if (!lane->gathering && ks_rpc_stream_ready(lane->stream)) {
        send_batch(lane);
    }
    unlock_and_unref(lane);
}

/*
 * With the lock. Sends what was gathered, unless more is about to come: the hsm's replies come many
 * at a time. What stays goes with them, or when the message before has been written.
 */
static void send_if_due(struct lane *lane)
{
    if (!lane->deferred && ks_hsm_link_is_current(lane->env->hsm)) {
        lane->deferred = true;
        lane->refs++;
        ks_hsm_link_defer(lane->env->hsm, send_deferred, lane);
    }
    if (!lane->deferred && !lane->gathering && ks_rpc_stream_ready(lane->stream)) {
        send_batch(lane);
    }
}

static void item_done(void *user, const INTERNAL(ItemResult) * result)
{
    struct lane *lane = user;
    pthread_mutex_lock(&lane->lock);
    pack(lane, result);
    if (lane->batch.len >= BATCH_LEN_ENOUGH || lane->batch_count == KS_EXECUTE_RESULTS_MAX) {
        send_batch(lane);
    } else {
        send_if_due(lane);
    }
    lane->outstanding--;
    resume_if_due(lane);
    unlock_and_unref(lane);
}

static ks_result on_open(void *user, struct ks_rpc_stream *stream)
{
    if (!ks_peer_is(ks_rpc_stream_peer(stream), KS_SPIFFE_FRONTEND)) {
        return KS_RES(ACCESS_DENIED);
    }
    const struct ks_execute_streams *all = user;
    if (!ks_store_knows_time(all->env->store)) {
        return KS_RES(UNAVAILABLE); /* a frontend goes by the time that it is told first */
    }
    struct lane *lane = ks_alloc(1, sizeof(*lane));
    lane->all = user;
    lane->env = lane->all->env;
    lane->stream = ks_rpc_stream_ref(stream);
    lane->refs = 1;
    lane->batch.len_max = KS_EXECUTE_RESPONSE_MAX;
    pthread_mutex_init(&lane->lock, NULL);
    ks_rpc_stream_set_user(stream, lane);
    pthread_mutex_lock(&lane->lock);
    tell_time(lane, ks_clock_boot_ns(&lane->env->clock));
    send_batch(lane);
    pthread_mutex_unlock(&lane->lock);
    return KS_RES(OK);
}

/* Fails: VALIDATION (what has no tag: nobody can be answered). */
static ks_result take_item(struct lane *lane, struct ks_execute_message *shared, ks_bytes item)
{
    pthread_mutex_lock(&lane->lock);
    lane->refs++;
    lane->outstanding++;
    pthread_mutex_unlock(&lane->lock);
    ks_result result = ks_execute(lane->env, shared, item, item_done, lane);
    if (ks_failed(result)) {
        pthread_mutex_lock(&lane->lock);
        lane->outstanding--;
        unlock_and_unref(lane);
    }
    return result;
}

/* Fails: VALIDATION (not an ExecuteRequest). */
static ks_result take_items(struct lane *lane, struct ks_execute_message *shared, ks_bytes message)
{
    size_t count = 0;
    while (message.len > 0) {
        struct ks_wire_field field;
        KS_TRY(ks_wire_next(&message, &field));
        if (field.number != ITEMS_NUMBER || field.type != KS_WIRE_BYTES ||
            ++count > KS_EXECUTE_ITEMS_MAX) {
            return KS_RES(VALIDATION);
        }
        KS_TRY(take_item(lane, shared, field.bytes));
    }
    atomic_fetch_add(&lane->all->item_count, count);
    atomic_fetch_add(&lane->all->item_message_count, 1);
    return KS_RES(OK);
}

static void on_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    struct lane *lane = user;
    pthread_mutex_lock(&lane->lock);
    lane->gathering = true;
    pthread_mutex_unlock(&lane->lock);

    ks_hsm_link_hold(lane->env->hsm);
    struct ks_execute_message shared = {0};
    ks_result result = take_items(lane, &shared, message);
    ks_execute_message_done(&shared);
    ks_hsm_link_release(lane->env->hsm);

    pthread_mutex_lock(&lane->lock);
    lane->gathering = false;
    send_if_due(lane);
    bool pauses = lane->outstanding >= KS_EXECUTE_OUTSTANDING_MAX && !lane->paused;
    lane->paused = lane->paused || pauses;
    pthread_mutex_unlock(&lane->lock);
    if (pauses) {
        ks_rpc_stream_pause(stream);
    }
    if (ks_failed(result)) {
        ks_log(ERROR, "frontend sends what is no request; closing its stream",
               KS_TEXT("peer", ks_rpc_stream_peer(stream)->spiffe));
        const struct ks_rpc_status status = {.code = KS_VALIDATION};
        ks_rpc_stream_finish(stream, &status);
    }
}

static void on_writable(void *user, struct ks_rpc_stream *stream)
{
    (void)stream;
    struct lane *lane = user;
    pthread_mutex_lock(&lane->lock);
    send_batch(lane);
    pthread_mutex_unlock(&lane->lock);
}

static void on_close(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)stream;
    (void)error;
    struct lane *lane = user;
    pthread_mutex_lock(&lane->lock);
    unlock_and_unref(lane);
}

const struct ks_rpc_stream_callbacks ks_execute_stream_callbacks = {
    .on_open = on_open,
    .on_message = on_message,
    .on_writable = on_writable,
    .on_close = on_close,
};
