#include "services/control/feed.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/arena.h"
#include "pkg/base/clock.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/mirror/mirror.h"
#include "pkg/rpc/loop.h"
#include "services/control/records.h"
#include "services/control/signer.h"

#define BATCH_BYTES_MAX                                                                            \
    (64U * 1024U * 1024U)              /* of changes that wait; more is read from the store */
#define STAGE_BYTES    (1024U * 1024U) /* that a snapshot writes at a time, and one record */
#define CAPACITY_FIRST 16U
#define TRY_AGAIN_MS   100

/* Records on their way to the mirror. */
struct batch {
    struct ks_arena arena;
    struct ks_mirror_record *records;
    size_t count;
    size_t capacity;
};

struct ks_control_feed {
    struct ks_control_feed_options options;
    struct ks_rpc_loop *loop;
    struct ks_mirror_db *mirror;
    struct ks_feed *streams;

    /* The store's thread: what has changed and was not posted yet. */
    struct batch incoming;
    int64_t incoming_revision; /* the newest one; 0: nothing has changed */
    bool incoming_lost;        /* more than is kept */

    /* The loop's. */
    struct ks_store *store; /* NULL: not set yet, or closed */
    struct ks_head head;    /* that the mirror has; number 0: none */
    bool compared;          /* the mirror has what the store has, but for changes on their way */
    struct ks_rpc_timer *timer;
};

/* What is on its way from the store's thread to the loop. */
struct change {
    struct ks_control_feed *feed;
    int64_t revision;
    bool compare; /* the mirror and the store are to be compared */
    struct batch records;
};

/* ---- Batches ---- */

static void batch_done(struct batch *batch)
{
    ks_arena_done(&batch->arena);
    ks_free(batch->records);
    *batch = (struct batch){.count = 0};
}

/* In the arena. Returns NULL bytes for NULL bytes, and when the arena is full. */
static ks_bytes keep(struct batch *batch, ks_bytes bytes)
{
    char *kept = bytes.ptr ? ks_arena_dup(&batch->arena, bytes) : NULL;
    return kept ? (ks_bytes){(const uint8_t *)kept, bytes.len} : (ks_bytes){0};
}

/* Fails: LIMIT_EXCEEDED (more bytes than are kept). */
static ks_result batch_add(struct batch *batch, const struct ks_mirror_record *from)
{
    batch->arena.len_max = BATCH_BYTES_MAX;
    if (batch->count == batch->capacity) {
        batch->capacity = batch->capacity > 0 ? 2 * batch->capacity : CAPACITY_FIRST;
        batch->records = ks_realloc(batch->records, batch->capacity, sizeof(*batch->records));
    }
    const struct ks_mirror_record record = {keep(batch, from->key), keep(batch, from->value),
                                            from->revision};
    if (!record.key.ptr || (from->value.ptr && !record.value.ptr)) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    batch->records[batch->count++] = record;
    return KS_RES(OK);
}

/* ---- Heads ---- */

/* The state that is about to be written. */
struct sealing {
    struct ks_control_feed *feed;
    struct ks_head head;
};

/*
 * For the history that `of` speaks of. The number is the time, so that it rises also over a disk that
 * was lost.
 */
static struct sealing sealing_of(struct ks_control_feed *feed, const struct ks_head *of,
                                 int64_t revision)
{
    struct sealing sealing = {.feed = feed, .head = *of};
    sealing.head.revision = revision;
    uint64_t now_ms = (uint64_t)ks_clock_wall_ms(feed->options.clock);
    uint64_t next = feed->head.number + 1;
    sealing.head.number = now_ms > next ? now_ms : next;
    return sealing;
}

static ks_result seal(void *user, const struct ks_set_sum *sum, struct ks_head *ret_head,
                      struct ks_buffer *ret_bytes)
{
    struct sealing *sealing = user;
    KS_TRY(ks_signer_sign(sealing->feed->options.signer, sum, &sealing->head, ret_bytes));
    *ret_head = sealing->head;
    return KS_RES(OK);
}

/* What the mirror has goes on. */
static ks_result put(struct ks_control_feed *feed, const struct batch *batch, int64_t revision)
{
    struct sealing sealing = sealing_of(feed, &feed->head, revision);
    KS_TRY(ks_mirror_db_change(feed->mirror, batch->records, batch->count, seal, &sealing));
    feed->head = sealing.head;
    ks_feed_changed(feed->streams);
    return KS_RES(OK);
}

static bool same_history(const struct ks_head *one, const struct ks_head *other)
{
    return strcmp(one->epoch, other->epoch) == 0 && strcmp(one->history, other->history) == 0;
}

