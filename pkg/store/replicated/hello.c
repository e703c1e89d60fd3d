/* Asks which etcd this is, and decides what that means for the copy. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/crypto/random.h"
#include "pkg/store/replicated/replicated.h"

#define RETRY_NS         (200 * KS_NS_PER_MS)
#define REFUSED_RETRY_NS (5 * KS_NS_PER_S)
#define CALL_MS          1000

#define REFUSED_EMPTY                                                                              \
    "etcd holds nothing of this cell, but this keystore's copy does: restore etcd from a backup, " \
    "or remove this data folder (of every zone) to begin a new, empty cell"
#define REFUSED_GONE_BACK                                                                          \
    "etcd has gone back: it lacks revisions that this keystore has applied, so acknowledged "      \
    "changes are missing. Bring back the members' data; or, if it was restored on purpose, put a " \
    "new random value at the epoch key with etcdctl"

void ks_refuse(struct ks_replicated *engine, const char *reason)
{
    ks_window_close(&engine->window);
    ks_follow_stop(engine);
    if (engine->alarms.refused != reason) {
        ks_notice(engine, reason);
    }
    engine->alarms.refused = reason;
    ks_phase_step(&engine->phase, KS_PHASE_ON_REFUSE);
    engine->hello_ns = ks_now(engine) + REFUSED_RETRY_NS;
    ks_keep_publish(engine);
}

void ks_hello_again(struct ks_replicated *engine, enum ks_phase_event event)
{
    ks_window_close(&engine->window);
    ks_follow_stop(engine);
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

static bool has_copy(const struct ks_replicated *engine)
{
    return engine->position.applied > 0 && !engine->position.loading;
}

/* ---- The answer ---- */

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

static bool is_same_source(const struct ks_copy_source *a, const struct ks_copy_source *b)
{
    return a->cluster_id == b->cluster_id && a->epoch_revision == b->epoch_revision &&
           strcmp(a->epoch, b->epoch) == 0;
}

/*
 * Another cell, or the same one restored. Revisions there mean other states, so nothing that was
 * said before may count: this keystore gets a new identity, and everybody else's word is forgotten.
 */
static void meet_stranger(struct ks_replicated *engine, const struct ks_greeting *greeting)
{
    ks_notice(engine, "etcd's cluster id or epoch is another one than that of the copy: the copy "
                      "is thrown away and loaded anew");
    const struct ks_store_options *options = &engine->store->options;
    if (options->on_applied) {
        options->on_applied(options->user, 0);
    }
    if (ks_failed(ks_folder_renew(&engine->store->folder))) {
        ks_refuse(engine, "the data folder can't be written: free space or mend the disk");
        return;
    }
    ks_acks_reset(engine);
    ks_load_begin(engine, greeting);
}

static void greeted(struct ks_replicated *engine, const struct ks_greeting *greeting)
{
    engine->alarms.refused = NULL;
    bool has = has_copy(engine);
    if (has && !is_same_source(&greeting->source, &engine->source)) {
        meet_stranger(engine, greeting);
    } else if (has && greeting->revision <= engine->position.applied) {
        ks_refuse(engine, REFUSED_GONE_BACK);
    } else if (!has || engine->must_load) {
        ks_load_begin(engine, greeting);
    } else {
        ks_follow_begin(engine, KS_PHASE_ON_SAME);
    }
}

static void on_hello(void *user, const struct ks_etcd_answer *answer)
{
    struct ks_replicated *engine = user;
    struct ks_greeting greeting;
    engine->is_greeting = false;
    if (engine->is_closing) {
        return;
    }
    ks_keep_note(engine, answer);
    if (answer->cause != KS_ETCD_DONE) {
        engine->hello_ns = ks_now(engine) + RETRY_NS;
    } else if (answer->succeeded && has_copy(engine)) {
        ks_refuse(engine, REFUSED_EMPTY);
    } else if (!read_greeting(answer, &greeting)) {
        ks_refuse(engine, KS_REFUSED_FORM);
    } else {
        greeted(engine, &greeting);
    }
    ks_keep_publish(engine);
}

/* ---- The call ---- */

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
 * A write, although it mostly asks: a linearizable read of etcd 3.4 may be stale after a pause, and
 * whether etcd has gone back rests on this answer. Without a copy it makes the epoch if it is
 * absent; with a copy an absent epoch means that etcd has lost everything. Nested: see beat.c.
 */
static ks_result send_hello(struct ks_replicated *engine)
{
    const struct ks_layout *layout = &engine->layout;
    char epoch[33];
    struct ks_nonce nonce;
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
    const struct ks_etcd_op *success = has_copy(engine) ? &ops[3] : &ops[0];
    struct ks_etcd_txn txn = {
        .compares = &absent,
        .compare_count = 1,
        .success = success,
        .success_count = has_copy(engine) ? 1 : KS_COUNT(ops),
        .failure = &ops[1],
        .failure_count = KS_COUNT(ops) - 1,
    };
    struct ks_etcd_call call = {.done = on_hello, .user = engine, .timeout_ms = CALL_MS};
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
        engine->is_greeting = !ks_failed(send_hello(engine));
    }
    *next_ns = engine->hello_ns < *next_ns ? engine->hello_ns : *next_ns;
}
