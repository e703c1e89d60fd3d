#include "pkg/store/store.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "pkg/store/engine/engine.h"

#define DATABASE_BYTES_DEFAULT (16ULL << 30)
#define DEADLINE_DEFAULT_NS    (10 * KS_NS_PER_S)

static const struct ks_engine *const engines[] = {
    [KS_STORE_EMBEDDED] = &ks_embedded_engine,
    [KS_STORE_REPLICATED] = &ks_replicated_engine,
};

/* ---- Beginning and end ---- */

static const char *own(const char *text)
{
    return ks_strdup(text ? text : "");
}

static void copy_options(struct ks_store_options *options)
{
    const char **endpoints = ks_alloc(options->endpoint_count, sizeof(*endpoints));
    for (size_t i = 0; i < options->endpoint_count; i++) {
        endpoints[i] = own(options->endpoints[i]);
    }
    options->endpoints = endpoints;
    const char **texts[] = {&options->folder,    &options->prefix,   &options->ca_file,
                            &options->cert_file, &options->key_file, &options->name,
                            &options->zone,      &options->address};
    for (size_t i = 0; i < KS_COUNT(texts); i++) {
        *texts[i] = own(*texts[i]);
    }
    options->clock = options->clock ? options->clock : &ks_clock_system;
    options->window_ms = options->window_ms ? options->window_ms : KS_STORE_WINDOW_MS;
    if (options->database_bytes_max == 0) {
        options->database_bytes_max = DATABASE_BYTES_DEFAULT;
    }
}

static void free_own(const char *text)
{
    ks_free((void *)(uintptr_t)text);
}

static void free_options(struct ks_store_options *options)
{
    for (size_t i = 0; i < options->endpoint_count; i++) {
        free_own(options->endpoints[i]);
    }
    ks_free((void *)(uintptr_t)options->endpoints);
    const char *const texts[] = {options->folder,    options->prefix,   options->ca_file,
                                 options->cert_file, options->key_file, options->name,
                                 options->zone,      options->address};
    for (size_t i = 0; i < KS_COUNT(texts); i++) {
        free_own(texts[i]);
    }
}

/* By the guard. */
static void refused(void *user, ks_bytes key)
{
    const struct ks_store_options *options = &((struct ks_store *)user)->options;
    if (options->on_refused) {
        options->on_refused(options->user, key);
    }
}

static ks_result open_copy(struct ks_store *store)
{
    KS_AUTO_FREE char *path = ks_folder_path(&store->folder, "copy");
    struct ks_copy_options options = {.folder = path,
                                      .bytes_max = store->options.database_bytes_max,
                                      .due_ms = store->options.due_ms,
                                      .guard = store->options.guard,
                                      .ordinal_of = store->options.ordinal_of,
                                      .on_refused = refused,
                                      .user = store};
    if (store->options.engine == KS_STORE_EMBEDDED) {
        return ks_copy_open(&options, &store->copy);
    }
    /* The truth is in etcd: what may be damaged is thrown away, and loaded anew. */
    options.no_sync = true;
    if (!ks_folder_is_intact(&store->folder)) {
        KS_TRY(ks_folder_throw_away(&store->folder, "copy"));
    }
    KS_TRY(ks_folder_mark(&store->folder, KS_FOLDER_IN_USE));
    ks_result opened = ks_copy_open(&options, &store->copy);
    if (opened.code != KS_CORRUPT) {
        return opened;
    }
    KS_TRY(ks_folder_throw_away(&store->folder, "copy"));
    return ks_copy_open(&options, &store->copy);
}

static void *thread_main(void *user)
{
    struct ks_store *store = user;
    store->engine->run(store);
    return NULL;
}

static ks_result open_all(struct ks_store *store)
{
    KS_TRY(ks_folder_open(store->options.folder, &store->folder));
    KS_TRY(open_copy(store));
    KS_TRY(store->engine->start(store));
    int rc = pthread_create(&store->thread, NULL, thread_main, store);
    return rc == 0 ? KS_RES(OK) : KS_RES(INTERNAL);
}

/* After a clean end the copy can be used under another boot, too. */
static void close_copy(struct ks_store *store)
{
    bool keeps = store->copy && store->options.engine == KS_STORE_REPLICATED &&
                 !ks_copy_is_damaged(store->copy) && !ks_failed(ks_copy_sync(store->copy));
    ks_copy_close(store->copy);
    if (keeps && ks_failed(ks_folder_mark(&store->folder, KS_FOLDER_CLEAN))) {
        return; /* It is marked as in use: the next process to open it decides by the boot id. */
    }
}

static void close_all(struct ks_store *store)
{
    store->engine->end(store);
    close_copy(store);
    ks_cell_clock_done(&store->cell_clock);
    ks_folder_close(&store->folder);
    free_options(&store->options);
    ks_free(store);
}

ks_result ks_store_new(const struct ks_store_options *options, struct ks_store **ret_store)
{
    assert(options->folder);
    assert(options->engine == KS_STORE_EMBEDDED || options->engine == KS_STORE_REPLICATED);

    struct ks_store *store = ks_alloc(1, sizeof(*store));
    store->options = *options;
    store->folder.lock_fd = -1;
    store->engine = engines[options->engine];
    store->is_held = options->is_held && options->engine == KS_STORE_REPLICATED;
    copy_options(&store->options);
    ks_result opened = open_all(store);
    if (ks_failed(opened)) {
        close_all(store);
        return opened;
    }
    *ret_store = store;
    return KS_RES(OK);
}

