#include "pkg/store/simulator/simulator.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "pkg/base/clock.h"
#include "pkg/base/mem.h"
#include "pkg/store/copy/copy.h"
#include "pkg/store/window/settle.h"
#include "pkg/store/window/window.h"

#define STORES       3U
#define READS        3U /* under way at a store */
#define LOG_MAX      60000U
#define MESSAGES_MAX 512U
#define D_NS         (2000 * KS_NS_PER_MS)

/* ---- The world ---- */

enum entry_kind { MUTATION, BEAT, STRIKE };

/* A revision of etcd, with all records as they were at it. */
struct entry {
    enum entry_kind kind;
    int64_t value;          /* mod revision of the one record that there is */
    int64_t rev_version;    /* of the revision record, which every transaction puts */
    int64_t record[STORES]; /* mod revision of each keystore's record; 0: none */
};

enum message_kind {
    BEAT_REQUEST,
    BEAT_ANSWER,
    MUTATION_REQUEST,
    RETRY_REQUEST,
    MUTATION_ANSWER,
    STRIKE_REQUEST,
    WORD,
};

struct message {
    bool is_used;
    enum message_kind kind;
    unsigned store; /* whose request or answer it is; of a word: to whom */
    unsigned about; /* STRIKE_REQUEST: whose record; WORD: who says it */
    uint64_t life;  /* of the store when the request was sent */
    int64_t due_ns; /* of the world's clock */
    uint64_t beat;
    int64_t sent_ns;       /* of the store's clock */
    int64_t revision;      /* committed, settled, said, or listed */
    int64_t list_revision; /* MUTATION_ANSWER: of the transaction */
};

enum read_stage { IDLE, STARTED, LOOKED, TOOK, SETTLING };

struct read {
    struct ks_waiter waiter; /* first: settlements hand it back */
    bool is_mutation;        /* an acknowledgement of revision `value`, not a read */
    enum read_stage stage;
    int64_t floor;
    int64_t value;
    uint64_t generation;
};

struct store {
    struct ks_window window;
    struct ks_settling settling;
    struct ks_list list; /* as of position.applied */
    struct ks_position position;
    int64_t value; /* of the copy */
    uint64_t life;
    int64_t rate_permille; /* of the world's clock */
    int64_t offset_ns;
    int64_t paused_until_ns; /* of the world's clock, as the next two */
    int64_t watch_from_ns;
    int64_t loaded_at_ns; /* position.loading: when the load ends */
    struct read reads[READS];
};

struct world {
    enum sim_plant plant;
    uint64_t random;
    int64_t now_ns;
    struct entry log[LOG_MAX + 1];
    int64_t revision;
    int64_t floor;
    struct store stores[STORES];
    struct message messages[MESSAGES_MAX];
    struct sim_report report;
};

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
static uint64_t draw(struct world *world, uint64_t below)
{
    world->random ^= world->random >> 12;
    world->random ^= world->random << 25;
    world->random ^= world->random >> 27;
    return (world->random * 2685821657736338717U >> 33) % below;
}

static bool chance(struct world *world, uint64_t permille)
{
    return draw(world, 1000) < permille;
}

static int64_t clock_of(const struct world *world, const struct store *store)
{
    return world->now_ns / 1000 * store->rate_permille + store->offset_ns;
}

static const char *id_of(const struct world *world, unsigned store)
{
    static const char *const ids[STORES] = {"a", "b", "c"};
    return world->plant == SIM_ONE_RECORD && store == 1 ? ids[0] : ids[store];
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
            snprintf(entry->id, sizeof(entry->id), "%s", id_of(world, i));
            entry->mod_revision = world->log[revision].record[i];
        }
    }
    return list;
}

/* ---- Messages ---- */

/* Most are quick; some take longer than any wait; some are lost. */
static void send(struct world *world, const struct message *message)
{
    if (chance(world, 30)) {
        return;
    }
    for (unsigned i = 0; i < MESSAGES_MAX; i++) {
        if (!world->messages[i].is_used) {
            uint64_t late_ms = chance(world, 60) ? draw(world, 6000) : draw(world, 15);
            world->messages[i] = *message;
            world->messages[i].is_used = true;
            world->messages[i].due_ns = world->now_ns + (int64_t)late_ms * KS_NS_PER_MS;
            return;
        }
    }
}

