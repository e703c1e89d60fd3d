#include "pkg/store/simulator/simulator.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/store/simulator/world.h"

static const char *const plant_texts[] = {
#define TEXT(name, text) text,
    SIM_PLANTS(TEXT)
#undef TEXT
};

const char *sim_plant_text(enum sim_plant plant)
{
    return plant_texts[plant];
}

/* xorshift64*, good enough to stir. */
uint64_t sim_draw(struct world *world, uint64_t below)
{
    world->random ^= world->random >> 12;
    world->random ^= world->random << 25;
    world->random ^= world->random >> 27;
    return (world->random * 2685821657736338717U >> 33) % below;
}

bool sim_chance(struct world *world, uint64_t permille)
{
    return sim_draw(world, 1000) < permille;
}

static int64_t clock_of(const struct world *world, const struct store *store)
{
    return world->now_ns / 1000 * store->rate_permille + store->offset_ns;
}

/* An identity is the store's letter and a number. */
struct id {
    char text[24];
};

static struct id id_of(const struct world *world, unsigned store, uint64_t identity)
{
    struct id id;
    unsigned letter = world->plant == SIM_ONE_RECORD && store == 1 ? 0 : store;
    snprintf(id.text, sizeof(id.text), "%c%llu", (char)('a' + letter),
             (unsigned long long)identity);
    return id;
}

static struct id own_id(const struct world *world, unsigned store)
{
    return id_of(world, store, world->stores[store].identity);
}

static unsigned record_of(const struct world *world, unsigned store)
{
    return world->plant == SIM_ONE_RECORD && store == 1 ? 0 : store;
}

/* The list as it stood at a revision. */
static struct ks_list list_at(const struct world *world, int64_t revision)
{
    struct ks_list list = {.count = 0};
    for (unsigned i = 0; i < STORES && revision > 0; i++) {
        if (world->log[revision].record[i] != 0) {
            struct ks_list_entry *entry = &list.entries[list.count++];
            struct id id = id_of(world, i, world->log[revision].identity[i]);
            snprintf(entry->id, sizeof(entry->id), "%s", id.text);
            entry->mod_revision = world->log[revision].record[i];
        }
    }
    return list;
}

/* ---- Messages ---- */

/* Most are quick; some take longer than any wait; some are lost. */
static void send(struct world *world, const struct message *message)
{
    if (sim_chance(world, 30)) {
        return;
    }
    for (unsigned i = 0; i < MESSAGES_MAX; i++) {
        if (!world->messages[i].is_used) {
            uint64_t late_ms = sim_chance(world, 60) ? sim_draw(world, 6000) : sim_draw(world, 15);
            world->messages[i] = *message;
            world->messages[i].is_used = true;
            world->messages[i].due_ns = world->now_ns + (int64_t)late_ms * KS_NS_PER_MS;
            return;
        }
    }
}

struct ks_nonce sim_nonce(struct world *world)
{
    struct ks_nonce nonce = {{0}};
    world->nonces++;
    memcpy(nonce.bytes, &world->nonces, sizeof(world->nonces));
    return nonce;
}

struct entry *sim_append(struct world *world, enum entry_kind kind, const struct ks_nonce *nonce)
{
    assert(world->revision < LOG_MAX);
    struct entry *entry = &world->log[world->revision + 1];
    *entry = world->log[world->revision];
    world->revision++;
    entry->kind = kind;
    entry->nonce = *nonce;
    entry->stamp = ++world->stamps;
    /* The loose reading: heartbeats leave the revision record alone. */
    entry->rev_version += kind != BEAT || world->plant != SIM_REV_OF_MUTATIONS;
    return entry;
}

static void commit_beat(struct world *world, const struct message *request)
{
    unsigned record = record_of(world, request->store);
    struct entry *entry = sim_append(world, BEAT, &request->nonce);
    entry->record[record] = world->revision;
    entry->identity[record] = request->identity;
    struct message answer = *request;
    answer.kind = BEAT_ANSWER;
    answer.revision = world->revision;
    send(world, &answer);
}

