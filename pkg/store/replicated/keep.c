/* Housekeeping: etcd's compaction, the health of its members, alarms, the published status. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/store/replicated/replicated.h"

#define COMPACT_EVERY_NS (60 * KS_NS_PER_S)
#define SCARCE_EVERY_NS  (1 * KS_NS_PER_S)
#define COMPACT_CALL_MS  5000
#define PROBE_EVERY_NS   (10 * KS_NS_PER_S)
#define PROBE_ASKED_NS   (1 * KS_NS_PER_S) /* while somebody asks for the status */
#define ASKED_LASTS_NS   (10 * KS_NS_PER_S)
#define PROBE_CALL_MS    500
#define PUBLISH_EVERY_NS (250 * KS_NS_PER_MS)

/* ---- Alarms ---- */

#define ALARM_COPY_FULL                                                                            \
    "the disk or the database limit of this keystore is reached: free space or raise the limit; "  \
    "it does not serve until its copy can be written"
#define ALARM_ETCD_FULL                                                                            \
    "etcd's database is full (NOSPACE): only what takes permissions away is done, and what is "    \
    "there is served: docs/operations/etcd-is-full.md"
#define ALARM_ETCD_NEARLY_FULL                                                                     \
    "etcd's database is nearly full: nothing new is made, what is there is served and can be "     \
    "changed: docs/operations/etcd-is-full.md"
#define ALARM_ETCD_DAMAGED                                                                         \
    "etcd's CORRUPT alarm is raised: stop the member that it names, remove its data and add it anew"

#define ALARM_CROWDED                                                                              \
    "the cell has as many keystores as it may have: this one waits until another one goes"
#define ALARM_UNNAMED                                                                              \
    "a keystore's record in etcd can't be read: it is removed with the next change that waits for it"

static const char *alarm_of(const struct ks_replicated *engine)
{
    const struct ks_alarms *alarms = &engine->alarms;
    if (alarms->refused) {
        return alarms->refused;
    }
    if (alarms->copy_is_full) {
        return ALARM_COPY_FULL;
    }
    if (alarms->etcd_is_damaged || alarms->etcd == KS_ETCD_DAMAGED) {
        return ALARM_ETCD_DAMAGED;
    }
    if (alarms->etcd_is_full || alarms->etcd == KS_ETCD_NO_SPACE) {
        return ALARM_ETCD_FULL;
    }
    if (!ks_space_admits(&engine->space, KS_STORE_GROWS)) {
        return ALARM_ETCD_NEARLY_FULL;
    }
    if (engine->phase == KS_PHASE_FOLLOWING &&
        ks_list_is_full_for(&engine->list, engine->store->folder.keystore_id)) {
        return ALARM_CROWDED;
    }
    if (engine->list.has_unnamed) {
        return ALARM_UNNAMED;
    }
    return alarms->etcd == KS_ETCD_DONE ? "" : ks_etcd_cause_text(alarms->etcd);
}

void ks_keep_note(struct ks_replicated *engine, const struct ks_etcd_answer *answer)
{
    engine->alarms.etcd = answer->cause;
}

/* ---- Compaction ---- */

static void on_compacted(void *user, const struct ks_etcd_answer *answer)
{
    (void)user; /* If it failed the next one does more. */
    (void)answer;
}

/* What every listed keystore has applied by its own word. */
static int64_t applied_by_all(const struct ks_replicated *engine)
{
    int64_t least = engine->position.applied;
    for (size_t i = 0; i < engine->list.count; i++) {
        int64_t applied = engine->list.entries[i].applied;
        least = applied < least ? applied : least;
    }
    return engine->list.has_unnamed ? 0 : least;
}

/* Often; soon when room is scarce, and at once when much was written. */
static bool is_compaction_due(const struct ks_replicated *engine, int64_t now_ns)
{
    bool is_scarce = !ks_space_admits(&engine->space, KS_STORE_GROWS);
    return now_ns >= engine->compact_ns - (is_scarce ? COMPACT_EVERY_NS - SCARCE_EVERY_NS : 0) ||
           engine->history.len - engine->compacted_len >= engine->history.len_max / 2;
}

static void compact(struct ks_replicated *engine)
{
    bool is_scarce = !ks_space_admits(&engine->space, KS_STORE_GROWS);
    int64_t revision = ks_history_len_floor(&engine->history, applied_by_all(engine), is_scarce);
    engine->compacted_len = engine->history.len;
    const struct ks_etcd_call call = {.done = on_compacted, .timeout_ms = COMPACT_CALL_MS};
    if (revision > 0 && ks_store_on_duty(engine->store)) {
        ks_result begun = ks_etcd_compact(engine->etcd, revision, &call);
        (void)begun; /* The next one does more. */
    }
}

/* ---- The members' health ---- */

/*
 * An alarm that any reachable member knows of is raised: one that lags does not know of it yet.
 * While none can be reached the last word stands. (etcd's own call for alarms goes through its log
 * at each member, as a change does; these words cost nothing.)
 */
static void gather_alarms(struct ks_replicated *engine)
{
    bool is_any_reachable = false;
    bool is_full = false;
    bool is_damaged = false;
    uint64_t used_len = 0;
    for (size_t i = 0; i < engine->store->options.endpoint_count; i++) {
        const struct ks_probe *probe = &engine->probes[i];
        bool counts = engine->members[i].reachable;
        is_any_reachable = is_any_reachable || counts;
        is_full = is_full || (counts && probe->has_no_space);
        is_damaged = is_damaged || (counts && probe->has_corrupt);
        uint64_t used = counts ? engine->members[i].used_bytes : 0;
        used_len = used > used_len ? used : used_len;
    }
    if (is_any_reachable) {
        engine->space.is_out_of_quota = is_full;
        engine->space.used_len = used_len;
        engine->alarms.etcd_is_full = is_full;
        engine->alarms.etcd_is_damaged = is_damaged;
    }
}