/*
 * Whose the store is. A copy gets another id when nothing proves that its log is the one it had
 * (pkg/store/replicated/hello.c).
 */
static struct ks_head history_of(struct ks_store *store)
{
    struct ks_store_status status;
    struct ks_head of = {.number = 0};
    static_assert(sizeof(status.keystore_id) == sizeof(status.epoch),
                  "either stands in an epoch's place");
    static_assert(sizeof(status.epoch) == KS_HEAD_EPOCH_MAX + 1, "an epoch fits");
    ks_store_get_status(store, &status);
    memcpy(of.epoch, status.epoch[0] ? status.epoch : status.keystore_id, sizeof(of.epoch));
    memcpy(of.history, status.keystore_id, sizeof(of.history));
    return of;
}

/* ---- Comparing the mirror with the store ---- */

/* A snapshot of the store that is being staged, or the difference that is being collected. */
struct reading {
    struct ks_control_feed *feed;
    struct batch batch;
    ks_result result;
    /* The difference: the mirror's walk, and its record that was not passed yet. */
    struct ks_mirror_walk *walk;
    struct ks_mirror_record there;
    bool has_there;
    int64_t revision; /* that deletions get */
};

static ks_result flush(struct reading *reading)
{
    KS_TRY(ks_mirror_db_stage_add(reading->feed->mirror, reading->batch.records,
                                  reading->batch.count));
    batch_done(&reading->batch);
    return KS_RES(OK);
}

static struct ks_mirror_record of_store(const struct ks_store_record *record)
{
    return (struct ks_mirror_record){record->key, record->value, record->revision};
}

static bool stage_record(void *user, const struct ks_store_record *record)
{
    struct reading *reading = user;
    const struct ks_mirror_record here = of_store(record);
    reading->result = batch_add(&reading->batch, &here);
    if (!ks_failed(reading->result) && reading->batch.arena.len > STAGE_BYTES) {
        reading->result = flush(reading);
    }
    return !ks_failed(reading->result);
}

static ks_result step_there(struct reading *reading)
{
    ks_result next = ks_mirror_walk_next(reading->walk, &reading->there);
    reading->has_there = !ks_failed(next);
    return next.code == KS_NOT_FOUND ? KS_RES(OK) : next;
}

/* Notes that the mirror's records before `key` are gone; before the end, if key is NULL. */
static ks_result pass_gone(struct reading *reading, const ks_bytes *key)
{
    while (reading->has_there && (!key || ks_bytes_compare(reading->there.key, *key) < 0)) {
        const struct ks_mirror_record gone = {.key = reading->there.key,
                                              .revision = reading->revision};
        KS_TRY(batch_add(&reading->batch, &gone));
        KS_TRY(step_there(reading));
    }
    return KS_RES(OK);
}

static ks_result compare_record(struct reading *reading, const struct ks_mirror_record *here)
{
    KS_TRY(pass_gone(reading, &here->key));
    bool both = reading->has_there && ks_bytes_equal(reading->there.key, here->key);
    bool same = both && reading->there.revision == here->revision &&
                ks_bytes_equal(reading->there.value, here->value);
    if (!same) {
        KS_TRY(batch_add(&reading->batch, here));
    }
    return both ? step_there(reading) : KS_RES(OK);
}

static bool note_difference(void *user, const struct ks_store_record *record)
{
    struct reading *reading = user;
    const struct ks_mirror_record here = of_store(record);
    reading->result = compare_record(reading, &here);
    return !ks_failed(reading->result);
}

static ks_result read_store(const struct ks_store_view *view, struct reading *reading,
                            bool (*each)(void *user, const struct ks_store_record *record))
{
    for (size_t i = 0; i < KS_RECORD_MIRRORED_COUNT; i++) {
        KS_TRY(
            ks_store_scan(view, ks_bytes_of(ks_record_mirrored[i]), (ks_bytes){0}, each, reading));
        KS_TRY(reading->result);
    }
    return KS_RES(OK);
}

static ks_result take_whole(struct ks_control_feed *feed, const struct ks_store_view *view,
                            const struct ks_head *of)
{
    struct reading reading = {.feed = feed, .result = KS_RES(OK)};
    struct sealing sealing = sealing_of(feed, of, view->revision);
    ks_result result = ks_mirror_db_stage_begin(feed->mirror);
    if (!ks_failed(result)) {
        result = read_store(view, &reading, stage_record);
    }
    if (!ks_failed(result)) {
        result = flush(&reading);
    }
    batch_done(&reading.batch);
    KS_TRY(result);
    KS_TRY(ks_mirror_db_stage_finish(feed->mirror, seal, &sealing));
    feed->head = sealing.head;
    ks_feed_changed(feed->streams);
    return KS_RES(OK);
}