static void commit_mutation(struct world *world, const struct message *request)
{
    struct entry *entry = sim_append(world, MUTATION, &request->nonce);
    entry->value = world->revision;
    world->report.mutation_count++;
    struct message answer = *request;
    answer.kind = MUTATION_ANSWER;
    answer.revision = world->revision;
    answer.list_revision = world->revision;
    send(world, &answer);
}

/*
 * The newest mutation once more: it is found done, and the list is read, at the present revision.
 */
static void commit_retry(struct world *world, const struct message *request)
{
    const struct entry *entry = sim_append(world, BEAT, &request->nonce);
    struct message answer = *request;
    if (entry->value == 0) {
        return;
    }
    answer.kind = MUTATION_ANSWER;
    answer.revision = entry->value;
    answer.list_revision = world->revision;
    if (world->plant == SIM_RETRY_AT_ONCE && entry->value > world->floor) {
        world->floor = entry->value;
    }
    send(world, &answer);
}

static void commit_strike(struct world *world, const struct message *request)
{
    int64_t stands = world->log[world->revision].record[request->about];
    bool blind = world->plant == SIM_STRIKE_BLIND;
    if (stands != 0 && (blind || stands == request->revision)) {
        struct entry *entry = sim_append(world, STRIKE, &request->nonce);
        entry->record[request->about] = 0;
        world->report.strike_count++;
    }
}

static void begin(struct world *world, struct store *store, int64_t revision, int64_t list_revision,
                  int64_t began_ns, struct read *waiter)
{
    struct ks_list list = list_at(world, list_revision);
    waiter->stage = SETTLING;
    waiter->value = revision;
    if (!ks_settling_join(&store->settling, revision, &waiter->waiter)) {
        ks_settling_begin(&store->settling, revision, &list, began_ns, &waiter->waiter);
    }
}

static void learn_mutation(struct world *world, const struct message *answer)
{
    struct store *store = &world->stores[answer->store];
    int64_t now_ns = clock_of(world, store);
    struct read *waiter = ks_alloc(1, sizeof(*waiter));
    waiter->is_mutation = true;
    waiter->stamp = world->log[answer->revision].stamp;
    waiter->history = world->history;
    store->has_flight = false;
    begin(world, store, answer->revision, answer->list_revision,
          world->plant == SIM_WAIT_FROM_SEND ? answer->sent_ns : now_ns, waiter);
}

static void learn_beat(struct world *world, const struct message *answer)
{
    struct store *store = &world->stores[answer->store];
    int64_t now_ns = clock_of(world, store);
    struct ks_window *window = &store->window;
    uint64_t beat = answer->beat;
    if (world->plant == SIM_ANY_HEARTBEAT) {
        beat = window->beat;
    }
    if (world->plant == SIM_WINDOW_FROM_ANSWER && beat == window->beat &&
        window->state == KS_BEAT_SENT) {
        window->sent_ns = now_ns;
    }
    ks_window_learn(window, beat, answer->revision, now_ns);
}

static bool is_request(enum message_kind kind)
{
    return kind == BEAT_REQUEST || kind == MUTATION_REQUEST || kind == RETRY_REQUEST ||
           kind == STRIKE_REQUEST;
}

static void deliver(struct world *world, const struct message *message)
{
    struct store *store = &world->stores[message->store];
    bool is_of_this_life = message->life == store->life;
    if (is_request(message->kind) && message->epoch != world->epoch) {
        return; /* etcd compares it */
    }
    switch (message->kind) {
    case BEAT_REQUEST:
        commit_beat(world, message);
        break;
    case MUTATION_REQUEST:
        commit_mutation(world, message);
        break;
    case RETRY_REQUEST:
        commit_retry(world, message);
        break;
    case STRIKE_REQUEST:
        commit_strike(world, message);
        break;
    case BEAT_ANSWER:
        if (is_of_this_life) {
            learn_beat(world, message);
        }
        break;
    case MUTATION_ANSWER:
        if (is_of_this_life) {
            learn_mutation(world, message);
        }
        break;
    case WORD:
        ks_settling_say(&store->settling, id_of(world, message->about, message->identity).text,
                        message->revision);
        break;
    }
}

