/*
 * The copy anew: 256 ranges of records, while the watch brings what changes meanwhile.
 *
 * A load begins at the revision of a hello. From there on the watch applies the log as always, and
 * pages come with records as they are at some later revision. Of a record's forms the one with the
 * higher mod revision wins, and a deletion is remembered until the load ends (copy.h). So nothing
 * rests on history that etcd may have compacted when a page is asked for, and a load ends however
 * long it takes.
 *
 * Each page comes with the revision record, in one transaction. It is held until the watch has
 * brought that very transaction: then the page is of the same history, and the copy is not older
 * than the page.
 */
#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/store/replicated/replicated.h"

/* Records a call: of the longest values they are 34 MB (KS_ETCD_ANSWER_MAX allows 64). */
#define PAGE_LIMIT 128
#define CALL_MS    5000
#define RETRY_NS   (100 * KS_NS_PER_MS)

enum { REV_OP, PAGE_OP, PAGE_OP_COUNT };

/* Whether it is a record of that kind, within our bounds: what is not ours is passed over. */
static bool is_record(const struct ks_replicated *engine, const struct ks_etcd_kv *kv,
                      enum ks_layout_kind kind, ks_bytes *ret_name)
{
    return ks_layout_parse(&engine->layout, kv->key, ret_name) == kind &&
           ret_name->len <= KS_STORE_KEY_LEN_MAX && kv->value.len <= KS_STORE_VALUE_LEN_MAX;
}

static ks_result write_list(struct ks_replicated *engine, struct ks_copy_write *write,
                            const struct ks_etcd_op_answer *list)
{
    for (size_t i = 0; i < list->kv_count; i++) {
        const struct ks_etcd_kv *kv = &list->kvs[i];
        ks_bytes id = {0};
        if (!is_record(engine, kv, KS_LAYOUT_KEYSTORE, &id)) {
            continue;
        }
        KS_TRY(ks_copy_list_put(write, id, kv->value, kv->mod_revision));
    }
    return KS_RES(OK);
}

/*
 * Empties the copy; its new generation makes every view of the old one worthless for serving. It
 * has an anchor from now on, the hello itself: also a load is of one history.
 */
static ks_result empty_copy(struct ks_replicated *engine, const struct ks_greeting *greeting)
{
    KS_COPY_WRITE_AUTO write = {0};
    KS_TRY(ks_copy_write_begin(engine->store->copy, &write));
    KS_TRY(ks_copy_clear(&write));
    if (strcmp(engine->source.epoch, greeting->source.epoch) != 0) {
        KS_TRY(ks_copy_forget_ordinals(&write));
    }
    KS_TRY(ks_copy_set_source(&write, &greeting->source));
    KS_TRY(write_list(engine, &write, greeting->list));
    struct ks_position position = {
        .generation = engine->position.generation + 1,
        .applied = greeting->revision,
        .data_revision = greeting->revision,
        .rev_version = greeting->rev_version,
        .rev_revision = greeting->rev_revision,
        .nonce = greeting->nonce,
        .loading = true,
    };
    write.position = position;
    KS_TRY(ks_copy_commit(&write));
    engine->position = position;
    engine->source = greeting->source;
    return KS_RES(OK);
}

static void remember(struct ks_load *load, int64_t revision, const struct ks_nonce *nonce)
{
    load->recent[load->recent_next++ % KS_LOAD_RECENT] =
        (struct ks_load_revision){revision, *nonce};
}

void ks_load_begin(struct ks_replicated *engine, const struct ks_greeting *greeting)
{
    ks_window_close(&engine->window);
    atomic_store(&engine->store->applied, 0);
    engine->must_load = true;
    ks_result emptied = empty_copy(engine, greeting);
    ks_copy_forgive(engine->store->copy);
    if (!ks_failed(emptied)) {
        emptied = ks_folder_mark(&engine->store->folder, KS_FOLDER_IN_USE);
    }
    if (ks_failed(emptied)) {
        ks_follow_failed(engine, emptied);
        return;
    }
    memset(&engine->load, 0, sizeof(engine->load));
    remember(&engine->load, greeting->rev_revision, &greeting->nonce);
    ks_phase_step(&engine->phase, KS_PHASE_ON_OTHER);
    ks_follow_watch(engine);
}

