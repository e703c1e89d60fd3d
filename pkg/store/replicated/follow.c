/* The watch: the log is applied to the copy, then told. */
#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/celltime/celltime.h"
#include "pkg/store/log/apply.h"
#include "pkg/store/replicated/replicated.h"

#define RETRY_NS      (100 * KS_NS_PER_MS)
#define FULL_RETRY_NS (2 * KS_NS_PER_S)
#define BEHIND_MS     10000 /* etcd may search as long for what comes next */
#define VAIN_ENDS_MAX 5U    /* watches that bring nothing though there is something */

#define REFUSED_DAMAGED                                                                            \
    "this keystore's copy is damaged or can't be written: restart the keystore, which throws the " \
    "copy away and loads it anew; if that does not help, the disk is broken"

static bool add_to_list(void *user, const struct ks_store_record *record)
{
    ks_list_add(user, record->key, record->value, record->revision);
    return true;
}

/* What the wall clocks of the others say; the own one is looked at. */
static void hear_clocks(struct ks_replicated *engine)
{
    const struct ks_list *list = &engine->list;
    struct ks_celltime_word words[KS_STORE_KEYSTORES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct ks_list_entry *keystore = &list->entries[i];
        if (strcmp(keystore->id, engine->store->folder.keystore_id) != 0) {
            words[count++] =
                (struct ks_celltime_word){keystore->id, keystore->mod_revision, keystore->wall_ms};
        }
    }
    ks_cell_clock_hear(&engine->store->cell_clock, words, count);
}

ks_result ks_follow_read_list(struct ks_replicated *engine)
{
    struct ks_list list = {.count = 0};
    KS_SNAPSHOT_AUTO snapshot = {0};
    KS_TRY(ks_copy_snapshot(engine->store->copy, &snapshot));
    KS_TRY(ks_snapshot_list(&snapshot, add_to_list, &list));
    engine->list = list;
    for (size_t i = 0; i < list.count; i++) {
        ks_settling_say(&engine->settling, list.entries[i].id, list.entries[i].applied);
    }
    atomic_store(&engine->is_lowest, ks_list_is_lowest(&list, engine->store->folder.keystore_id));
    hear_clocks(engine);
    return KS_RES(OK);
}

void ks_follow_failed(struct ks_replicated *engine, ks_result failure)
{
    if (failure.code != KS_LIMIT_EXCEEDED) {
        /* If even the marker can't be written, the next start finds the damage by itself. */
        ks_result marked = ks_folder_mark(&engine->store->folder, KS_FOLDER_DAMAGED);
        ks_copy_condemn(engine->store->copy);
        (void)marked;
        ks_refuse(engine, REFUSED_DAMAGED);
        return;
    }
    engine->alarms.copy_is_full = true;
    ks_hello_again(engine, KS_PHASE_ON_FULL);
    engine->hello_ns = ks_now(engine) + FULL_RETRY_NS;
}

/* ---- What comes of a message ---- */

static void tell_changes(struct ks_replicated *engine, const struct ks_etcd_watch_message *message,
                         int64_t had)
{
    const struct ks_store_options *options = &engine->store->options;
    for (size_t i = 0; options->on_change && i < message->event_count; i++) {
        const struct ks_etcd_event *event = &message->events[i];
        ks_bytes key = {0};
        if (event->kv.mod_revision > had &&
            ks_layout_parse(&engine->layout, event->kv.key, &key) == KS_LAYOUT_DATA) {
            ks_bytes value = event->is_delete ? (ks_bytes){0} : event->kv.value;
            options->on_change(options->user, key, value, event->kv.mod_revision);
        }
    }
}

/*
 * Changes go first, as in the embedded engine: a revision is announced after all that is in it.
 *
 * What only heartbeats were in is not worth a word to the peers: nothing that is ever settled is
 * newer than the newest change of a record, and a heartbeat carries what its keystore has applied.
 */
static void tell(struct ks_replicated *engine, const struct ks_etcd_watch_message *message,
                 const struct ks_position *had)
{
    const struct ks_store_options *options = &engine->store->options;
    atomic_store(&engine->store->applied, engine->position.applied);
    tell_changes(engine, message, had->applied);
    if (options->on_applied && engine->position.data_revision > had->data_revision) {
        options->on_applied(options->user, engine->position.applied);
    }
}

static uint64_t len_of(const struct ks_etcd_watch_message *message)
{
    uint64_t len = 0;
    for (size_t i = 0; i < message->event_count; i++) {
        len += message->events[i].kv.key.len + message->events[i].kv.value.len;
    }
    return len;
}

static ks_result apply(struct ks_replicated *engine, const struct ks_etcd_watch_message *message,
                       struct ks_apply_result *ret_result)
{
    KS_COPY_WRITE_AUTO write = {0};
    const struct ks_apply_watch watch = {&engine->layout, &engine->source, engine->is_proven};
    KS_TRY(ks_copy_write_begin(engine->store->copy, &write));
    KS_TRY(ks_apply_message(&watch, message, &write, ret_result));
    engine->is_proven = ret_result->is_proven;
    struct ks_position position = write.position;
    if (ret_result->verdict != KS_APPLY_DONE || position.applied == engine->position.applied) {
        return KS_RES(OK);
    }
    KS_TRY(ks_copy_commit(&write));
    engine->position = position;
    bool reads_list = ret_result->list_changed && engine->phase == KS_PHASE_FOLLOWING;
    return reads_list ? ks_follow_read_list(engine) : KS_RES(OK);
}

