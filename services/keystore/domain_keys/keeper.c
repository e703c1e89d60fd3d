#include "services/keystore/domain_keys/keeper.h"

#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "services/keystore/domain_keys/kit.h"
#include "services/keystore/domain_keys/ledger.h"
#include "services/keystore/domain_keys/requests.h"
#include "services/keystore/domain_keys/reseal.h"
#include "services/keystore/records/key.h"
#include "services/keystore/records/name.h"
#include "services/keystore/worker/sync.h"
#include "services/keystore/worker/worker.h"

#define ARENA_LEN_MAX (1024U * 1024U)
#define STEPS_MAX     64U /* moves in one run; then the worker looks whether it shall end */

/* An hsm forgets a challenge after ten minutes (proto/formats/transit-v1.md). */
#define CHALLENGE_MS (5 * 60 * 1000)
#define ANSWER_MS    30000 /* an unanswered challenge becomes an alarm */

/* A challenge that our hsm has refused to answer. */
struct refusal {
    struct ks_domain_node node;
    int64_t revision;
};

struct ks_keeper {
    struct ks_keeper_options options;
    struct ks_clock clock;
    atomic_uint_fast64_t connected; /* life of the link's connection; 0: none */

    /* The worker's own. */
    uint64_t life; /* of the connection that was prepared; 0: none */
    uint64_t roster_number;
    uint32_t kit_period;
    uint32_t refused_kit;    /* period of the kit that this life of the hsm refuses; 0: none */
    uint64_t refused_roster; /* number of the one that this life of the hsm refuses; 0: none */
    struct ks_domain_records records;
    struct ks_domain_self self;
    struct refusal refusals[KS_DOMAIN_NODES_MAX];
    size_t refusal_count;
    int64_t newest_revision;
    int64_t newest_since_ns;
    int64_t asked_ns;
    struct ks_reseal *reseal;

    pthread_mutex_t lock;
    struct ks_keeper_status status; /* guarded by lock */
};

static int64_t now_ns(const struct ks_keeper *keeper)
{
    return ks_clock_boot_ns(&keeper->clock);
}

static int64_t since_ms(const struct ks_keeper *keeper, int64_t ns)
{
    return (now_ns(keeper) - ns) / KS_NS_PER_MS;
}

/* Preparing the hsm */

static ks_result read_status(struct ks_keeper *keeper)
{
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    const INTERNAL(HsmReply) *reply = NULL;
    KS_TRY(ks_request_status(keeper->options.link, &arena, &reply));
    const INTERNAL(HsmStatus) *status = reply->status;
    if (!status || strlen(status->node_id) >= sizeof(keeper->self.node.node_id) ||
        strcmp(status->zone, keeper->options.zone) != 0) {
        return KS_RES(CONFLICT);
    }
    snprintf(keeper->self.node.node_id, sizeof(keeper->self.node.node_id), "%s", status->node_id);
    keeper->roster_number = status->roster_number;
    keeper->kit_period = status->kit_period;
    keeper->self.held_count = 0;
    for (size_t i = 0; i < status->n_generations && i < KS_DOMAIN_HELD_MAX; i++) {
        keeper->self.held[keeper->self.held_count++] = status->generations[i];
    }
    return KS_RES(OK);
}

static void forget_held(struct ks_keeper *keeper, uint32_t generation)
{
    struct ks_domain_self *self = &keeper->self;
    for (size_t i = 0; i < self->held_count; i++) {
        if (self->held[i] == generation) {
            self->held[i] = self->held[--self->held_count];
            return;
        }
    }
}

static void note_held(struct ks_keeper *keeper, uint32_t generation)
{
    forget_held(keeper, generation);
    assert(keeper->self.held_count < KS_DOMAIN_HELD_MAX);
    keeper->self.held[keeper->self.held_count++] = generation;
}

