/* Settlements: when an answer goes out, and which silent keystores are struck. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/store/replicated/replicated.h"

#define STRIKE_CALL_MS 1000
#define ARENA_LEN_MAX  4096U

/* One answer that waits. A mutation's, or a wish's. */
struct ack {
    struct ks_waiter waiter;
    struct ks_pending *pending;
    struct ks_store_outcome outcome;
    char *stored; /* what outcome borrows */
    struct ks_wish *wish;
};

static void answer(struct ks_replicated *engine, struct ack *ack, bool is_settled)
{
    engine->answered_count += ack->pending != NULL;
    if (ack->wish) {
        ks_store_answer_wish(engine->store, ack->wish,
                             is_settled ? KS_RES(OK) : KS_RES(UNAVAILABLE));
    } else if (is_settled) {
        ks_store_answer(engine->store, ack->pending, &ack->outcome);
    } else {
        const struct ks_store_outcome unknown = {.result = KS_RES(UNAVAILABLE)};
        ks_store_answer(engine->store, ack->pending, &unknown);
    }
    ks_free(ack->stored);
    ks_free(ack);
}

/* Waiters come newest first; the one that asked first is answered first. */
static void answer_all(struct ks_replicated *engine, struct ks_waiter *waiters, bool is_settled)
{
    struct ks_waiter *oldest = NULL;
    struct ks_waiter *next;
    for (; waiters; waiters = next) {
        next = waiters->next;
        waiters->next = oldest;
        oldest = waiters;
    }
    for (; oldest; oldest = next) {
        next = oldest->next;
        answer(engine, (struct ack *)oldest, is_settled);
    }
}

/* ---- Strikes ---- */

/* One that may not have been done is tried again by the next settlement that ends by time. */
static void on_strike(void *user, const struct ks_etcd_answer *etcd_answer)
{
    struct ks_replicated *engine = user;
    if (etcd_answer->cause != KS_ETCD_DONE) {
        engine->struck_id[0] = 0;
    }
}

/*
 * [DELETE, STILL] Deleted only if the record is still the one that was listed. Nested: see beat.c.
 */
static void strike(void *user, const struct ks_listed *silent)
{
    struct ks_replicated *engine = user;
    const struct ks_layout *layout = &engine->layout;
    if (!ks_follow_is_proven(engine)) {
        return; /* the list may be of another etcd than the one that is there now */
    }
    if (engine->struck_revision == silent->mod_revision &&
        strcmp(engine->struck_id, silent->id) == 0) {
        return;
    }
    struct ks_nonce nonce;
    if (ks_failed(ks_nonce_new(&nonce))) {
        return;
    }
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    ks_bytes key = ks_layout_keystore_key(layout, &arena, silent->id);
    const struct ks_etcd_compare compares[] = {
        {ks_bytes_of(layout->epoch), engine->source.epoch_revision},
        {key, silent->mod_revision},
    };
    const struct ks_etcd_op ops[] = {
        {.kind = KS_ETCD_PUT,
         .key = ks_bytes_of(layout->rev),
         .value = {nonce.bytes, sizeof(nonce.bytes)}},
        {.kind = KS_ETCD_DELETE, .key = key},
    };
    const struct ks_etcd_txn nested = {.success = ops, .success_count = KS_COUNT(ops)};
    const struct ks_etcd_op delete = {.kind = KS_ETCD_TXN, .txn = &nested};
    const struct ks_etcd_txn txn = {.compares = compares,
                                    .compare_count = KS_COUNT(compares),
                                    .success = &delete,
                                    .success_count = 1};
    const struct ks_etcd_call call = {
        .done = on_strike, .user = engine, .timeout_ms = STRIKE_CALL_MS};
    if (!ks_failed(ks_etcd_txn(engine->etcd, &txn, &call))) {
        engine->struck_revision = silent->mod_revision;
        snprintf(engine->struck_id, sizeof(engine->struck_id), "%s", silent->id);
    }
}

/* ---- Waiting ---- */

static void wait_for(struct ks_replicated *engine, struct ack *ack, int64_t revision,
                     const struct ks_list *list)
{
    struct ks_settling *settling = &engine->settling;
    if (revision <= settling->settled) {
        answer(engine, ack, true);
    } else if (!ks_settling_join(settling, revision, &ack->waiter)) {
        ks_settling_begin(settling, revision, list, ks_now(engine), &ack->waiter);
    }
}

void ks_acks_add(struct ks_replicated *engine, struct ks_pending *pending,
                 const struct ks_store_outcome *outcome, const struct ks_list *list)
{
    struct ack *ack = ks_alloc(1, sizeof(*ack));
    ack->pending = pending;
    ack->outcome = *outcome;
    if (outcome->result.code != KS_OK && outcome->result.code != KS_ALREADY_EXISTS) {
        answer(engine, ack, true);
        return;
    }
    if (outcome->stored.len > 0) {
        ack->stored = ks_bytes_dup(outcome->stored);
        ack->outcome.stored.ptr = (const uint8_t *)ack->stored;
    }
    wait_for(engine, ack, outcome->revision, list);
}

/* A reader's list is the copy's: it is of the view's revision, or a later one. */
void ks_acks_wish(struct ks_replicated *engine, struct ks_wish *wish)
{
    struct ack *ack = ks_alloc(1, sizeof(*ack));
    ack->wish = wish;
    if (wish->revision > engine->settling.settled &&
        (engine->position.loading || wish->revision > engine->position.applied)) {
        answer(engine, ack, false); /* of a copy that is gone */
        return;
    }
    wait_for(engine, ack, wish->revision, &engine->list);
}

void ks_acks_tick(struct ks_replicated *engine, int64_t now_ns, int64_t *next_ns)
{
    struct ks_settling *settling = &engine->settling;
    struct ks_waiter *waiters;
    int64_t applied = engine->position.loading ? 0 : engine->position.applied;
    int64_t over_ns = ks_settling_step(settling, &engine->list, applied,
                                       engine->store->folder.keystore_id, now_ns);
    atomic_store(&engine->store->settled, settling->settled);
    while (ks_settling_take(settling, now_ns, strike, engine, &waiters)) {
        answer_all(engine, waiters, true);
    }
    *next_ns = over_ns < *next_ns ? over_ns : *next_ns;
}

void ks_acks_reset(struct ks_replicated *engine)
{
    atomic_store(&engine->store->settled, 0);
    answer_all(engine, ks_settling_reset(&engine->settling), false);
}
