/*
 * Asks which etcd this is, and decides what that means for the copy.
 *
 *   ASK    reads the epoch and the revision record as they are now
 *   THEN   reads the revision record as it was at the copy's anchor (history.h), if etcd is newer
 *   GREET  makes the epoch, if there is nothing of the cell and no copy, and reads what a load needs
 *
 * Only GREET writes, and it comes before a load only: a keystore that is refused writes nothing.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/random.h"
#include "pkg/store/log/history.h"
#include "pkg/store/replicated/replicated.h"

#define RETRY_NS (200 * KS_NS_PER_MS)
#define CALL_MS  1000

#define REFUSED_EMPTY                                                                               \
    "etcd holds nothing of this cell, but this keystore's copy does: restore etcd, or remove this " \
    "data folder (of every zone) to begin a new, empty cell; docs/operations/etcd-went-back.md"
void ks_hello_again(struct ks_replicated *engine, enum ks_phase_event event)
{
    ks_window_close(&engine->window);
    ks_follow_stop(engine);
    ks_load_abort(engine);
    engine->must_load = engine->must_load || event == KS_PHASE_ON_LOST;
    ks_phase_step(&engine->phase, event);
    engine->hello_ns = ks_now(engine);
    ks_keep_publish(engine);
}

bool ks_hello_is_same(struct ks_replicated *engine, const struct ks_etcd_answer *answer,
                      int64_t after)
{
    bool same = answer->cause == KS_ETCD_DONE && answer->succeeded &&
                answer->header.cluster_id == engine->source.cluster_id &&
                answer->header.revision > after;
    if (!same && answer->cause == KS_ETCD_DONE && engine->phase == KS_PHASE_FOLLOWING) {
        ks_hello_again(engine, KS_PHASE_ON_STRANGE);
    }
    return same;
}

/* ---- GREET ---- */

/* The one record of a range; NULL if there is none. */
static const struct ks_etcd_kv *only(const struct ks_etcd_op_answer *op)
{
    return op->kind == KS_ETCD_RANGE && op->kv_count == 1 ? &op->kvs[0] : NULL;
}

/* The last three ops of either branch are the ranges of rev, epoch and list. */
static bool read_greeting(const struct ks_etcd_answer *answer, struct ks_greeting *ret_greeting)
{
    if (answer->op_count < 3) {
        return false;
    }
    const struct ks_etcd_op_answer *ops = &answer->ops[answer->op_count - 3];
    const struct ks_etcd_kv *rev = only(&ops[0]);
    const struct ks_etcd_kv *epoch = only(&ops[1]);
    if (!rev || rev->value.len != KS_NONCE_LEN || !epoch || epoch->value.len == 0 ||
        epoch->value.len > KS_EPOCH_LEN_MAX || ops[2].kind != KS_ETCD_RANGE) {
        return false;
    }
    *ret_greeting = (struct ks_greeting){
        .source = {.cluster_id = answer->header.cluster_id, .epoch_revision = epoch->mod_revision},
        .revision = answer->header.revision,
        .rev_version = rev->version,
        .rev_revision = rev->mod_revision,
        .list = &ops[2],
    };
    memcpy(ret_greeting->nonce.bytes, rev->value.ptr, KS_NONCE_LEN);
    memcpy(ret_greeting->source.epoch, epoch->value.ptr, epoch->value.len);
    return true;
}

/*
 * Nothing that was said before may count in what is loaded now: this keystore gets a new identity,
 * and everybody else's word is forgotten. Returns false, with the engine refused, if the data
 * folder can't be written.
 */
static bool take_new_identity(struct ks_replicated *engine)
{
    const struct ks_store_options *options = &engine->store->options;
    if (options->on_applied) {
        options->on_applied(options->user, 0);
    }
    if (ks_failed(ks_folder_renew(&engine->store->folder))) {
        ks_refuse(engine, KS_REFUSED_FOLDER);
        return false;
    }
    engine->has_spoken = false;
    ks_acks_reset(engine);
    return true;
}

/* Another cell, or the same one restored: revisions there mean other states. */
static void meet_stranger(struct ks_replicated *engine, const struct ks_greeting *greeting)
{
    ks_notice(engine, "etcd's cluster id or epoch is another one than that of the copy: the copy "
                      "is thrown away and loaded anew");
    if (take_new_identity(engine) && ks_refuse_end(engine)) {
        ks_load_begin(engine, greeting);
    }
}

/*
 * Without an anchor nobody knows whether etcd has gone back since this keystore said what it has
 * applied. Its word must not count for revisions that came after that, which it has not applied.
 */
static void load_unproven(struct ks_replicated *engine, const struct ks_greeting *greeting)
{
    if (!engine->has_spoken || take_new_identity(engine)) {
        ks_load_begin(engine, greeting);
    }
}