static void on_message(void *user, const struct ks_etcd_watch_message *message)
{
    struct ks_replicated *engine = user;
    engine->watch_newest = message->header.revision;
    struct ks_apply_result applied = {.verdict = KS_APPLY_DONE};
    struct ks_position had = engine->position;
    ks_result result = apply(engine, message, &applied);
    if (ks_failed(result)) {
        ks_follow_failed(engine, result);
        return;
    }
    engine->alarms.copy_is_full = false;
    if (applied.verdict == KS_APPLY_EPOCH || applied.verdict == KS_APPLY_OTHER) {
        ks_hello_again(engine, KS_PHASE_ON_STRANGE);
        return;
    }
    if (applied.verdict == KS_APPLY_FORM) {
        ks_refuse(engine, KS_REFUSED_FORM);
        return;
    }
    if (applied.verdict == KS_APPLY_LOST) {
        ks_notice(engine, "etcd's watch has lost events: the copy is loaded anew");
        ks_hello_again(engine, KS_PHASE_ON_LOST);
        return;
    }
    if (engine->position.applied > had.applied) {
        engine->vain_ends = 0;
        ks_history_len_add(&engine->history, engine->position.applied, len_of(message));
    }
    if (engine->phase == KS_PHASE_LOADING) {
        ks_load_note(engine, message);
        return;
    }
    if (engine->position.applied > had.applied) {
        tell(engine, message, &had);
        ks_beat_look(engine);
    }
    if (applied.list_changed) {
        ks_window_go_along(&engine->window, ks_now(engine));
    }
}

/*
 * A watch that ends before it brought anything, though there is something, is begun again. If that
 * goes on, etcd can't be followed from here, for whatever reason.
 */
static void note_end(struct ks_replicated *engine, const struct ks_etcd_watch_end *end)
{
    engine->vain_ends += engine->watch_newest > engine->position.applied;
    if (end->cause == KS_ETCD_COMPACTED) {
        ks_hello_again(engine, KS_PHASE_ON_LOST);
    } else if (engine->vain_ends >= VAIN_ENDS_MAX) {
        engine->vain_ends = 0;
        ks_notice(engine, "etcd's watch ends again and again before it brings anything: the copy "
                          "is loaded anew");
        ks_hello_again(engine, KS_PHASE_ON_LOST);
    }
}

static void on_end(void *user, const struct ks_etcd_watch_end *end)
{
    struct ks_replicated *engine = user;
    engine->watch = NULL;
    /* Mutations wait until the next watch is proven: at once, but not again and again. */
    engine->watch_ns = ks_now(engine) + (engine->is_proven ? 0 : RETRY_NS);
    engine->is_proven = false;
    if (!engine->is_closing) {
        note_end(engine, end);
    }
}

/* ---- Starting and stopping ---- */

/*
 * From the copy's anchor on, so that the first thing that comes proves that this is the etcd that
 * the copy is of, though another one may have taken its place since the last watch (history.h).
 *
 * Somebody's heartbeat comes five times in D, so silence for two of them means a member that hangs:
 * the next watch is another member's.
 */
static void start_watch(struct ks_replicated *engine)
{
    struct ks_etcd_watch_options options = {
        .from = ks_bytes_of(engine->layout.prefix),
        .to = ks_bytes_of(engine->layout.prefix_end),
        .start_revision = engine->position.rev_revision,
        .idle_ms = engine->store->options.window_ms * 2 / KS_WINDOW_BEATS,
        .behind_ms = BEHIND_MS,
        .on_message = on_message,
        .on_end = on_end,
        .user = engine,
    };
    engine->is_proven = false;
    engine->watch_newest = 0;
    if (ks_failed(ks_etcd_watch_start(engine->etcd, &options, &engine->watch))) {
        engine->watch = NULL;
        engine->watch_ns = ks_now(engine) + RETRY_NS;
    }
}

void ks_follow_begin(struct ks_replicated *engine, enum ks_phase_event event)
{
    ks_cell_clock_begin(&engine->store->cell_clock);
    ks_result listed = ks_follow_read_list(engine);
    if (ks_failed(listed)) {
        ks_follow_failed(engine, listed);
        return;
    }
    const struct ks_store_options *options = &engine->store->options;
    ks_phase_step(&engine->phase, event);
    engine->watch_ns = 0;
    engine->has_spoken = true;
    atomic_store(&engine->store->applied, engine->position.applied);
    if (options->on_applied) {
        options->on_applied(options->user, engine->position.applied);
    }
    ks_follow_watch(engine);
    ks_keep_publish(engine);
}

void ks_follow_watch(struct ks_replicated *engine)
{
    if (!engine->watch) {
        start_watch(engine);
    }
}

void ks_follow_stop(struct ks_replicated *engine)
{
    if (engine->watch) {
        ks_etcd_watch_stop(engine->watch);
        engine->watch = NULL;
    }
    engine->is_proven = false;
}

bool ks_follow_is_proven(const struct ks_replicated *engine)
{
    return engine->phase == KS_PHASE_FOLLOWING && engine->watch && engine->is_proven;
}

void ks_follow_tick(struct ks_replicated *engine, int64_t now_ns, int64_t *next_ns)
{
    if (engine->phase != KS_PHASE_FOLLOWING && engine->phase != KS_PHASE_LOADING) {
        return;
    }
    if (ks_copy_is_damaged(engine->store->copy)) {
        ks_notice(engine, "a record of the copy is damaged: the copy is loaded anew");
        ks_hello_again(engine, KS_PHASE_ON_LOST);
        *next_ns = now_ns;
        return;
    }
    if (engine->watch) {
        return;
    }
    if (now_ns >= engine->watch_ns) {
        start_watch(engine);
    }
    *next_ns = engine->watch_ns < *next_ns ? engine->watch_ns : *next_ns;
}