static ks_result drop(struct ks_keeper *keeper, uint32_t generation)
{
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    ks_result result = ks_request_drop(keeper->options.link, generation, &arena);
    if (ks_failed(result) && result.code != KS_NOT_FOUND) {
        return result;
    }
    forget_held(keeper, generation);
    return KS_RES(OK);
}

/* The roster also holds its number; the hsm sees to it that it never falls. */
static ks_result install_roster(struct ks_keeper *keeper, const struct ks_store_view *view)
{
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    struct ks_store_record record;
    ks_result result = ks_store_get(view, KS_NAME_ROSTER, &record);
    if (result.code == KS_NOT_FOUND) {
        return KS_RES(OK);
    }
    KS_TRY(result);
    ProtobufCMessage *message = NULL;
    KS_TRY(ks_record_read(STORED_TYPE(roster_record), record.value, &arena, &message));
    const STORED(RosterRecord) *roster = (const STORED(RosterRecord) *)message;
    if (roster->number <= keeper->roster_number || roster->number == keeper->refused_roster) {
        return KS_RES(OK);
    }
    result = ks_request_roster(keeper->options.link, ks_bytes_in(roster->roster), &arena);
    if (result.code == KS_ACCESS_DENIED) {
        keeper->refused_roster = roster->number; /* An alarm: the keys that it has are as good. */
        return KS_RES(OK);
    }
    KS_TRY(result);
    keeper->roster_number = roster->number;
    keeper->refusal_count = 0;
    ks_log(INFO, "roster installed", KS_NUMBER("version", roster->number));
    return KS_RES(OK);
}

/* A refused kit stops nothing but backups. */
static ks_result install_kit(struct ks_keeper *keeper, const struct ks_store_view *view)
{
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    struct ks_stored_kit kit = {.period = 0};
    KS_TRY(ks_stored_kit_newest(view, &arena, &kit));
    if (kit.period <= keeper->kit_period || kit.period == keeper->refused_kit) {
        return KS_RES(OK);
    }
    ks_result result = ks_request_kit(keeper->options.link, kit.kit, &arena);
    if (result.code == KS_ACCESS_DENIED) {
        keeper->refused_kit = kit.period;
        return KS_RES(OK);
    }
    KS_TRY(result);
    keeper->kit_period = kit.period;
    ks_log(INFO, "custodian kit installed", KS_NUMBER("version", kit.period));
    return KS_RES(OK);
}

static ks_result prepare(struct ks_keeper *keeper, uint64_t life)
{
    KS_TRY(read_status(keeper));
    while (keeper->self.held_count > 0) {
        KS_TRY(drop(keeper, keeper->self.held[0]));
    }
    keeper->life = life;
    keeper->self.challenge_revision = 0;
    keeper->refusal_count = 0;
    keeper->refused_roster = 0;
    keeper->refused_kit = 0;
    return KS_RES(OK);
}

/* Looking */

static bool is_refused(const struct ks_keeper *keeper, const struct ks_domain_transit *transit)
{
    for (size_t i = 0; i < keeper->refusal_count; i++) {
        if (keeper->refusals[i].revision == transit->revision &&
            strcmp(keeper->refusals[i].node.node_id, transit->node.node_id) == 0) {
            return true;
        }
    }
    return false;
}

static void look_at_list(struct ks_keeper *keeper)
{
    struct ks_store_status status;
    ks_store_get_status(keeper->options.store, &status);
    struct ks_domain_self *self = &keeper->self;
    self->listed_count = 0;
    for (size_t i = 0; i < status.listed_count && i < KS_DOMAIN_NODES_MAX; i++) {
        snprintf(self->listed[self->listed_count++], KS_DOMAIN_KEYSTORE_LEN, "%s",
                 status.listed[i].name);
    }
}