/* A request reaches etcd whatever its sender does; an answer waits for a sender that is paused. */
static void deliver_due(struct world *world)
{
    for (unsigned i = 0; i < MESSAGES_MAX; i++) {
        struct message *message = &world->messages[i];
        const struct store *store = &world->stores[message->store];
        if (message->is_used && message->due_ns <= world->now_ns &&
            (is_request(message->kind) ? !sim_is_out(world)
                                       : store->paused_until_ns <= world->now_ns)) {
            struct message copy = *message;
            message->is_used = false;
            deliver(world, &copy);
        }
    }
}

/* ---- A store's life ---- */

void sim_forget_memory(struct store *store)
{
    struct ks_waiter *waiters = ks_settling_reset(&store->settling);
    while (waiters) {
        struct ks_waiter *next = waiters->next;
        struct read *read = (struct read *)waiters;
        if (read->is_mutation) {
            ks_free(read);
        } else {
            read->stage = IDLE;
        }
        waiters = next;
    }
}

/* The copy is begun anew, from any revision: what is loaded may well be older. */
void sim_reload(struct world *world, struct store *store)
{
    world->report.reload_count++;
    if (world->plant != SIM_KEEP_WINDOW) {
        ks_window_close(&store->window);
    }
    store->position.generation++;
    store->position.loading = true;
    store->position.applied = 0;
    store->is_proven = false;
    store->loaded_at_ns = world->now_ns + (int64_t)sim_draw(world, 300) * KS_NS_PER_MS;
}

static void copy_from(struct store *store, const struct world *world, int64_t revision)
{
    const struct entry *entry = &world->log[revision];
    store->position.applied = revision;
    store->position.loading = false;
    store->position.rev_version = entry->rev_version;
    store->position.rev_revision = revision;
    store->position.nonce = entry->nonce;
    store->value = entry->value;
    store->stamp = world->log[entry->value].stamp;
    store->epoch = world->epoch;
    store->list = list_at(world, revision);
}

static void finish_load(struct world *world, struct store *store)
{
    int64_t back = (int64_t)sim_draw(world, 40);
    copy_from(store, world, back < world->revision ? world->revision - back : world->revision);
}

void sim_restart(struct world *world, struct store *store, bool loses_copy)
{
    sim_forget_memory(store);
    store->life++;
    store->is_proven = false;
    store->has_flight = false;
    store->has_refusal = store->has_refusal && world->plant != SIM_REFUSAL_IN_MEMORY;
    ks_window_init(&store->window, D_NS);
    for (unsigned i = 0; i < READS; i++) {
        store->reads[i] = (struct read){.stage = IDLE};
    }
    if (loses_copy) {
        store->identity += world->plant != SIM_OLD_IDENTITY; /* nothing proves its word any more */
        sim_reload(world, store);
    }
}

static void tell_word(struct world *world, unsigned from)
{
    for (unsigned to = 0; to < STORES; to++) {
        if (to != from) {
            struct message word = {.kind = WORD,
                                   .store = to,
                                   .about = from,
                                   .identity = world->stores[from].identity,
                                   .revision = world->stores[from].position.applied};
            send(world, &word);
        }
    }
}

static void look_at_window(const struct world *world, struct store *store)
{
    int64_t applied = store->position.applied;
    if (world->plant == SIM_WINDOW_UNAPPLIED) {
        applied = INT64_MAX;
    }
    bool is_proven = store->is_proven || world->plant == SIM_WINDOW_UNPROVEN;
    if (!store->position.loading && is_proven) {
        ks_window_applied(&store->window, applied, store->position.generation);
    }
}

/*
 * Whether the revision record shows that nothing was lost before this entry, as apply.c checks it.
 */