static void on_member(void *user, const struct ks_etcd_answer *answer)
{
    struct ks_probe *probe = user;
    struct ks_replicated *engine = probe->engine;
    struct ks_store_member *member = &engine->members[probe->index];
    if (engine->is_closing) {
        return;
    }
    member->reachable = answer->cause == KS_ETCD_DONE;
    member->leader = member->reachable && answer->status.is_leader;
    if (member->reachable) {
        member->revision = answer->header.revision;
        member->raft_term = answer->header.raft_term;
        member->database_bytes = (uint64_t)answer->status.db_len;
        member->used_bytes = (uint64_t)answer->status.db_used_len;
        snprintf(member->version, sizeof(member->version), "%.*s", (int)answer->status.version.len,
                 (const char *)answer->status.version.ptr);
        probe->has_no_space = answer->status.has_no_space;
        probe->has_corrupt = answer->status.has_corrupt;
    }
    gather_alarms(engine);
}

/* A call that can't be started is made up for by the next probe. */
static void probe(struct ks_replicated *engine)
{
    for (size_t i = 0; i < engine->store->options.endpoint_count; i++) {
        engine->probes[i].engine = engine;
        engine->probes[i].index = i;
        const struct ks_etcd_call call = {
            .done = on_member,
            .user = &engine->probes[i],
            .timeout_ms = PROBE_CALL_MS,
            .pin = (unsigned)i + 1,
        };
        ks_result begun = ks_etcd_status(engine->etcd, &call);
        (void)begun;
    }
}

static int64_t probe_every_ns(const struct ks_replicated *engine, int64_t now_ns)
{
    bool is_asked = now_ns - atomic_load(&engine->status_asked_ns) < ASKED_LASTS_NS;
    return is_asked ? PROBE_ASKED_NS : PROBE_EVERY_NS;
}

/* ---- The status ---- */

static enum ks_store_state state_of(const struct ks_replicated *engine)
{
    static const enum ks_store_state states[] = {
        [KS_PHASE_HELLO] = KS_STORE_STARTING,
        [KS_PHASE_LOADING] = KS_STORE_LOADING,
        [KS_PHASE_FOLLOWING] = KS_STORE_FOLLOWING,
        [KS_PHASE_REFUSED] = KS_STORE_REFUSED,
    };
    return states[engine->phase];
}

static int64_t said_by(const struct ks_replicated *engine, const struct ks_list_entry *keystore)
{
    const struct ks_settling *settling = &engine->settling;
    if (strcmp(keystore->id, engine->store->folder.keystore_id) == 0) {
        return engine->position.applied;
    }
    for (size_t i = 0; i < KS_WORDS_MAX; i++) {
        if (strcmp(settling->said[i].id, keystore->id) == 0) {
            return settling->said[i].revision;
        }
    }
    return keystore->applied;
}

static void fill_listed(const struct ks_replicated *engine, struct ks_store_status *status)
{
    for (size_t i = 0; i < engine->list.count; i++) {
        const struct ks_list_entry *keystore = &engine->list.entries[i];
        struct ks_store_peer *peer = &status->listed[status->listed_count++];
        memcpy(peer->keystore_id, keystore->id, sizeof(peer->keystore_id));
        memcpy(peer->name, keystore->name, sizeof(peer->name));
        memcpy(peer->zone, keystore->zone, sizeof(peer->zone));
        memcpy(peer->address, keystore->address, sizeof(peer->address));
        peer->applied_revision = said_by(engine, keystore);
    }
}

static void fill_members(const struct ks_replicated *engine, struct ks_store_status *status)
{
    const struct ks_store_options *options = &engine->store->options;
    for (size_t i = 0; i < options->endpoint_count && i < KS_COUNT(status->members); i++) {
        struct ks_store_member *member = &status->members[status->member_count++];
        *member = engine->members[i];
        snprintf(member->endpoint, sizeof(member->endpoint), "%s", options->endpoints[i]);
    }
}

void ks_keep_publish(struct ks_replicated *engine)
{
    const struct ks_store *store = engine->store;
    struct ks_store_status status = {.state = state_of(engine), .life = store->folder.life};
    memcpy(status.keystore_id, store->folder.keystore_id, sizeof(store->folder.keystore_id));
    memcpy(status.epoch, engine->source.epoch, sizeof(status.epoch));
    status.database_bytes = ks_copy_used_len(store->copy);
    snprintf(status.alarm, sizeof(status.alarm), "%s", alarm_of(engine));
    fill_listed(engine, &status);
    fill_members(engine, &status);
    pthread_mutex_lock(&engine->published_lock);
    engine->published = status;
    pthread_mutex_unlock(&engine->published_lock);
}

void ks_keep_tick(struct ks_replicated *engine, int64_t now_ns, int64_t *next_ns)
{
    if (now_ns >= engine->publish_ns) {
        engine->publish_ns = now_ns + PUBLISH_EVERY_NS;
        ks_cell_clock_tick(&engine->store->cell_clock);
        ks_keep_publish(engine);
    }
    if (now_ns >= engine->probe_ns + probe_every_ns(engine, now_ns)) {
        engine->probe_ns = now_ns;
        probe(engine);
    }
    if (is_compaction_due(engine, now_ns)) {
        engine->compact_ns = now_ns + COMPACT_EVERY_NS;
        compact(engine);
    }
    *next_ns = engine->publish_ns < *next_ns ? engine->publish_ns : *next_ns;
}