void ks_store_free(struct ks_store *store)
{
    if (!store) {
        return;
    }
    atomic_store(&store->stopping, true);
    store->engine->wake(store);
    pthread_join(store->thread, NULL);
    ks_store_drain(store);
    close_all(store);
}

/* ---- Handing over to the store's thread ---- */

static void hand_over(struct ks_store *store, struct ks_message *message)
{
    if (ks_inbox_push(&store->inbox, message)) {
        store->engine->wake(store);
    }
}

/* Counts one more; false when as many as allowed are under way. */
static bool admit(struct ks_store *store)
{
    return atomic_fetch_add(&store->pending_count, 1) < KS_STORE_PENDING_MAX;
}

void ks_store_commit(struct ks_store *store, const struct ks_store_mutation *mutation,
                     int64_t deadline_ns,
                     void (*done)(void *user, const struct ks_store_outcome *outcome), void *user)
{
    assert(done);

    struct ks_pending *pending =
        admit(store) ? ks_pending_new(mutation) : ks_pending_refused(KS_THROTTLED);
    pending->done = done;
    pending->user = user;
    pending->deadline_ns = deadline_ns;
    if (deadline_ns == 0) {
        pending->deadline_ns = ks_clock_boot_ns(store->options.clock) + DEADLINE_DEFAULT_NS;
    }
    hand_over(store, &pending->message);
}

void ks_store_answer(struct ks_store *store, struct ks_pending *pending,
                     const struct ks_store_outcome *outcome)
{
    atomic_fetch_sub(&store->pending_count, 1);
    ks_pending_answer(pending, outcome);
}

void ks_store_settle(struct ks_store *store, int64_t revision,
                     void (*done)(void *user, ks_result result), void *user)
{
    assert(done);

    if (store->options.engine == KS_STORE_EMBEDDED || revision <= atomic_load(&store->settled)) {
        done(user, KS_RES(OK));
        return;
    }
    if (!admit(store)) {
        atomic_fetch_sub(&store->pending_count, 1);
        done(user, KS_RES(UNAVAILABLE));
        return;
    }
    struct ks_wish *wish = ks_alloc(1, sizeof(*wish));
    *wish = (struct ks_wish){
        .message.kind = KS_MESSAGE_SETTLE, .revision = revision, .done = done, .user = user};
    hand_over(store, &wish->message);
}

void ks_store_answer_wish(struct ks_store *store, struct ks_wish *wish, ks_result result)
{
    atomic_fetch_sub(&store->pending_count, 1);
    wish->done(wish->user, result);
    ks_free(wish);
}

void ks_store_peer_applied(struct ks_store *store, const char *keystore_id, int64_t revision)
{
    size_t id_len = strlen(keystore_id);
    if (store->options.engine == KS_STORE_EMBEDDED || id_len == 0 || id_len > KS_KEYSTORE_ID_LEN) {
        return;
    }
    struct ks_word *word = ks_alloc(1, sizeof(*word));
    word->message.kind = KS_MESSAGE_WORD;
    word->revision = revision;
    snprintf(word->keystore_id, sizeof(word->keystore_id), "%s", keystore_id);
    hand_over(store, &word->message);
}

void ks_store_drain(struct ks_store *store)
{
    const struct ks_store_outcome gone = {.result = KS_RES(UNAVAILABLE)};
    struct ks_message *next;
    for (struct ks_message *message = ks_inbox_take(&store->inbox); message; message = next) {
        next = message->next;
        if (message->kind == KS_MESSAGE_COMMIT) {
            ks_store_answer(store, (struct ks_pending *)message, &gone);
        } else if (message->kind == KS_MESSAGE_SETTLE) {
            ks_store_answer_wish(store, (struct ks_wish *)message, KS_RES(UNAVAILABLE));
        } else {
            ks_free(message);
        }
    }
}

/* ---- Status ---- */

void ks_store_get_status(struct ks_store *store, struct ks_store_status *ret_status)
{
    *ret_status = (struct ks_store_status){0};
    store->engine->status(store, ret_status);
    const char *alarm = ks_cell_clock_alarm(&store->cell_clock);
    if (alarm && ret_status->alarm[0] == 0) {
        snprintf(ret_status->alarm, sizeof(ret_status->alarm), "%s", alarm);
    }
}

/* ---- Time ---- */

const struct ks_clock *ks_store_clock(const struct ks_store *store)
{
    return &store->cell_clock.clock;
}

bool ks_store_knows_time(const struct ks_store *store)
{
    return atomic_load(&store->cell_clock.is_known);
}

ks_result ks_store_destruction_time(struct ks_store *store, int64_t *ret_ms)
{
    return ks_cell_clock_destruction(&store->cell_clock, ret_ms);
}

bool ks_store_on_duty(struct ks_store *store)
{
    return !ks_store_is_held(store) && store->engine->on_duty(store);
}

bool ks_store_raise_ordinal(struct ks_store *store, ks_bytes key, uint64_t ordinal)
{
    return ks_copy_raise_ordinal(store->copy, key, ordinal);
}

uint64_t ks_store_ordinal(struct ks_store *store, ks_bytes key)
{
    return ks_copy_ordinal(store->copy, key);
}

void ks_store_doubt(struct ks_store *store)
{
    if (store->options.engine == KS_STORE_REPLICATED) {
        ks_copy_condemn(store->copy);
    }
}

void ks_store_release(struct ks_store *store)
{
    atomic_store(&store->is_held, false);
}

bool ks_store_is_held(struct ks_store *store)
{
    return atomic_load(&store->is_held);
}