static struct entry *append(struct world *world, enum entry_kind kind)
{
    assert(world->revision < LOG_MAX);
    struct entry *entry = &world->log[world->revision + 1];
    *entry = world->log[world->revision];
    world->revision++;
    entry->kind = kind;
    /* The loose reading: heartbeats leave the revision record alone. */
    entry->rev_version += kind != BEAT || world->plant != SIM_REV_OF_MUTATIONS;
    return entry;
}

static void commit_beat(struct world *world, const struct message *request)
{
    unsigned record = record_of(world, request->store);
    append(world, BEAT)->record[record] = world->revision;
    struct message answer = *request;
    answer.kind = BEAT_ANSWER;
    answer.revision = world->revision;
    send(world, &answer);
}

static void commit_mutation(struct world *world, const struct message *request)
{
    struct entry *entry = append(world, MUTATION);
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
    const struct entry *entry = append(world, BEAT);
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
        struct entry *entry = append(world, STRIKE);
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

static void deliver(struct world *world, const struct message *message)
{
    struct store *store = &world->stores[message->store];
    bool is_of_this_life = message->life == store->life;
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
        ks_settling_say(&store->settling, id_of(world, message->about), message->revision);
        break;
    }
}

static bool is_request(enum message_kind kind)
{
    return kind == BEAT_REQUEST || kind == MUTATION_REQUEST || kind == RETRY_REQUEST ||
           kind == STRIKE_REQUEST;
}

/* A request reaches etcd whatever its sender does; an answer waits for a sender that is paused. */
static void deliver_due(struct world *world)
{
    for (unsigned i = 0; i < MESSAGES_MAX; i++) {
        struct message *message = &world->messages[i];
        const struct store *store = &world->stores[message->store];
        if (message->is_used && message->due_ns <= world->now_ns &&
            (is_request(message->kind) || store->paused_until_ns <= world->now_ns)) {
            struct message copy = *message;
            message->is_used = false;
            deliver(world, &copy);
        }
    }
}

/* ---- A store's life ---- */

static void forget_memory(struct world *world, struct store *store)
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
    (void)world;
}

/* The copy is begun anew, from any revision: what is loaded may well be older. */
static void reload(struct world *world, struct store *store)
{
    world->report.reload_count++;
    if (world->plant != SIM_KEEP_WINDOW) {
        ks_window_close(&store->window);
    }
    store->position.generation++;
    store->position.loading = true;
    store->position.applied = 0;
    store->loaded_at_ns = world->now_ns + (int64_t)draw(world, 300) * KS_NS_PER_MS;
}

static void copy_from(struct store *store, const struct world *world, int64_t revision)
{
    const struct entry *entry = &world->log[revision];
    store->position.applied = revision;
    store->position.loading = false;
    store->position.rev_version = entry->rev_version;
    store->value = entry->value;
    store->list = list_at(world, revision);
}

static void finish_load(struct world *world, struct store *store)
{
    int64_t back = (int64_t)draw(world, 40);
    copy_from(store, world, back < world->revision ? world->revision - back : world->revision);
}

static void restart(struct world *world, struct store *store)
{
    forget_memory(world, store);
    store->life++;
    ks_window_init(&store->window, D_NS);
    for (unsigned i = 0; i < READS; i++) {
        store->reads[i] = (struct read){.stage = IDLE};
    }
    if (chance(world, 500)) {
        reload(world, store);
    }
}