static void look_at_time(struct ks_keeper *keeper)
{
    struct ks_domain_self *self = &keeper->self;
    const struct ks_domain_records *records = &keeper->records;
    if (keeper->newest_revision != records->newest.revision) {
        keeper->newest_revision = records->newest.revision;
        keeper->newest_since_ns = now_ns(keeper);
    }
    self->newest_wait_ms = since_ms(keeper, keeper->newest_since_ns);
    int64_t age_ms = ks_clock_wall_ms(&keeper->clock) - records->current.since_ms;
    self->rotation_due = keeper->options.rotation_ms > 0 && age_ms >= keeper->options.rotation_ms;
    if (self->challenge_revision != 0 && since_ms(keeper, keeper->asked_ns) > CHALLENGE_MS) {
        self->challenge_revision = 0;
    }
}

static ks_result look(struct ks_keeper *keeper)
{
    KS_STORE_VIEW_AUTO view = {0};
    KS_TRY(ks_store_peek(keeper->options.store, &view));
    KS_TRY(install_roster(keeper, &view));
    KS_TRY(install_kit(keeper, &view));
    KS_TRY(ks_ledger_read(&view, &keeper->records));
    for (size_t i = 0; i < keeper->records.transit_count; i++) {
        struct ks_domain_transit *transit = &keeper->records.transits[i];
        transit->refused = is_refused(keeper, transit);
    }
    struct ks_domain_self *self = &keeper->self;
    self->may_make = keeper->roster_number > 0 || keeper->options.min_zones == 1;
    self->on_duty = ks_store_on_duty(keeper->options.store);
    self->min_zones = keeper->options.min_zones;
    self->clean_below = ks_reseal_clean_below(keeper->reseal);
    look_at_list(keeper);
    look_at_time(keeper);
    return KS_RES(OK);
}

/* Moving */

/* Binary data of a record that the step is about, copied into arena. */
static ks_result read_record(struct ks_keeper *keeper, struct ks_name name,
                             const ProtobufCMessageDescriptor *type, struct ks_arena *arena,
                             ProtobufCMessage **ret_record)
{
    KS_STORE_VIEW_AUTO view = {0};
    struct ks_store_record record;
    KS_TRY(ks_store_peek(keeper->options.store, &view));
    KS_TRY(ks_store_get(&view, ks_name_bytes(&name), &record));
    return ks_record_read(type, record.value, arena, ret_record);
}

static ks_result load(struct ks_keeper *keeper, const struct ks_domain_step *step)
{
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    ProtobufCMessage *message = NULL;
    const struct ks_domain_node *node = &keeper->self.node;
    KS_TRY(read_record(keeper, ks_name_domain_copy(step->generation, node->zone, node->node_id),
                       STORED_TYPE(domain_key_copy), &arena, &message));
    const STORED(DomainKeyCopy) *copy = (const STORED(DomainKeyCopy) *)message;
    KS_TRY(ks_request_load(keeper->options.link, step->generation, ks_bytes_in(copy->wrapped),
                           &arena));
    note_held(keeper, step->generation);
    return KS_RES(OK);
}

/* What the hsm makes for a step, in arena. */
static ks_result ask_hsm(struct ks_keeper *keeper, const struct ks_domain_step *step,
                         struct ks_arena *arena, struct ks_ledger_material *ret_material)
{
    struct ks_hsm_link *link = keeper->options.link;
    ProtobufCMessage *message = NULL;
    if (step->move == KS_DOMAIN_MAKE) {
        KS_TRY(ks_request_make(link, step->generation, arena, &ret_material->wrapped));
        note_held(keeper, step->generation);
        return KS_RES(OK);
    }
    if (step->move == KS_DOMAIN_ASK) {
        return ks_request_challenge(link, step->generation, arena, &ret_material->challenge);
    }
    if (step->move == KS_DOMAIN_SEAL) {
        const struct ks_domain_node *to = &keeper->records.transits[step->transit].node;
        KS_TRY(read_record(keeper, ks_name_transit(to->zone, to->node_id),
                           STORED_TYPE(transit_record), arena, &message));
        ret_material->challenge = ks_bytes_in(((const STORED(TransitRecord) *)message)->challenge);
        return ks_request_seal(link, step->generation, ret_material->challenge, arena,
                               &ret_material->envelope);
    }
    if (step->move == KS_DOMAIN_OPEN) {
        const struct ks_domain_node *us = &keeper->self.node;
        KS_TRY(read_record(keeper, ks_name_transit(us->zone, us->node_id),
                           STORED_TYPE(transit_record), arena, &message));
        ks_bytes envelope = ks_bytes_in(((const STORED(TransitRecord) *)message)->envelope);
        KS_TRY(ks_request_open(link, step->generation, envelope, arena, &ret_material->wrapped));
        note_held(keeper, step->generation);
    }
    return KS_RES(OK);
}

