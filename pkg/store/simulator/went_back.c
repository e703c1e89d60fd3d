/* etcd goes back, and what the stores make of it (history.h). */
#include <string.h>

#include "pkg/store/simulator/world.h"

#define OUTAGE_NS   (4 * KS_NS_PER_S) /* longer than any window: members are started by hand */
#define LOST_MAX    30U               /* revisions */
#define BETWEEN_MS  20000U
#define DECISION_MS 10000U

bool sim_is_out(const struct world *world)
{
    return world->now_ns >= world->back_ns - OUTAGE_NS;
}

/* What is on its way dies with the members' connections; words do not go through etcd. */
static void drop_messages(struct world *world)
{
    for (unsigned i = 0; i < MESSAGES_MAX; i++) {
        if (world->messages[i].kind != WORD) {
            world->messages[i].is_used = false;
        }
    }
}

static void lose_revisions(struct world *world)
{
    int64_t lost = 1 + (int64_t)sim_draw(world, LOST_MAX);
    world->revision = world->revision > lost ? world->revision - lost : 1;
    world->floor = world->log[world->revision].value;
    world->history++;
    world->report.back_count++;
    drop_messages(world);
    for (unsigned i = 0; i < STORES; i++) {
        struct store *store = &world->stores[i];
        store->is_proven = store->is_proven && world->plant == SIM_WATCH_UNPROVEN;
        if (store->position.loading || sim_chance(world, 400)) {
            sim_restart(world, store, true); /* the same power loss; and a load proves nothing */
        }
    }
    world->decided_ns = world->now_ns + (int64_t)sim_draw(world, DECISION_MS) * KS_NS_PER_MS;
}

/* The way out: another epoch. */
static void decide(struct world *world)
{
    struct ks_nonce nonce = sim_nonce(world);
    sim_append(world, EPOCH, &nonce);
    world->epoch++;
    world->decided_ns = 0;
    world->back_ns =
        world->now_ns + OUTAGE_NS + (int64_t)sim_draw(world, BETWEEN_MS) * KS_NS_PER_MS;
}

void sim_go_back(struct world *world)
{
    if (world->decided_ns != 0) {
        if (world->now_ns >= world->decided_ns) {
            decide(world);
        }
    } else if (world->now_ns >= world->back_ns) {
        lose_revisions(world);
        world->back_ns = INT64_MAX;
    }
}

/* ---- The stores ---- */

static struct ks_copy_source source_of(uint64_t epoch)
{
    struct ks_copy_source source = {.cluster_id = 1, .epoch_revision = (int64_t)epoch};
    source.epoch[0] = 'e';
    return source;
}

/* Under a new identity: what was said of revisions before means other states. */
static void meet_stranger(struct world *world, struct store *store)
{
    sim_forget_memory(store);
    store->identity++;
    store->has_refusal = false;
    store->is_refused = false;
    store->has_flight = false;
    sim_reload(world, store);
}

static void refuse(struct world *world, struct store *store, const struct ks_anchor *anchor)
{
    if (!store->has_refusal) {
        world->report.refusal_count++;
    }
    store->has_refusal = true;
    store->is_refused = true;
    store->refusal = *anchor;
    sim_forget_memory(store);
    ks_window_close(&store->window);
}

static enum ks_history_verdict judge(struct world *world, const struct ks_anchor *anchor)
{
    const struct entry *now = &world->log[world->revision];
    const struct ks_history_found found = {
        .source = source_of(world->epoch),
        .revision = world->revision,
        .rev_revision = world->revision,
        .has_nonce = true,
        .nonce = now->nonce,
    };
    enum ks_history_verdict verdict = ks_history_judge(anchor, &found);
    if (world->plant == SIM_COUNTER_ALONE && verdict != KS_HISTORY_OTHER) {
        return world->revision <= anchor->revision ? KS_HISTORY_LOST : KS_HISTORY_SAME;
    }
    if (verdict != KS_HISTORY_ASK) {
        return verdict;
    }
    const struct entry *then = &world->log[anchor->revision];
    return ks_history_judge_then(anchor, anchor->revision,
                                 (ks_bytes){then->nonce.bytes, KS_NONCE_LEN});
}

/* As it was before: a hello that is refused raises the counter that it waits for. */
static void raise_counter(struct world *world, struct store *store)
{
    struct ks_nonce nonce = sim_nonce(world);
    if (sim_chance(world, 100)) {
        sim_append(world, BEAT, &nonce);
    }
    store->has_refusal = false;
    store->is_refused = false;
}

bool sim_prove(struct world *world, struct store *store)
{
    if (store->is_proven) {
        return true;
    }
    struct ks_anchor anchor = {
        .source = source_of(store->epoch),
        .revision = store->position.rev_revision,
        .nonce = store->position.nonce,
    };
    anchor = store->has_refusal ? store->refusal : anchor;
    enum ks_history_verdict verdict = judge(world, &anchor);
    if (verdict == KS_HISTORY_OTHER) {
        meet_stranger(world, store);
    } else if (verdict == KS_HISTORY_SAME) {
        store->is_proven = true;
    } else {
        refuse(world, store, &anchor);
        if (world->plant == SIM_COUNTER_ALONE) {
            raise_counter(world, store);
        }
    }
    return store->is_proven;
}

bool sim_has(const struct world *world, const struct read *read)
{
    return read->value == 0 ||
           (read->value <= world->revision && world->log[read->value].stamp == read->stamp);
}