static void greeted(struct ks_replicated *engine, const struct ks_greeting *greeting)
{
    struct ks_anchor anchor;
    bool has = ks_refuse_anchor(engine, &anchor);
    engine->alarms.refused = NULL;
    bool is_other = has && !ks_history_same_source(&greeting->source, &anchor.source);
    if (is_other) {
        meet_stranger(engine, greeting);
    } else if (has && (engine->has_refusal || greeting->revision <= anchor.revision)) {
        ks_refuse_for_good(engine, KS_REFUSED_LOST); /* it was another etcd a moment ago */
    } else if (!has || engine->is_unproven) {
        load_unproven(engine, greeting);
    } else {
        ks_load_begin(engine, greeting);
    }
}

static void on_greet(void *user, const struct ks_etcd_answer *answer)
{
    struct ks_replicated *engine = user;
    struct ks_greeting greeting;
    struct ks_anchor anchor;
    engine->is_greeting = false;
    if (engine->is_closing) {
        return;
    }
    ks_keep_note(engine, answer);
    if (answer->cause != KS_ETCD_DONE) {
        engine->hello_ns = ks_now(engine) + RETRY_NS;
    } else if (answer->succeeded && ks_refuse_anchor(engine, &anchor)) {
        ks_refuse_for_good(engine, REFUSED_EMPTY);
    } else if (!read_greeting(answer, &greeting)) {
        ks_refuse(engine, KS_REFUSED_FORM);
    } else {
        greeted(engine, &greeting);
    }
    ks_keep_publish(engine);
}

static bool make_epoch(char ret_epoch[33])
{
    uint8_t bytes[16];
    if (ks_failed(ks_random_public(bytes, sizeof(bytes)))) {
        return false;
    }
    for (size_t i = 0; i < sizeof(bytes); i++) {
        snprintf(ret_epoch + 2 * i, 3, "%02x", bytes[i]);
    }
    return true;
}

/*
 * A write, because a load rests on it: a linearizable read of etcd 3.4 may be stale after a pause.
 * Without an anchor it makes the epoch if it is absent; with one an absent epoch means that etcd
 * has lost everything. Nested: see beat.c.
 */
static ks_result send_greet(struct ks_replicated *engine)
{
    const struct ks_layout *layout = &engine->layout;
    char epoch[33];
    struct ks_nonce nonce;
    struct ks_anchor anchor;
    bool has = ks_refuse_anchor(engine, &anchor);
    KS_TRY(ks_nonce_new(&nonce));
    if (!make_epoch(epoch)) {
        return KS_RES(INTERNAL);
    }
    const struct ks_etcd_compare absent = {ks_bytes_of(layout->epoch), 0};
    const struct ks_etcd_op put_rev = {.kind = KS_ETCD_PUT,
                                       .key = ks_bytes_of(layout->rev),
                                       .value = {nonce.bytes, sizeof(nonce.bytes)}};
    const struct ks_etcd_txn nested = {.success = &put_rev, .success_count = 1};
    const struct ks_etcd_op ops[] = {
        {.kind = KS_ETCD_PUT, .key = ks_bytes_of(layout->epoch), .value = ks_bytes_of(epoch)},
        {.kind = KS_ETCD_TXN, .txn = &nested},
        {.kind = KS_ETCD_RANGE, .key = ks_bytes_of(layout->rev)},
        {.kind = KS_ETCD_RANGE, .key = ks_bytes_of(layout->epoch)},
        {.kind = KS_ETCD_RANGE,
         .key = ks_bytes_of(layout->list),
         .range_end = ks_bytes_of(layout->list_end)},
    };
    struct ks_etcd_txn txn = {
        .compares = &absent,
        .compare_count = 1,
        .success = has ? &ops[3] : &ops[0],
        .success_count = has ? 1 : KS_COUNT(ops),
        .failure = &ops[1],
        .failure_count = KS_COUNT(ops) - 1,
    };
    struct ks_etcd_call call = {.done = on_greet, .user = engine, .timeout_ms = CALL_MS};
    return ks_etcd_txn(engine->etcd, &txn, &call);
}

static void greet(struct ks_replicated *engine)
{
    engine->is_greeting = !ks_failed(send_greet(engine));
}

/* ---- THEN ---- */

/* etcd has the anchor: whatever was refused is in order again. */
static void go_on(struct ks_replicated *engine)
{
    engine->is_unproven = false;
    if (!ks_refuse_end(engine)) {
        return;
    }
    if (ks_refuse_has_copy(engine) && !engine->must_load) {
        ks_follow_begin(engine, KS_PHASE_ON_SAME);
    } else {
        greet(engine);
    }
}

/* Only a copy that etcd never contradicted may be replaced because nobody can compare any more. */
static void compacted(struct ks_replicated *engine)
{
    if (engine->has_refusal) {
        ks_refuse_for_good(engine, KS_REFUSED_LOST);
        return;
    }
    ks_notice(engine, "etcd has compacted what this keystore has not applied yet: the copy is "
                      "loaded anew");
    engine->must_load = true;
    engine->is_unproven = true;
    greet(engine);
}

