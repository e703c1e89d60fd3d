/* The engine that follows etcd: its thread, its beginning and its end (replicated.h). */
#include "pkg/store/replicated/replicated.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/random.h"

#define TURN_MS_MAX 100 /* the thread looks around at least this often */

int64_t ks_now(const struct ks_replicated *engine)
{
    return ks_clock_boot_ns(engine->store->options.clock);
}

ks_result ks_nonce_new(struct ks_nonce *ret_nonce)
{
    return ks_random_public(ret_nonce->bytes, sizeof(ret_nonce->bytes));
}

void ks_notice(const struct ks_replicated *engine, const char *sentence)
{
    const struct ks_store_options *options = &engine->store->options;
    if (options->on_notice) {
        options->on_notice(options->user, sentence);
    }
}

/* ---- Beginning and end ---- */

static ks_result read_copy(struct ks_replicated *engine)
{
    KS_SNAPSHOT_AUTO snapshot = {0};
    KS_TRY(ks_copy_snapshot(engine->store->copy, &snapshot));
    KS_TRY(ks_snapshot_source(&snapshot, &engine->source));
    engine->position = snapshot.position;
    return KS_RES(OK);
}

static ks_result check_options(const struct ks_store_options *options)
{
    if (options->serve_by_log) {
        return KS_RES(UNSUPPORTED);
    }
    const struct ks_list_entry *record = NULL;
    bool fits = strlen(options->name) < sizeof(record->name) &&
                strlen(options->zone) < sizeof(record->zone) &&
                strlen(options->address) < sizeof(record->address);
    return fits ? KS_RES(OK) : KS_RES(VALIDATION);
}

static ks_result start(struct ks_store *store)
{
    const struct ks_store_options *options = &store->options;
    struct ks_replicated *engine = ks_alloc(1, sizeof(*engine));
    store->state = engine;
    engine->store = store;
    engine->queue = ks_queue_new();
    pthread_mutex_init(&engine->published_lock, NULL);
    KS_TRY(check_options(options));
    KS_TRY(ks_layout_init(&engine->layout, options->prefix));
    KS_TRY(read_copy(engine));
    KS_TRY(ks_refuse_resume(engine));
    engine->has_spoken = store->folder.life > 1;
    ks_cell_clock_init(&store->cell_clock, options->clock, &store->folder, false);
    ks_window_init(&engine->window, options->window_ms * KS_NS_PER_MS);
    engine->settling.wait_ns = options->window_ms * KS_NS_PER_MS * 11 / 10;
    atomic_store(&engine->status_asked_ns, INT64_MIN / 2);
    engine->compact_ns = ks_now(engine);
    engine->space.quota_len =
        options->etcd_quota_bytes > 0 ? options->etcd_quota_bytes : KS_STORE_QUOTA_BYTES;
    engine->history.len_max = engine->space.quota_len / KS_HISTORY_PART;
    for (size_t i = 0; i < KS_FLIGHTS_MAX; i++) {
        engine->flights[i].engine = engine;
    }
    const struct ks_etcd_options etcd = {
        .endpoints = options->endpoints,
        .endpoint_count = options->endpoint_count,
        .ca_file = options->ca_file,
        .cert_file = options->cert_file,
        .key_file = options->key_file,
        .clock = options->clock,
    };
    KS_TRY(ks_etcd_new(&etcd, &engine->etcd));
    ks_keep_publish(engine);
    return KS_RES(OK);
}

static void end(struct ks_store *store)
{
    struct ks_replicated *engine = store->state;
    if (!engine) {
        return;
    }
    engine->is_closing = true;
    ks_etcd_free(engine->etcd);
    ks_load_free(&engine->load);
    pthread_mutex_destroy(&engine->published_lock);
    ks_queue_free(engine->queue);
    ks_free(engine);
    store->state = NULL;
}

/*
 * On the store's thread, as everything that calls its owner back. The client lives until the
 * thread has ended: another thread may be waking it.
 */
static void finish(struct ks_replicated *engine)
{
    engine->is_closing = true;
    ks_window_close(&engine->window);
    ks_follow_stop(engine);
    ks_commit_end(engine);
    ks_acks_reset(engine);
}

/* ---- The thread ---- */