static bool is_next(const struct world *world, const struct ks_position *position,
                    const struct entry *entry)
{
    int64_t step = world->plant == SIM_REV_OF_MUTATIONS && entry->kind == BEAT ? 0 : 1;
    return step == 0 || world->plant == SIM_TRUST_THE_WATCH ||
           entry->rev_version == position->rev_version + step;
}

/* Gives false when the events show that some were lost. */
static bool apply_next(struct world *world, struct store *store)
{
    struct ks_position *position = &store->position;
    int64_t revision = position->applied + 1;
    if (revision < world->revision && world->log[revision].kind == MUTATION &&
        sim_chance(world, 2)) {
        revision++; /* etcd loses an event */
    }
    const struct entry *entry = &world->log[revision];
    if (!is_next(world, position, entry)) {
        return false;
    }
    if (world->plant != SIM_REV_OF_MUTATIONS || entry->kind != BEAT) {
        position->rev_version = entry->rev_version;
    }
    position->applied = revision;
    position->rev_revision = revision;
    position->nonce = entry->nonce;
    if (entry->kind == MUTATION) {
        store->value = entry->value;
        store->stamp = entry->stamp;
    }
    store->list = list_at(world, revision);
    return true;
}

static void follow(struct world *world, unsigned index)
{
    struct store *store = &world->stores[index];
    if (sim_is_out(world)) {
        return;
    }
    if (store->position.loading && !store->has_refusal) {
        if (world->now_ns >= store->loaded_at_ns) {
            finish_load(world, store);
        }
        return;
    }
    if (sim_chance(world, 3)) {
        store->is_proven = store->is_proven && world->plant == SIM_WATCH_UNPROVEN;
        store->watch_from_ns = world->now_ns + (int64_t)sim_draw(world, 5000) * KS_NS_PER_MS;
    }
    if (world->now_ns < store->watch_from_ns || !sim_prove(world, store) ||
        store->position.applied >= world->revision) {
        return;
    }
    uint64_t count = 1 + sim_draw(world, 8);
    bool has_changed = false;
    bool has_beat = false;
    for (uint64_t i = 0; i < count && store->position.applied < world->revision; i++) {
        if (!apply_next(world, store)) {
            sim_reload(world, store);
            return;
        }
        has_changed = has_changed || world->log[store->position.applied].kind == MUTATION;
        has_beat = has_beat || world->log[store->position.applied].kind == BEAT;
    }
    if (has_changed) {
        tell_word(world, index);
    }
    if (has_beat) {
        look_at_window(world, store);
        ks_window_go_along(&store->window, clock_of(world, store));
    }
}

static void beat(struct world *world, unsigned index)
{
    struct store *store = &world->stores[index];
    int64_t now_ns = clock_of(world, store);
    if (!store->position.loading && !store->has_refusal &&
        ks_window_may_send(&store->window, now_ns, store->position.applied)) {
        struct message request = {.kind = BEAT_REQUEST,
                                  .store = index,
                                  .life = store->life,
                                  .epoch = store->epoch,
                                  .identity = store->identity,
                                  .nonce = sim_nonce(world)};
        request.beat = ks_window_send(&store->window, now_ns);
        send(world, &request);
    }
    look_at_window(world, store);
}

/* One whose outcome is not known is sent again, perhaps to an etcd that has gone back since. */
static void mutate(struct world *world, unsigned index)
{
    struct store *store = &world->stores[index];
    if (!store->is_proven) {
        return;
    }
    struct message request = {
        .kind = sim_chance(world, 300) ? RETRY_REQUEST : MUTATION_REQUEST,
        .store = index,
        .life = store->life,
        .epoch = store->epoch,
        .nonce = sim_nonce(world),
        .sent_ns = clock_of(world, store),
    };
    if (store->has_flight && world->plant == SIM_NONCE_KEPT) {
        request.kind = MUTATION_REQUEST;
        request.nonce = store->flight_nonce;
    }
    store->has_flight = store->has_flight || request.kind == MUTATION_REQUEST;
    store->flight_nonce = request.nonce;
    send(world, &request);
}