static void note_refusal(struct ks_keeper *keeper, const struct ks_domain_transit *transit)
{
    size_t place = keeper->refusal_count < KS_DOMAIN_NODES_MAX ? keeper->refusal_count++ : 0;
    keeper->refusals[place] = (struct refusal){transit->node, transit->revision};
}

/* The hsm has said no, for good: asking the same again would get the same answer. */
static ks_result take_refusal(struct ks_keeper *keeper, const struct ks_domain_step *step,
                              ks_result refused)
{
    if (step->move == KS_DOMAIN_SEAL) {
        note_refusal(keeper, &keeper->records.transits[step->transit]);
        return KS_RES(OK);
    }
    if (step->move == KS_DOMAIN_OPEN) {
        KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
        ks_ledger_forget_transit(&keeper->records, &keeper->self, &change);
        ks_result result = ks_sync_commit(keeper->options.store, &change, NULL);
        (void)result; /* The records are looked at again in any case. */
    }
    return refused;
}

static ks_result write_down(struct ks_keeper *keeper, const struct ks_domain_step *step)
{
    KS_ARENA_AUTO arena = {.len_max = ARENA_LEN_MAX};
    KS_CHANGE_AUTO change = {.result = KS_RES(OK)};
    struct ks_ledger_material material = {.wrapped = {NULL, 0}};
    ks_result result = ask_hsm(keeper, step, &arena, &material);
    if (result.code == KS_ACCESS_DENIED || result.code == KS_INVALID_CIPHERTEXT) {
        return take_refusal(keeper, step, result);
    }
    KS_TRY(result);

    int64_t revision = 0;
    ks_ledger_write(&keeper->records, &keeper->self, step, &material,
                    ks_clock_wall_ms(&keeper->clock), &change);
    result = ks_sync_commit(keeper->options.store, &change, &revision);
    if (ks_failed(result) && ks_domain_puts_copy(step->move)) {
        KS_TRY(drop(keeper, step->generation));
    }
    KS_TRY(result);
    if (step->move == KS_DOMAIN_ASK) {
        keeper->self.challenge_revision = revision;
        keeper->asked_ns = now_ns(keeper);
    }
    return KS_RES(OK);
}

static ks_result take(struct ks_keeper *keeper, const struct ks_domain_step *step)
{
    ks_result result = step->move == KS_DOMAIN_DROP   ? drop(keeper, step->generation)
                       : step->move == KS_DOMAIN_LOAD ? load(keeper, step)
                                                      : write_down(keeper, step);
    ks_log(INFO, "domain key", KS_TEXT("command", ks_domain_move_name(step->move)),
           KS_NUMBER("generation", step->generation), KS_TEXT("code", ks_code_name(result.code)));
    /* A conflict is another zone that was faster: look again at once. */
    return result.code == KS_CONFLICT ? KS_RES(OK) : result;
}

/* Status */

__attribute__((format(printf, 2, 3))) static void raise_alarm(struct ks_keeper_status *status,
                                                              const char *format, ...)
{
    if (status->alarm_count < KS_KEEPER_ALARMS_MAX) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(status->alarms[status->alarm_count++], KS_KEEPER_ALARM_LEN, format, arguments);
        va_end(arguments);
    }
}