void ks_load_note(struct ks_replicated *engine, const struct ks_etcd_watch_message *message)
{
    for (size_t i = 0; i < message->event_count; i++) {
        const struct ks_etcd_kv *kv = &message->events[i].kv;
        ks_bytes name = {0};
        if (ks_layout_parse(&engine->layout, kv->key, &name) == KS_LAYOUT_REV &&
            kv->value.len == KS_NONCE_LEN) {
            struct ks_nonce nonce;
            memcpy(nonce.bytes, kv->value.ptr, KS_NONCE_LEN);
            remember(&engine->load, kv->mod_revision, &nonce);
        }
    }
}

void ks_load_abort(struct ks_replicated *engine)
{
    if (engine->phase == KS_PHASE_LOADING) {
        engine->load.is_aborted = true;
    }
}

/* ---- A page ---- */

static void drop_answer(struct ks_load_page *page)
{
    ks_etcd_answer_unref(page->answer);
    page->answer = NULL;
}

static void free_page(struct ks_load_page *page)
{
    drop_answer(page);
    ks_free(page->after);
    *page = (struct ks_load_page){.engine = page->engine};
}

void ks_load_free(struct ks_load *load)
{
    for (size_t i = 0; i < KS_LOAD_PAGES; i++) {
        free_page(&load->pages[i]);
    }
}

static ks_result store_page(struct ks_replicated *engine, const struct ks_etcd_op_answer *range)
{
    KS_COPY_WRITE_AUTO write = {0};
    KS_TRY(ks_copy_write_begin(engine->store->copy, &write));
    for (size_t i = 0; i < range->kv_count; i++) {
        const struct ks_etcd_kv *kv = &range->kvs[i];
        ks_bytes key = {0};
        if (!is_record(engine, kv, KS_LAYOUT_DATA, &key)) {
            continue;
        }
        KS_TRY(ks_copy_put_newer(&write, key, kv->value, kv->mod_revision));
    }
    return ks_copy_commit(&write);
}

/* The next page of the bucket begins behind the last key that came. */
static void go_on(struct ks_load_page *page, const struct ks_etcd_op_answer *range)
{
    struct ks_load *load = &page->engine->load;
    if (!range->more || range->kv_count == 0) {
        load->buckets_done++;
        free_page(page);
        return;
    }
    ks_bytes last = range->kvs[range->kv_count - 1].key;
    ks_free(page->after);
    page->after = ks_bytes_dup(last);
    page->after_len = last.len + 1;
    page->retry_ns = 0;
    drop_answer(page);
}

/* Asks for the page once more, a little later. */
static void ask_again(struct ks_load_page *page)
{
    drop_answer(page);
    page->retry_ns = ks_now(page->engine) + RETRY_NS;
}

static const struct ks_load_revision *find_recent(const struct ks_load *load, int64_t revision)
{
    for (size_t i = 0; i < KS_LOAD_RECENT; i++) {
        if (load->recent[i].revision == revision) {
            return &load->recent[i];
        }
    }
    return NULL;
}

/* The page and the watch are of one history up to rev. */
static void take_page(struct ks_load_page *page)
{
    struct ks_replicated *engine = page->engine;
    const struct ks_etcd_op_answer *range = &page->answer->ops[PAGE_OP];
    ks_result stored = store_page(engine, range);
    if (ks_failed(stored)) {
        ks_load_abort(engine);
        ks_follow_failed(engine, stored);
        return;
    }
    go_on(page, range);
}

/* Takes what came once the watch has brought the transaction that it is as of. */
static void look_at_answer(struct ks_load_page *page)
{
    struct ks_replicated *engine = page->engine;
    const struct ks_etcd_kv *rev = &page->answer->ops[REV_OP].kvs[0];
    if (rev->mod_revision > engine->position.applied) {
        return;
    }
    const struct ks_load_revision *known = find_recent(&engine->load, rev->mod_revision);
    if (!known) {
        ask_again(page); /* of a member that lags, or from long ago */
    } else if (!ks_bytes_equal(rev->value, (ks_bytes){known->nonce.bytes, KS_NONCE_LEN})) {
        ks_hello_again(engine, KS_PHASE_ON_STRANGE);
    } else {
        take_page(page);
    }
}

/* The revision record and the page, of this cluster. */
static bool is_page(const struct ks_replicated *engine, const struct ks_etcd_answer *answer)
{
    return answer->cause == KS_ETCD_DONE && answer->op_count == PAGE_OP_COUNT &&
           answer->header.cluster_id == engine->source.cluster_id &&
           answer->ops[REV_OP].kind == KS_ETCD_RANGE && answer->ops[REV_OP].kv_count == 1 &&
           answer->ops[PAGE_OP].kind == KS_ETCD_RANGE;
}