/* ---- Reads and settlements ---- */

static void know(struct world *world, int64_t revision)
{
    world->floor = revision > world->floor ? revision : world->floor;
}

/* READ */
static void answer_read(struct world *world, const struct store *store, struct read *read)
{
    world->report.read_count++;
    if (read->history != world->history) {
        read->stage = IDLE; /* under way since before etcd went back */
        return;
    }
    bool is_gone = !sim_has(world, read) || store->is_refused;
    if ((read->value < read->floor || is_gone) && !world->report.is_violated) {
        world->report.is_violated = true;
        world->report.read = read->value;
        world->report.floor = read->floor;
    }
    know(world, read->value);
    read->stage = IDLE;
}

static void take_copy(struct store *store, struct read *read)
{
    read->value = store->value;
    read->stamp = store->stamp;
    read->generation = store->position.generation;
}

static void settle_read(struct world *world, struct store *store, struct read *read)
{
    if (read->value <= store->settling.settled || world->plant == SIM_READ_UNSETTLED) {
        answer_read(world, store, read);
        return;
    }
    if (store->position.loading || read->value > store->position.applied) {
        read->stage = IDLE; /* of a copy that is gone */
        return;
    }
    int64_t list_revision = store->position.applied;
    if (world->plant == SIM_OLD_LIST) {
        list_revision = read->value > 8 ? read->value - 8 : 0;
    }
    begin(world, store, read->value, list_revision, clock_of(world, store), read);
}

static bool may_serve(struct world *world, struct store *store, uint64_t *ret_generation)
{
    return ks_window_is_open(&store->window, clock_of(world, store), ret_generation);
}

/* One stage at a time: between any two the process may be paused, or the copy loaded anew. */
static void read_step(struct world *world, struct store *store, struct read *read)
{
    bool copy_first = world->plant == SIM_COPY_FIRST;
    uint64_t generation;
    switch (read->stage) {
    case IDLE:
        read->floor = world->floor;
        read->history = world->history;
        read->stage = STARTED;
        break;
    case STARTED:
        if (copy_first) {
            take_copy(store, read);
            read->stage = LOOKED;
        } else {
            read->stage = may_serve(world, store, &read->generation) ? LOOKED : IDLE;
        }
        break;
    case LOOKED:
        generation = read->generation;
        if (copy_first) {
            read->stage = may_serve(world, store, &generation) ? TOOK : IDLE;
        } else {
            take_copy(store, read);
            bool is_same = generation == read->generation || world->plant == SIM_KEEP_WINDOW;
            read->stage = is_same && !store->position.loading ? TOOK : IDLE;
        }
        break;
    case TOOK:
        settle_read(world, store, read);
        break;
    case SETTLING:
        break;
    }
}

struct strike_call {
    struct world *world;
    unsigned by;
};

static void strike(void *user, const struct ks_listed *silent)
{
    const struct strike_call *call = user;
    struct world *world = call->world;
    for (unsigned i = 0; i < STORES; i++) {
        if ('a' + (int)i == silent->id[0] && record_of(world, i) == i) {
            int64_t listed = world->plant == SIM_STRIKE_LATE ? world->log[world->revision].record[i]
                                                             : silent->mod_revision;
            struct message request = {
                .kind = STRIKE_REQUEST,
                .store = call->by,
                .about = i,
                .epoch = world->stores[call->by].epoch,
                .nonce = sim_nonce(world),
                .revision = listed,
            };
            if (world->stores[call->by].is_proven) {
                send(world, &request);
            }
        }
    }
}

static void answer_waiters(struct world *world, const struct store *store,
                           struct ks_waiter *waiters)
{
    while (waiters) {
        struct ks_waiter *next = waiters->next;
        struct read *read = (struct read *)waiters;
        if (read->is_mutation) {
            if (read->history == world->history) {
                know(world, read->value);
            }
            ks_free(read);
        } else {
            answer_read(world, store, read);
        }
        waiters = next;
    }
}

