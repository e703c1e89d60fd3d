/* Heartbeats: numbered writes of the own record, which open serving windows (window.h). */
#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/store/replicated/replicated.h"

#define RECORD_LEN_MAX 1024U
#define ARENA_LEN_MAX  4096U

/* One heartbeat on its way. Freed by its callback. */
struct beat_call {
    struct ks_replicated *engine;
    uint64_t beat;
    int64_t after; /* what was applied before it was sent */
};

static void on_beat(void *user, const struct ks_etcd_answer *answer)
{
    struct beat_call call = *(struct beat_call *)user;
    struct ks_replicated *engine = call.engine;
    ks_free(user);
    if (engine->is_closing) {
        return;
    }
    ks_keep_note(engine, answer);
    if (engine->phase != KS_PHASE_FOLLOWING || !ks_hello_is_same(engine, answer, call.after)) {
        ks_window_lose(&engine->window, call.beat);
        return;
    }
    ks_window_learn(&engine->window, call.beat, answer->header.revision, ks_now(engine));
    ks_beat_look(engine);
}

static ks_result encode_record(const struct ks_replicated *engine, struct ks_buffer *buffer)
{
    const struct ks_store *store = engine->store;
    struct ks_list_entry record = {
        .life = store->folder.life,
        .beat = engine->window.beat,
        .applied = engine->position.applied,
        .wall_ms = ks_clock_wall_ms(store->options.clock),
    };
    memcpy(record.id, store->folder.keystore_id, sizeof(store->folder.keystore_id));
    strncpy(record.name, store->options.name, sizeof(record.name) - 1);
    strncpy(record.zone, store->options.zone, sizeof(record.zone) - 1);
    strncpy(record.address, store->options.address, sizeof(record.address) - 1);
    return ks_list_encode(&record, buffer);
}

/*
 * The revision record first, as in every transaction: a copy that has seen this heartbeat then has
 * seen all before it (apply.h). A keystore that was struck, or is new, joins the list by this.
 *
 * The puts are nested because etcd's quota does not count what is nested: a full etcd refuses
 * changes, and the cell serves on.
 */
static ks_result send_txn(struct ks_replicated *engine, ks_bytes record,
                          const struct ks_etcd_call *call)
{
    const struct ks_layout *layout = &engine->layout;
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    struct ks_nonce nonce;
    KS_TRY(ks_nonce_new(&nonce));
    ks_bytes own = ks_layout_keystore_key(layout, &arena, engine->store->folder.keystore_id);
    const struct ks_etcd_compare same_epoch = {ks_bytes_of(layout->epoch),
                                               engine->source.epoch_revision};
    const struct ks_etcd_op puts[] = {
        {.kind = KS_ETCD_PUT,
         .key = ks_bytes_of(layout->rev),
         .value = {nonce.bytes, sizeof(nonce.bytes)}},
        {.kind = KS_ETCD_PUT, .key = own, .value = record},
    };
    const struct ks_etcd_txn nested = {.success = puts, .success_count = KS_COUNT(puts)};
    const struct ks_etcd_op beat = {.kind = KS_ETCD_TXN, .txn = &nested};
    const struct ks_etcd_op epoch = {.kind = KS_ETCD_RANGE, .key = ks_bytes_of(layout->epoch)};
    const struct ks_etcd_txn txn = {
        .compares = &same_epoch,
        .compare_count = 1,
        .success = &beat,
        .success_count = 1,
        .failure = &epoch,
        .failure_count = 1,
    };
    return ks_etcd_txn(engine->etcd, &txn, call);
}

static void send_beat(struct ks_replicated *engine, int64_t now_ns)
{
    uint64_t beat = ks_window_send(&engine->window, now_ns);
    KS_BUFFER_AUTO record = {.len_max = RECORD_LEN_MAX};
    struct beat_call *user = ks_alloc(1, sizeof(*user));
    *user = (struct beat_call){engine, beat, engine->position.applied};
    struct ks_etcd_call call = {
        .done = on_beat,
        .user = user,
        .timeout_ms = ks_window_timeout_ns(&engine->window) / KS_NS_PER_MS,
    };
    if (ks_failed(encode_record(engine, &record)) ||
        ks_failed(send_txn(engine, ks_buffer_bytes(&record), &call))) {
        ks_window_lose(&engine->window, beat);
        ks_free(user);
    }
}

void ks_beat_look(struct ks_replicated *engine)
{
    if (ks_follow_is_proven(engine)) {
        ks_window_applied(&engine->window, engine->position.applied, engine->position.generation);
    }
}

void ks_beat_tick(struct ks_replicated *engine, int64_t now_ns, int64_t *next_ns)
{
    /* One more than fit would have every settlement wait until its time is over. */
    if (engine->phase != KS_PHASE_FOLLOWING ||
        ks_list_is_full_for(&engine->list, engine->store->folder.keystore_id)) {
        return;
    }
    if (ks_window_may_send(&engine->window, now_ns, engine->position.applied)) {
        send_beat(engine, now_ns);
    }
    int64_t due_ns = ks_window_next_ns(&engine->window);
    *next_ns = due_ns < *next_ns ? due_ns : *next_ns;
}