static ks_result collect_difference(const struct ks_store_view *view, struct reading *reading)
{
    KS_MIRROR_VIEW_AUTO *there = NULL;
    KS_MIRROR_WALK_AUTO *walk = NULL;
    KS_TRY(ks_mirror_view_open(reading->feed->mirror, &there));
    KS_TRY(ks_mirror_walk_begin(there, &walk));
    reading->walk = walk;
    KS_TRY(step_there(reading));
    KS_TRY(read_store(view, reading, note_difference));
    return pass_gone(reading, NULL);
}

static ks_result take_difference(struct ks_control_feed *feed, const struct ks_store_view *view)
{
    struct reading reading = {.feed = feed, .result = KS_RES(OK), .revision = view->revision};
    ks_result result = collect_difference(view, &reading);
    if (!ks_failed(result)) {
        result = put(feed, &reading.batch, view->revision);
    }
    batch_done(&reading.batch);
    return result;
}

/*
 * Begins another history. Those who have more of the epoch than it begins with refuse it for good
 * (ks_head_follows): control alone, whose disks may all be new, could not know.
 */
static ks_result begin_history(struct ks_control_feed *feed, const struct ks_store_view *view,
                               struct ks_head *of)
{
    of->since = view->revision;
    if (feed->head.number > 0 && strcmp(feed->head.epoch, of->epoch) == 0 &&
        of->since <= feed->head.revision) {
        ks_log(ERROR,
               "control's store has less than regions were told: it was put back without a new "
               "epoch, and regions will refuse what it says",
               KS_NUMBER("revision", of->since));
    }
    return take_whole(feed, view, of);
}

/* Whatever a difference fails of, a snapshot does not rest on what is in the mirror. */
static ks_result compare(struct ks_control_feed *feed)
{
    struct ks_head of = history_of(feed->store);
    KS_STORE_VIEW_AUTO view = {0};
    KS_TRY(ks_store_peek(feed->store, &view));
    const struct ks_head after = history_of(feed->store);
    if (!same_history(&of, &after)) {
        return KS_RES(UNAVAILABLE); /* nobody knows whose the view is */
    }
    if (feed->head.number == 0 || !same_history(&of, &feed->head)) {
        return begin_history(feed, &view, &of);
    }
    if (view.revision < feed->head.revision) {
        return KS_RES(UNAVAILABLE); /* the copy catches up with what was told before a restart */
    }
    if (!ks_failed(take_difference(feed, &view))) {
        return KS_RES(OK);
    }
    of.since = feed->head.since;
    return take_whole(feed, &view, &of);
}

/* ---- The loop ---- */

/* Says that nothing has changed, if the store is known to be current. */
static ks_result say_again(struct ks_control_feed *feed)
{
    const struct batch nothing = {.count = 0};
    const struct ks_head of = history_of(feed->store);
    KS_STORE_VIEW_AUTO view = {0};
    if (!same_history(&of, &feed->head)) {
        return compare(feed);
    }
    if (ks_failed(ks_store_serve(feed->store, &view))) {
        return KS_RES(OK); /* keystores see that control is silent */
    }
    return put(feed, &nothing, feed->head.revision);
}

static void look(void *argument)
{
    struct ks_control_feed *feed = argument;
    feed->timer = NULL;
    if (!feed->store) {
        return;
    }
    ks_result result = feed->compared ? say_again(feed) : compare(feed);
    feed->compared = !ks_failed(result);
    if (ks_failed(result) && result.code != KS_UNAVAILABLE) {
        ks_log(ERROR, "what regions are told can't be written; trying again",
               KS_TEXT("code", ks_code_name(result.code)));
    }
    feed->timer = ks_rpc_loop_after(
        feed->loop, feed->compared ? KS_CONTROL_HEAD_PERIOD_MS : TRY_AGAIN_MS, look, feed);
}

static void look_now(struct ks_control_feed *feed)
{
    ks_rpc_timer_cancel(feed->timer);
    look(feed);
}

/* Drops what the mirror has already: it was compared with the store after the change. */
static void drop_known(struct ks_control_feed *feed, struct batch *batch)
{
    size_t left = 0;
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->records[i].revision > feed->head.revision) {
            batch->records[left++] = batch->records[i];
        }
    }
    batch->count = left;
}

