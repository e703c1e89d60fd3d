/*
 * Room in etcd: the keystore on duty gives free pages of the members' files back, one member after
 * the other, and takes etcd's alarm back when there is room again.
 *
 * A member answers nothing while it is defragmented, so all others must be well, and the next one
 * waits until it has caught up. Its leader is last: meanwhile the others have what they need.
 */
#include "pkg/base/mem.h"
#include "pkg/store/replicated/replicated.h"

#define PAUSE_NS      (2 * KS_NS_PER_S)  /* after one member */
#define FAILED_NS     (30 * KS_NS_PER_S) /* after a failure */
#define RAISED_NS     (300 * KS_NS_PER_S)
#define LOOK_NS       (1 * KS_NS_PER_S)
#define DEFRAGMENT_MS 120000
#define DISARM_MS     2000
#define BEHIND_MAX    1000 /* revisions that a member which is well may lack */

static void rest(struct ks_replicated *engine, int64_t wait_ns)
{
    engine->room.is_calling = false;
    engine->room.next_ns = ks_now(engine) + wait_ns;
}

/* Every member answers and has what the copy has: one of them can be spared for a while. */
static bool are_all_well(const struct ks_replicated *engine)
{
    for (size_t i = 0; i < engine->store->options.endpoint_count; i++) {
        const struct ks_store_member *member = &engine->members[i];
        if (!member->reachable || member->revision < engine->position.applied - BEHIND_MAX) {
            return false;
        }
    }
    return true;
}

/* ---- Defragmentation ---- */

static void on_defragmented(void *user, const struct ks_etcd_answer *answer)
{
    struct ks_replicated *engine = user;
    if (engine->is_closing) {
        return;
    }
    bool is_done = answer->cause == KS_ETCD_DONE;
    ks_notice(engine, is_done ? "a member of etcd was defragmented: its file had grown"
                              : "a member of etcd could not be defragmented: it is tried again");
    engine->probe_ns = 0; /* its file has another size now */
    rest(engine, is_done ? PAUSE_NS : FAILED_NS);
}

/* The member to be defragmented next, a follower first; as many as there are: none. */
static size_t choose(const struct ks_replicated *engine)
{
    size_t count = engine->store->options.endpoint_count;
    size_t chosen = count;
    for (size_t i = 0; i < count; i++) {
        const struct ks_store_member *member = &engine->members[i];
        bool is_loose =
            ks_space_is_loose(&engine->space, member->database_bytes, member->used_bytes);
        if (is_loose && (chosen == count || !member->leader)) {
            chosen = i;
        }
    }
    return chosen;
}

static bool defragment(struct ks_replicated *engine)
{
    size_t index = choose(engine);
    if (index == engine->store->options.endpoint_count || !are_all_well(engine)) {
        return false;
    }
    const struct ks_etcd_call call = {.done = on_defragmented,
                                      .user = engine,
                                      .timeout_ms = DEFRAGMENT_MS,
                                      .pin = (unsigned)index + 1};
    return !ks_failed(ks_etcd_defragment(engine->etcd, &call));
}

/* ---- etcd's alarm ---- */

static void on_disarmed(void *user, const struct ks_etcd_answer *answer)
{
    struct ks_replicated *engine = user;
    if (engine->is_closing) {
        return;
    }
    if (answer->cause == KS_ETCD_DONE) {
        ks_notice(engine, "etcd has room again: its NOSPACE alarm was taken back");
    }
    engine->probe_ns = 0;
    rest(engine, LOOK_NS);
}

static void on_alarms(void *user, const struct ks_etcd_answer *answer)
{
    struct ks_replicated *engine = user;
    if (engine->is_closing) {
        return;
    }
    for (size_t i = 0; answer->cause == KS_ETCD_DONE && i < answer->alarm_count; i++) {
        const struct ks_etcd_call call = {
            .done = on_disarmed, .user = engine, .timeout_ms = DISARM_MS};
        if (answer->alarms[i].kind == KS_ETCD_ALARM_NO_SPACE &&
            !ks_failed(ks_etcd_disarm(engine->etcd, &answer->alarms[i], &call))) {
            return; /* one at a time */
        }
    }
    rest(engine, LOOK_NS);
}

static uint64_t largest_file(const struct ks_replicated *engine)
{
    uint64_t largest = 0;
    for (size_t i = 0; i < engine->store->options.endpoint_count; i++) {
        uint64_t len = engine->members[i].database_bytes;
        largest = len > largest ? len : largest;
    }
    return largest;
}

/*
 * Every file is so far below the quota that what is admitted won't raise the alarm at once: also
 * below what it was when the alarm was raised, since the members may have been told of a smaller
 * quota than this keystore. If the quota was raised meanwhile, that shows after a while only.
 */
static bool has_room(const struct ks_replicated *engine)
{
    const struct ks_room *room = &engine->room;
    uint64_t largest = largest_file(engine);
    bool is_smaller = largest < room->full_len / 100 * KS_SPACE_CHANGE_PERCENT;
    bool is_long_ago = ks_now(engine) - room->full_ns >= RAISED_NS;
    return largest < engine->space.quota_len / 100 * KS_SPACE_CHANGE_PERCENT &&
           (is_smaller || is_long_ago);
}

static void note_alarm(struct ks_replicated *engine, int64_t now_ns)
{
    struct ks_room *room = &engine->room;
    if (!engine->alarms.etcd_is_full) {
        room->full_ns = 0;
    } else if (room->full_ns == 0) {
        room->full_ns = now_ns;
        room->full_len = largest_file(engine);
    }
}

static bool disarm(struct ks_replicated *engine)
{
    const struct ks_etcd_call call = {.done = on_alarms, .user = engine, .timeout_ms = DISARM_MS};
    return engine->alarms.etcd_is_full && are_all_well(engine) && has_room(engine) &&
           !ks_failed(ks_etcd_alarms(engine->etcd, &call));
}

void ks_room_tick(struct ks_replicated *engine, int64_t now_ns, int64_t *next_ns)
{
    note_alarm(engine, now_ns);
    if (engine->room.is_calling || !ks_follow_is_proven(engine)) {
        return;
    }
    if (now_ns >= engine->room.next_ns) {
        rest(engine, LOOK_NS);
        engine->room.is_calling =
            ks_store_on_duty(engine->store) && (disarm(engine) || defragment(engine));
    }
    *next_ns = engine->room.next_ns < *next_ns ? engine->room.next_ns : *next_ns;
}