static void on_page(void *user, const struct ks_etcd_answer *answer)
{
    struct ks_load_page *page = user;
    page->is_calling = false;
    if (page->engine->is_closing || page->engine->load.is_aborted) {
        return;
    }
    if (!is_page(page->engine, answer)) {
        ask_again(page);
        return;
    }
    page->answer = ks_etcd_answer_ref(answer);
    look_at_answer(page);
}

/* Serializable: any member will do, as the answer tells how far it is. */
static void send_page(struct ks_replicated *engine, struct ks_load_page *page)
{
    ks_bytes from = page->after ? (ks_bytes){(const uint8_t *)page->after, page->after_len}
                                : ks_bytes_of(page->range.from);
    const struct ks_etcd_op ops[PAGE_OP_COUNT] = {
        [REV_OP] = {.kind = KS_ETCD_RANGE,
                    .key = ks_bytes_of(engine->layout.rev),
                    .serializable = true},
        [PAGE_OP] = {.kind = KS_ETCD_RANGE,
                     .key = from,
                     .range_end = ks_bytes_of(page->range.to),
                     .limit = PAGE_LIMIT,
                     .serializable = true},
    };
    const struct ks_etcd_txn txn = {.success = ops, .success_count = PAGE_OP_COUNT};
    struct ks_etcd_call call = {.done = on_page, .user = page, .timeout_ms = CALL_MS};
    page->is_calling = !ks_failed(ks_etcd_txn(engine->etcd, &txn, &call));
    if (!page->is_calling) {
        page->retry_ns = ks_now(engine) + RETRY_NS;
    }
}

/* ---- The end ---- */

static ks_result finish_copy(struct ks_replicated *engine)
{
    KS_COPY_WRITE_AUTO write = {0};
    KS_TRY(ks_copy_write_begin(engine->store->copy, &write));
    KS_TRY(ks_copy_forget_deletions(&write));
    struct ks_position position = engine->position;
    position.loading = false;
    /* What is absent may have been deleted at any revision up to this one. */
    position.data_revision = position.applied;
    position.floor = position.applied;
    write.position = position;
    KS_TRY(ks_copy_commit(&write));
    engine->position = position;
    return KS_RES(OK);
}

static void finish_load(struct ks_replicated *engine)
{
    const struct ks_store_options *options = &engine->store->options;
    ks_result finished = finish_copy(engine);
    if (ks_failed(finished)) {
        ks_load_abort(engine);
        ks_follow_failed(engine, finished);
        return;
    }
    engine->must_load = false;
    ks_result told = ks_copy_tell_missing(engine->store->copy);
    if (ks_failed(told)) {
        ks_follow_failed(engine, told);
        return;
    }
    if (options->on_reload) {
        options->on_reload(options->user, engine->position.applied);
    }
    ks_follow_begin(engine, KS_PHASE_ON_LOADED);
}

static bool is_idle(const struct ks_load *load)
{
    for (size_t i = 0; i < KS_LOAD_PAGES; i++) {
        if (load->pages[i].is_calling) {
            return false;
        }
    }
    return true;
}

static void page_tick(struct ks_replicated *engine, struct ks_load_page *page, int64_t now_ns,
                      int64_t *next_ns)
{
    struct ks_load *load = &engine->load;
    if (!page->is_used && load->next_bucket < KS_LAYOUT_BUCKETS) {
        page->engine = engine;
        page->is_used = true;
        page->bucket = load->next_bucket++;
        ks_layout_bucket_range(&engine->layout, page->bucket, &page->range);
    }
    if (page->answer) {
        look_at_answer(page);
    }
    if (!page->is_used || page->is_calling || page->answer || load->is_aborted) {
        return;
    }
    if (now_ns >= page->retry_ns) {
        send_page(engine, page);
    }
    *next_ns = page->retry_ns < *next_ns ? page->retry_ns : *next_ns;
}

void ks_load_tick(struct ks_replicated *engine, int64_t now_ns, int64_t *next_ns)
{
    struct ks_load *load = &engine->load;
    if (load->is_aborted) {
        if (is_idle(load)) {
            ks_load_free(load);
            load->is_aborted = false;
            *next_ns = now_ns;
        }
        return;
    }
    if (engine->phase != KS_PHASE_LOADING) {
        return;
    }
    if (load->buckets_done == KS_LAYOUT_BUCKETS) {
        finish_load(engine);
        *next_ns = now_ns;
        return;
    }
    for (size_t i = 0; i < KS_LOAD_PAGES; i++) {
        page_tick(engine, &load->pages[i], now_ns, next_ns);
    }
}
