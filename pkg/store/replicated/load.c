/* The copy anew: every record as it stood at one revision, in 256 ranges. */
#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/store/replicated/replicated.h"

/* Records a call: of the longest values they are 34 MB (KS_ETCD_ANSWER_MAX allows 64). */
#define PAGE_LIMIT 128
#define CALL_MS    5000
#define RETRY_NS   (100 * KS_NS_PER_MS)

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

/* Empties the copy; its new generation makes every view of the old one worthless for serving. */
static ks_result empty_copy(struct ks_replicated *engine, const struct ks_greeting *greeting)
{
    KS_COPY_WRITE_AUTO write = {0};
    KS_TRY(ks_copy_write_begin(engine->store->copy, &write));
    KS_TRY(ks_copy_clear(&write));
    if (strcmp(engine->source.epoch, greeting->source.epoch) != 0) {
        KS_TRY(ks_copy_forget_ordinals(&write));
    }
    KS_TRY(write_list(engine, &write, greeting->list));
    write.position =
        (struct ks_position){.generation = engine->position.generation + 1, .loading = true};
    engine->position = write.position;
    return ks_copy_commit(&write);
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
    engine->load = (struct ks_load){
        .revision = greeting->revision,
        .source = greeting->source,
        .rev_version = greeting->rev_version,
        .rev_revision = greeting->rev_revision,
        .nonce = greeting->nonce,
    };
    ks_phase_step(&engine->phase, KS_PHASE_ON_OTHER);
}

/* Starts over from a newer revision, once no page is under way. */
static void abort_load(struct ks_replicated *engine)
{
    engine->load.is_aborted = true;
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
        KS_TRY(ks_copy_put(&write, key, kv->value, kv->mod_revision));
    }
    return ks_copy_commit(&write);
}

static void free_page(struct ks_load_page *page)
{
    ks_free(page->after);
    *page = (struct ks_load_page){.engine = page->engine};
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
}

static void page_came(struct ks_load_page *page, const struct ks_etcd_answer *answer)
{
    struct ks_replicated *engine = page->engine;
    if (answer->cause == KS_ETCD_COMPACTED ||
        (answer->cause == KS_ETCD_DONE &&
         answer->header.cluster_id != engine->load.source.cluster_id)) {
        abort_load(engine);
        return;
    }
    if (answer->cause != KS_ETCD_DONE || answer->op_count != 1) {
        page->retry_ns = ks_now(engine) + RETRY_NS;
        return;
    }
    ks_result stored = store_page(engine, &answer->ops[0]);
    if (ks_failed(stored)) {
        abort_load(engine);
        ks_follow_failed(engine, stored);
        return;
    }
    go_on(page, &answer->ops[0]);
}

static void on_page(void *user, const struct ks_etcd_answer *answer)
{
    struct ks_load_page *page = user;
    page->is_calling = false;
    if (!page->engine->is_closing && !page->engine->load.is_aborted) {
        page_came(page, answer);
    }
}

/* Serializable: at a fixed revision every member that has it answers the same. */
static void send_page(struct ks_replicated *engine, struct ks_load_page *page)
{
    ks_bytes from = page->after ? (ks_bytes){(const uint8_t *)page->after, page->after_len}
                                : ks_bytes_of(page->range.from);
    struct ks_etcd_op range = {
        .kind = KS_ETCD_RANGE,
        .key = from,
        .range_end = ks_bytes_of(page->range.to),
        .limit = PAGE_LIMIT,
        .revision = engine->load.revision,
        .serializable = true,
    };
    struct ks_etcd_call call = {.done = on_page, .user = page, .timeout_ms = CALL_MS};
    page->is_calling = !ks_failed(ks_etcd_range(engine->etcd, &range, &call));
    if (!page->is_calling) {
        page->retry_ns = ks_now(engine) + RETRY_NS;
    }
}

static ks_result finish_copy(struct ks_replicated *engine)
{
    const struct ks_load *load = &engine->load;
    KS_COPY_WRITE_AUTO write = {0};
    KS_TRY(ks_copy_write_begin(engine->store->copy, &write));
    KS_TRY(ks_copy_set_source(&write, &load->source));
    /* What is absent may have been deleted at any revision up to this one. */
    struct ks_position position = {
        .generation = engine->position.generation,
        .applied = load->revision,
        .data_revision = load->revision,
        .rev_version = load->rev_version,
        .rev_revision = load->rev_revision,
        .nonce = load->nonce,
        .floor = load->revision,
    };
    write.position = position;
    KS_TRY(ks_copy_commit(&write));
    engine->position = position;
    engine->source = load->source;
    return KS_RES(OK);
}

static void finish_load(struct ks_replicated *engine)
{
    const struct ks_store_options *options = &engine->store->options;
    ks_result finished = finish_copy(engine);
    if (ks_failed(finished)) {
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

static void start_over(struct ks_replicated *engine)
{
    for (size_t i = 0; i < KS_LOAD_PAGES; i++) {
        free_page(&engine->load.pages[i]);
    }
    engine->load.is_aborted = false;
    if (engine->phase == KS_PHASE_LOADING) {
        ks_hello_again(engine, KS_PHASE_ON_LOST);
    }
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
    if (!page->is_used || page->is_calling) {
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
            start_over(engine);
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