static void settle(struct world *world, unsigned index)
{
    struct store *store = &world->stores[index];
    int64_t now_ns = clock_of(world, store);
    int64_t applied = store->position.applied;
    if (world->plant == SIM_SELF && !store->position.loading) {
        applied = world->revision;
    }
    struct ks_list list =
        store->position.loading ? (struct ks_list){.has_unnamed = true} : store->list;
    if (world->plant == SIM_OLD_LIST && !store->position.loading) {
        list = list_at(world, applied > 8 ? applied - 8 : 0);
    }
    ks_settling_step(&store->settling, &list, applied, own_id(world, index).text, now_ns);
    struct strike_call call = {world, index};
    struct ks_waiter *waiters;
    while (ks_settling_take(&store->settling, now_ns, strike, &call, &waiters)) {
        answer_waiters(world, store, waiters);
    }
}

/* ---- Time ---- */

static int64_t wait_of(enum sim_plant plant)
{
    if (plant == SIM_ONLY_REACHABLE) {
        return 1;
    }
    return plant == SIM_SHORT_WAIT ? D_NS * 85 / 100 : D_NS * 11 / 10;
}

static void store_step(struct world *world, unsigned index)
{
    struct store *store = &world->stores[index];
    if (world->now_ns < store->paused_until_ns) {
        return;
    }
    if (sim_chance(world, 1)) {
        sim_restart(world, store, sim_chance(world, 500));
    } else if (sim_chance(world, 1) && !store->position.loading && !sim_is_out(world) &&
               sim_prove(world, store)) {
        sim_reload(world, store);
    }
    follow(world, index);
    beat(world, index);
    settle(world, index);
    if (sim_chance(world, 60)) {
        mutate(world, index);
    }
    for (unsigned i = 0; i < READS; i++) {
        if (sim_chance(world, 500)) {
            read_step(world, store, &store->reads[i]);
        }
    }
    if (sim_chance(world, 4)) {
        uint64_t long_ms = sim_chance(world, 500) ? 5000 : 100;
        store->paused_until_ns = world->now_ns + (int64_t)sim_draw(world, long_ms) * KS_NS_PER_MS;
    }
}

static struct world *world_new(uint64_t seed, enum sim_plant plant)
{
    struct world *world = ks_alloc(1, sizeof(*world));
    world->plant = plant;
    world->random = seed * 2 + 1;
    world->revision = 1;
    world->epoch = 1;
    world->log[1] =
        (struct entry){.kind = BEAT, .rev_version = 1, .nonce = sim_nonce(world), .stamp = 1};
    world->stamps = 1;
    world->now_ns = KS_NS_PER_S;
    world->back_ns = world->now_ns + (int64_t)sim_draw(world, 20000) * KS_NS_PER_MS;
    for (unsigned i = 0; i < STORES; i++) {
        struct store *store = &world->stores[i];
        store->settling.wait_ns = wait_of(plant);
        store->life = 1;
        store->identity = 1;
        store->rate_permille = 1000 + (int64_t)sim_draw(world, 100);
        store->offset_ns = (int64_t)sim_draw(world, 1000000) * KS_NS_PER_MS;
        ks_window_init(&store->window, D_NS);
        copy_from(store, world, 1);
    }
    return world;
}

static void world_free(struct world *world)
{
    for (unsigned i = 0; i < STORES; i++) {
        sim_forget_memory(&world->stores[i]);
    }
    ks_free(world);
}

struct sim_report sim_run(uint64_t seed, enum sim_plant plant, uint64_t steps)
{
    struct world *world = world_new(seed, plant);
    for (uint64_t step = 0; step < steps && !world->report.is_violated; step++) {
        world->report.step = step;
        world->now_ns += (int64_t)sim_draw(world, 10) * KS_NS_PER_MS;
        sim_go_back(world);
        deliver_due(world);
        store_step(world, (unsigned)sim_draw(world, STORES));
    }
    struct sim_report report = world->report;
    world_free(world);
    return report;
}