static void tell_word(struct world *world, unsigned from)
{
    for (unsigned to = 0; to < STORES; to++) {
        if (to != from) {
            struct message word = {.kind = WORD,
                                   .store = to,
                                   .about = from,
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
    if (!store->position.loading) {
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
    if (revision < world->revision && world->log[revision].kind == MUTATION && chance(world, 2)) {
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
    if (entry->kind == MUTATION) {
        store->value = entry->value;
    }
    store->list = list_at(world, revision);
    return true;
}

static void follow(struct world *world, unsigned index)
{
    struct store *store = &world->stores[index];
    if (store->position.loading) {
        if (world->now_ns >= store->loaded_at_ns) {
            finish_load(world, store);
        }
        return;
    }
    if (chance(world, 3)) {
        store->watch_from_ns = world->now_ns + (int64_t)draw(world, 5000) * KS_NS_PER_MS;
    }
    if (world->now_ns < store->watch_from_ns || store->position.applied >= world->revision) {
        return;
    }
    uint64_t count = 1 + draw(world, 8);
    bool has_changed = false;
    bool has_beat = false;
    for (uint64_t i = 0; i < count && store->position.applied < world->revision; i++) {
        if (!apply_next(world, store)) {
            reload(world, store);
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
    if (!store->position.loading &&
        ks_window_may_send(&store->window, now_ns, store->position.applied)) {
        struct message request = {.kind = BEAT_REQUEST, .store = index, .life = store->life};
        request.beat = ks_window_send(&store->window, now_ns);
        send(world, &request);
    }
    look_at_window(world, store);
}

static void mutate(struct world *world, unsigned index)
{
    struct store *store = &world->stores[index];
    struct message request = {
        .kind = chance(world, 300) ? RETRY_REQUEST : MUTATION_REQUEST,
        .store = index,
        .life = store->life,
        .sent_ns = clock_of(world, store),
    };
    send(world, &request);
}

/* ---- Reads and settlements ---- */

static void know(struct world *world, int64_t revision)
{
    world->floor = revision > world->floor ? revision : world->floor;
}

/* READ */
static void answer_read(struct world *world, struct read *read)
{
    world->report.read_count++;
    if (read->value < read->floor && !world->report.is_violated) {
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
    read->generation = store->position.generation;
}

static void settle_read(struct world *world, struct store *store, struct read *read)
{
    if (read->value <= store->settling.settled || world->plant == SIM_READ_UNSETTLED) {
        answer_read(world, read);
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
        if (strcmp(id_of(world, i), silent->id) == 0 && record_of(world, i) == i) {
            int64_t listed = world->plant == SIM_STRIKE_LATE ? world->log[world->revision].record[i]
                                                             : silent->mod_revision;
            struct message request = {
                .kind = STRIKE_REQUEST, .store = call->by, .about = i, .revision = listed};
            send(world, &request);
        }
    }
}

static void answer_waiters(struct world *world, struct ks_waiter *waiters)
{
    while (waiters) {
        struct ks_waiter *next = waiters->next;
        struct read *read = (struct read *)waiters;
        if (read->is_mutation) {
            know(world, read->value);
            ks_free(read);
        } else {
            answer_read(world, read);
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
    ks_settling_step(&store->settling, &list, applied, id_of(world, index), now_ns);
    struct strike_call call = {world, index};
    struct ks_waiter *waiters;
    while (ks_settling_take(&store->settling, now_ns, strike, &call, &waiters)) {
        answer_waiters(world, waiters);
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
    if (chance(world, 1)) {
        restart(world, store);
    } else if (chance(world, 1)) {
        reload(world, store);
    }
    follow(world, index);
    beat(world, index);
    settle(world, index);
    if (chance(world, 60)) {
        mutate(world, index);
    }
    for (unsigned i = 0; i < READS; i++) {
        if (chance(world, 500)) {
            read_step(world, store, &store->reads[i]);
        }
    }
    if (chance(world, 4)) {
        uint64_t long_ms = chance(world, 500) ? 5000 : 100;
        store->paused_until_ns = world->now_ns + (int64_t)draw(world, long_ms) * KS_NS_PER_MS;
    }
}

static struct world *world_new(uint64_t seed, enum sim_plant plant)
{
    struct world *world = ks_alloc(1, sizeof(*world));
    world->plant = plant;
    world->random = seed * 2 + 1;
    world->revision = 1;
    world->log[1] = (struct entry){.kind = BEAT, .rev_version = 1};
    world->now_ns = KS_NS_PER_S;
    for (unsigned i = 0; i < STORES; i++) {
        struct store *store = &world->stores[i];
        store->settling.wait_ns = wait_of(plant);
        store->life = 1;
        store->rate_permille = 1000 + (int64_t)draw(world, 100);
        store->offset_ns = (int64_t)draw(world, 1000000) * KS_NS_PER_MS;
        ks_window_init(&store->window, D_NS);
        copy_from(store, world, 1);
    }
    return world;
}

static void world_free(struct world *world)
{
    for (unsigned i = 0; i < STORES; i++) {
        forget_memory(world, &world->stores[i]);
    }
    ks_free(world);
}

struct sim_report sim_run(uint64_t seed, enum sim_plant plant, uint64_t steps)
{
    struct world *world = world_new(seed, plant);
    for (uint64_t step = 0; step < steps && !world->report.is_violated; step++) {
        world->report.step = step;
        world->now_ns += (int64_t)draw(world, 10) * KS_NS_PER_MS;
        deliver_due(world);
        store_step(world, (unsigned)draw(world, STORES));
    }
    struct sim_report report = world->report;
    world_free(world);
    return report;
}