static void take_commit(struct ks_replicated *engine, struct ks_message *message)
{
    struct ks_pending *pending = (struct ks_pending *)message;
    if (pending->early == KS_OK && !ks_space_admits(&engine->space, pending->mutation.room)) {
        pending->early = KS_LIMIT_EXCEEDED;
    }
    if (pending->early != KS_OK) {
        const struct ks_store_outcome outcome = {.result = {pending->early}};
        ks_store_answer(engine->store, pending, &outcome);
        return;
    }
    if (ks_queue_count(engine->queue) == 0) {
        engine->queued_ns = ks_now(engine);
    }
    ks_queue_push(engine->queue, pending);
}

static void take_settle(struct ks_replicated *engine, struct ks_message *message)
{
    ks_acks_wish(engine, (struct ks_wish *)message);
}

static void take_word(struct ks_replicated *engine, struct ks_message *message)
{
    struct ks_word *word = (struct ks_word *)message;
    ks_settling_say(&engine->settling, word->keystore_id, word->revision);
    ks_free(word);
}

static void take_inbox(struct ks_replicated *engine)
{
    static void (*const by_kind[])(struct ks_replicated *, struct ks_message *) = {
        [KS_MESSAGE_COMMIT] = take_commit,
        [KS_MESSAGE_SETTLE] = take_settle,
        [KS_MESSAGE_WORD] = take_word,
    };
    struct ks_message *next;
    for (struct ks_message *m = ks_inbox_take(&engine->store->inbox); m; m = next) {
        next = m->next;
        by_kind[m->kind](engine, m);
    }
}

static void (*const ticks[])(struct ks_replicated *engine, int64_t now_ns, int64_t *next_ns) = {
    ks_hello_tick,  ks_load_tick, ks_follow_tick, ks_beat_tick,
    ks_commit_tick, ks_acks_tick, ks_keep_tick,   ks_room_tick,
};

/* Does what is due. Gives how long nothing will be. */
static int64_t turn(struct ks_replicated *engine)
{
    int64_t now_ns = ks_now(engine);
    int64_t next_ns = now_ns + TURN_MS_MAX * KS_NS_PER_MS;
    take_inbox(engine);
    for (size_t i = 0; i < KS_COUNT(ticks); i++) {
        ticks[i](engine, now_ns, &next_ns);
    }
    int64_t idle_ns = next_ns - ks_now(engine);
    return idle_ns <= 0 ? 0 : (idle_ns + KS_NS_PER_MS - 1) / KS_NS_PER_MS;
}

static void run(struct ks_store *store)
{
    struct ks_replicated *engine = store->state;
    while (!atomic_load(&store->stopping)) {
        int64_t idle_ms = turn(engine);
        ks_etcd_run(engine->etcd, idle_ms);
    }
    take_inbox(engine);
    finish(engine);
}

/* ---- Any thread ---- */

static void wake(struct ks_store *store)
{
    const struct ks_replicated *engine = store->state;
    ks_etcd_wake(engine->etcd);
}

static bool may_serve(struct ks_store *store, uint64_t *ret_generation)
{
    const struct ks_replicated *engine = store->state;
    return ks_window_is_open(&engine->window, ks_now(engine), ret_generation);
}

static bool on_duty(struct ks_store *store)
{
    const struct ks_replicated *engine = store->state;
    uint64_t generation;
    return atomic_load(&engine->is_lowest) && may_serve(store, &generation);
}

static void status(struct ks_store *store, struct ks_store_status *ret_status)
{
    struct ks_replicated *engine = store->state;
    int64_t now_ns = ks_now(engine);
    atomic_store(&engine->status_asked_ns, now_ns);
    pthread_mutex_lock(&engine->published_lock);
    *ret_status = engine->published;
    pthread_mutex_unlock(&engine->published_lock);
    int64_t left_ns = atomic_load(&engine->window.open_until_ns) - now_ns;
    ret_status->window_left_ms = left_ns > 0 ? left_ns / KS_NS_PER_MS : 0;
    ret_status->applied_revision = atomic_load(&store->applied);
    ret_status->settled_revision = atomic_load(&store->settled);
}

const struct ks_engine ks_replicated_engine = {
    .start = start,
    .run = run,
    .end = end,
    .wake = wake,
    .may_serve = may_serve,
    .status = status,
    .on_duty = on_duty,
};