static void on_then(void *user, const struct ks_etcd_answer *answer)
{
    struct ks_replicated *engine = user;
    struct ks_anchor anchor;
    engine->is_greeting = false;
    if (engine->is_closing || !ks_refuse_anchor(engine, &anchor)) {
        return;
    }
    bool is_range = answer->cause == KS_ETCD_DONE && answer->op_count == 1;
    const struct ks_etcd_kv *rev = is_range ? only(&answer->ops[0]) : NULL;
    if (answer->cause == KS_ETCD_COMPACTED) {
        compacted(engine);
    } else if (!is_range) {
        engine->hello_ns = ks_now(engine) + RETRY_NS; /* FUTURE, too: it went back a moment ago */
    } else if (rev &&
               ks_history_judge_then(&anchor, rev->mod_revision, rev->value) == KS_HISTORY_SAME) {
        go_on(engine);
    } else {
        ks_refuse_for_good(engine, KS_REFUSED_LOST);
    }
    ks_keep_publish(engine);
}

static void send_then(struct ks_replicated *engine, int64_t revision)
{
    const struct ks_etcd_op range = {
        .kind = KS_ETCD_RANGE,
        .key = ks_bytes_of(engine->layout.rev),
        .revision = revision,
    };
    struct ks_etcd_call call = {.done = on_then, .user = engine, .timeout_ms = CALL_MS};
    engine->is_greeting = !ks_failed(ks_etcd_range(engine->etcd, &range, &call));
}

/* ---- ASK ---- */

static bool read_found(const struct ks_etcd_answer *answer, struct ks_history_found *ret_found)
{
    if (answer->op_count != 2) {
        return false;
    }
    const struct ks_etcd_kv *rev = only(&answer->ops[0]);
    const struct ks_etcd_kv *epoch = only(&answer->ops[1]);
    if (epoch && (epoch->value.len == 0 || epoch->value.len > KS_EPOCH_LEN_MAX)) {
        return false;
    }
    *ret_found = (struct ks_history_found){
        .source.cluster_id = answer->header.cluster_id,
        .revision = answer->header.revision,
        .rev_revision = rev ? rev->mod_revision : 0,
        .has_nonce = rev && rev->value.len == KS_NONCE_LEN,
    };
    if (ret_found->has_nonce) {
        memcpy(ret_found->nonce.bytes, rev->value.ptr, KS_NONCE_LEN);
    }
    if (epoch) {
        ret_found->source.epoch_revision = epoch->mod_revision;
        memcpy(ret_found->source.epoch, epoch->value.ptr, epoch->value.len);
    }
    return true;
}

static void act(struct ks_replicated *engine, const struct ks_history_found *found)
{
    struct ks_anchor anchor;
    if (!ks_refuse_anchor(engine, &anchor)) {
        greet(engine);
        return;
    }
    switch (ks_history_judge(&anchor, found)) {
    case KS_HISTORY_SAME:
        go_on(engine);
        break;
    case KS_HISTORY_ASK:
        send_then(engine, anchor.revision);
        break;
    case KS_HISTORY_OTHER:
        greet(engine);
        break;
    case KS_HISTORY_EMPTY:
        ks_refuse_for_good(engine, REFUSED_EMPTY);
        break;
    case KS_HISTORY_LOST:
        ks_refuse_for_good(engine, KS_REFUSED_LOST);
        break;
    case KS_HISTORY_FORM:
        ks_refuse(engine, KS_REFUSED_FORM);
        break;
    }
}

static void on_ask(void *user, const struct ks_etcd_answer *answer)
{
    struct ks_replicated *engine = user;
    struct ks_history_found found;
    engine->is_greeting = false;
    if (engine->is_closing) {
        return;
    }
    ks_keep_note(engine, answer);
    if (answer->cause != KS_ETCD_DONE) {
        engine->hello_ns = ks_now(engine) + RETRY_NS;
    } else if (!read_found(answer, &found)) {
        ks_refuse(engine, KS_REFUSED_FORM);
    } else {
        act(engine, &found);
    }
    ks_keep_publish(engine);
}

static ks_result send_ask(struct ks_replicated *engine)
{
    const struct ks_etcd_op ops[] = {
        {.kind = KS_ETCD_RANGE, .key = ks_bytes_of(engine->layout.rev)},
        {.kind = KS_ETCD_RANGE, .key = ks_bytes_of(engine->layout.epoch)},
    };
    const struct ks_etcd_txn txn = {.success = ops, .success_count = KS_COUNT(ops)};
    struct ks_etcd_call call = {.done = on_ask, .user = engine, .timeout_ms = CALL_MS};
    return ks_etcd_txn(engine->etcd, &txn, &call);
}

void ks_hello_tick(struct ks_replicated *engine, int64_t now_ns, int64_t *next_ns)
{
    bool may_send = engine->phase == KS_PHASE_HELLO || engine->phase == KS_PHASE_REFUSED;
    if (!may_send || engine->is_greeting || engine->load.is_aborted) {
        return;
    }
    if (now_ns >= engine->hello_ns) {
        engine->hello_ns = now_ns + RETRY_NS;
        engine->is_greeting = !ks_failed(send_ask(engine));
    }
    *next_ns = engine->hello_ns < *next_ns ? engine->hello_ns : *next_ns;
}