static void find_alarms(const struct ks_keeper *keeper, struct ks_keeper_status *status)
{
    const struct ks_domain_records *records = &keeper->records;
    if (keeper->roster_number == 0 && keeper->options.min_zones > 1) {
        raise_alarm(status,
                    "no roster names the hsms of this cell: put one with keystead zone add");
    }
    if (keeper->refused_roster > 0) {
        raise_alarm(status,
                    "the hsm of this zone refuses roster %llu: it is not signed by the hsm's root, "
                    "or below its roster_floor",
                    (unsigned long long)keeper->refused_roster);
    }
    if (keeper->refused_kit > 0) {
        raise_alarm(
            status,
            "the hsm of this zone refuses the custodian kit of period %u: it is not signed by "
            "the hsm's root; no backup can be taken here",
            keeper->refused_kit);
    }
    for (size_t i = 0; i < records->copy_count; i++) {
        const struct ks_domain_copy *copy = &records->copies[i];
        if (ks_domain_is_stale(&keeper->self, &copy->node) &&
            ks_domain_lost(records, &keeper->self, copy->generation)) {
            raise_alarm(
                status,
                "no hsm of the cell holds domain key generation %u any more: bring back an hsm "
                "that has a copy, with its token; keys sealed under it are lost otherwise",
                copy->generation);
        }
    }
    for (size_t i = 0; i < records->transit_count; i++) {
        if (records->transits[i].refused) {
            raise_alarm(status,
                        "the hsm of zone %s is not on the roster or not of our hsm root: enrol it "
                        "with keystead zone replace",
                        records->transits[i].node.zone);
        }
    }
    if (ks_domain_transit_of(records, &keeper->self.node) &&
        since_ms(keeper, keeper->asked_ns) > ANSWER_MS) {
        raise_alarm(status, "no hsm has answered this zone's request for a domain key: see the "
                            "alarms of the others");
    }
}

static void find_refused(struct ks_keeper_status *status)
{
    const struct ks_reseal_progress *reseal = &status->reseal;
    if (reseal->refused_count > 0) {
        raise_alarm(status,
                    "%llu records can't be re-sealed, the first is %.100s: older domain keys are "
                    "kept until it is repaired, docs/operations/refused-record.md",
                    (unsigned long long)reseal->refused_count, reseal->refused.text);
    }
}

/* Failures that do not go away by themselves, in words. */
static void find_fault(ks_result result, struct ks_keeper_status *status)
{
    static const struct {
        ks_code code;
        const char *says;
    } faults[] = {
        {KS_CONFLICT, "the hsm at hsm_socket is of another zone: correct the settings"},
        {KS_CORRUPT, "a record of domain keys or the roster can't be read: it is damaged, or a "
                     "newer version wrote it"},
        {KS_INVALID_CIPHERTEXT, "the hsm does not open what the records hold for it: see the log; "
                                "if its token was changed, run keystead zone replace"},
        {KS_ACCESS_DENIED, "the hsm refuses a domain key from an hsm that is not on its roster: "
                           "see the alarms of the other zones"},
    };
    for (size_t i = 0; i < KS_COUNT(faults); i++) {
        if (faults[i].code == result.code) {
            raise_alarm(status, "%s", faults[i].says);
        }
    }
}

static void publish(struct ks_keeper *keeper, ks_result result, bool ready)
{
    struct ks_keeper_status status = {.current = keeper->records.current.generation,
                                      .ready = ready};
    if (keeper->self.on_duty && keeper->life != 0) {
        status.reseal = ks_reseal_progress(keeper->reseal, &keeper->records);
    }
    status.held_count = keeper->self.held_count;
    memcpy(status.held, keeper->self.held, sizeof(status.held));
    if (keeper->life == 0) {
        raise_alarm(&status, "the hsm of this zone is not there: see whether it runs");
    } else {
        find_alarms(keeper, &status);
    }
    find_refused(&status);
    find_fault(result, &status);
    pthread_mutex_lock(&keeper->lock);
    keeper->status = status;
    pthread_mutex_unlock(&keeper->lock);
}