/* Until the mirror was compared with the store, which has the change, there is nothing to change. */
static void take_change(void *argument)
{
    struct change *change = argument;
    struct ks_control_feed *feed = change->feed;
    if (feed->store && change->compare) {
        feed->compared = false;
        look_now(feed);
    } else if (feed->store && feed->compared) {
        drop_known(feed, &change->records);
        bool failed =
            change->records.count > 0 && ks_failed(put(feed, &change->records, change->revision));
        if (failed) {
            feed->compared = false;
            look_now(feed);
        }
    }
    batch_done(&change->records);
    ks_free(change);
}

/* ---- The store's thread ---- */

void ks_control_feed_changed(struct ks_control_feed *feed, ks_bytes key, ks_bytes value,
                             int64_t revision)
{
    const struct ks_mirror_record record = {key, value, revision};
    if (!ks_record_is_mirrored(key)) {
        return;
    }
    feed->incoming_revision = revision;
    if (feed->incoming_lost || ks_failed(batch_add(&feed->incoming, &record))) {
        feed->incoming_lost = true;
    }
}

/* Hands over what has changed, and begins anew. */
static void post_change(struct ks_control_feed *feed, int64_t revision, bool compare_all)
{
    struct change *change = ks_alloc(1, sizeof(*change));
    *change = (struct change){feed, revision, compare_all, feed->incoming};
    feed->incoming = (struct batch){.count = 0};
    feed->incoming_revision = 0;
    feed->incoming_lost = false;
    ks_rpc_loop_post(feed->loop, take_change, change);
}

void ks_control_feed_told(struct ks_control_feed *feed)
{
    if (feed->incoming_revision != 0) {
        post_change(feed, feed->incoming_revision, feed->incoming_lost);
    }
}

void ks_control_feed_reloaded(struct ks_control_feed *feed)
{
    post_change(feed, 0, true);
}

/* ---- Life ---- */

/* The first thing on the loop. */
static void check(void *argument)
{
    struct ks_control_feed *feed = argument;
    ks_result checked = ks_mirror_db_check(feed->mirror);
    if (ks_failed(checked)) {
        ks_log(ERROR, "the mirror of what regions are told is damaged, and is made anew",
               KS_TEXT("code", ks_code_name(checked.code)));
        checked = ks_mirror_db_empty(feed->mirror);
    }
    KS_MIRROR_VIEW_AUTO *view = NULL;
    if (!ks_failed(checked) && !ks_failed(ks_mirror_view_open(feed->mirror, &view)) &&
        ks_mirror_view_head(view)) {
        feed->head = *ks_mirror_view_head(view);
    }
}

ks_result ks_control_feed_new(const struct ks_control_feed_options *options,
                              struct ks_control_feed **ret_feed)
{
    const struct ks_mirror_options files = {.folder = options->folder,
                                            .tombstones_max = options->tombstones_max};
    struct ks_mirror_db *mirror = NULL;
    KS_TRY(ks_mirror_db_open(&files, &mirror));
    struct ks_control_feed *feed = ks_alloc(1, sizeof(*feed));
    feed->options = *options;
    feed->loop = ks_rpc_loop_new("feed");
    feed->mirror = mirror;
    const struct ks_feed_options streams = {.loop = feed->loop, .mirror = mirror};
    feed->streams = ks_feed_new(&streams);
    ks_rpc_loop_post(feed->loop, check, feed);
    *ret_feed = feed;
    return KS_RES(OK);
}

void ks_control_feed_free(struct ks_control_feed *feed)
{
    if (feed) {
        ks_control_feed_close(feed);
        ks_rpc_loop_free(feed->loop);
        ks_feed_free(feed->streams);
        ks_mirror_db_close(feed->mirror);
        batch_done(&feed->incoming);
        ks_free(feed);
    }
}

struct setting {
    struct ks_control_feed *feed;
    struct ks_store *store;
};

static void take_store(void *argument)
{
    struct setting *setting = argument;
    setting->feed->store = setting->store;
    look_now(setting->feed);
    ks_free(setting);
}

void ks_control_feed_set_store(struct ks_control_feed *feed, struct ks_store *store)
{
    struct setting *setting = ks_alloc(1, sizeof(*setting));
    *setting = (struct setting){feed, store};
    ks_rpc_loop_post(feed->loop, take_store, setting);
}

static void leave_store(void *argument)
{
    struct ks_control_feed *feed = argument;
    feed->store = NULL;
    ks_rpc_timer_cancel(feed->timer);
    feed->timer = NULL;
}

void ks_control_feed_close(struct ks_control_feed *feed)
{
    if (feed) {
        ks_rpc_loop_post(feed->loop, leave_store, feed);
        ks_rpc_loop_await_turn(feed->loop);
    }
}

struct ks_feed *ks_control_feed_streams(struct ks_control_feed *feed)
{
    return feed->streams;
}