/* Running */

static bool is_for_the_hsm_alone(enum ks_domain_move move)
{
    return move == KS_DOMAIN_DROP || move == KS_DOMAIN_LOAD;
}

/* Answers whether there may be more to do. */
static ks_result advance(struct ks_keeper *keeper, bool *ret_more)
{
    uint64_t life = atomic_load(&keeper->connected);
    if (life == 0) {
        keeper->life = 0;
        return KS_RES(UNAVAILABLE);
    }
    if (life != keeper->life) {
        KS_TRY(prepare(keeper, life));
    }
    KS_TRY(look(keeper));
    struct ks_domain_step step = ks_domain_next(&keeper->records, &keeper->self);
    if (!is_for_the_hsm_alone(step.move)) {
        ks_hsm_link_open(keeper->options.link, keeper->life);
    }
    *ret_more = step.move != KS_DOMAIN_WAIT;
    return *ret_more ? take(keeper, &step) : KS_RES(OK);
}

void ks_keeper_run(void *user, struct ks_worker *worker)
{
    struct ks_keeper *keeper = user;
    bool more = true;
    ks_result result = KS_RES(OK);
    for (size_t i = 0; i < STEPS_MAX && more && !ks_failed(result); i++) {
        if (worker && ks_worker_is_stopping(worker)) {
            return;
        }
        result = advance(keeper, &more);
    }
    if (!ks_failed(result) && keeper->self.on_duty) {
        bool again = ks_reseal_step(keeper->reseal, &keeper->records);
        if (again && worker) {
            ks_worker_poke(worker);
        }
    }
    publish(keeper, result, !ks_failed(result) && ks_hsm_link_is_open(keeper->options.link));
}

bool ks_keeper_concerns(ks_bytes key)
{
    return ks_bytes_starts_with(key, KS_NAME_DOMAIN) ||
           ks_bytes_starts_with(key, KS_NAME_TRANSIT) ||
           ks_bytes_starts_with(key, KS_NAME_CUSTODIANS) || ks_bytes_equal(key, KS_NAME_ROSTER);
}

void ks_keeper_connected(struct ks_keeper *keeper, uint64_t life)
{
    atomic_store(&keeper->connected, life);
}

void ks_keeper_lost(struct ks_keeper *keeper)
{
    atomic_store(&keeper->connected, 0);
}

struct ks_keeper *ks_keeper_new(const struct ks_keeper_options *options)
{
    assert(strlen(options->zone) < KS_DOMAIN_ZONE_LEN);
    assert(strlen(options->name) < KS_DOMAIN_KEYSTORE_LEN);
    assert(options->min_zones == 1 || options->min_zones == 2);

    struct ks_keeper *keeper = ks_alloc(1, sizeof(*keeper));
    keeper->options = *options;
    keeper->clock = options->clock ? *options->clock : ks_clock_system;
    struct ks_domain_node *node = &keeper->self.node;
    snprintf(node->zone, sizeof(node->zone), "%s", options->zone);
    snprintf(node->keystore, sizeof(node->keystore), "%s", options->name);
    keeper->reseal = ks_reseal_new(options->store, options->link);
    pthread_mutex_init(&keeper->lock, NULL);
    return keeper;
}

void ks_keeper_free(struct ks_keeper *keeper)
{
    if (keeper) {
        pthread_mutex_destroy(&keeper->lock);
        ks_reseal_free(keeper->reseal);
        ks_free(keeper);
    }
}

void ks_keeper_get_status(struct ks_keeper *keeper, struct ks_keeper_status *ret_status)
{
    pthread_mutex_lock(&keeper->lock);
    *ret_status = keeper->status;
    pthread_mutex_unlock(&keeper->lock);
}
