/* Mutations on their way to etcd, in groups. */
#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/store/replicated/replicated.h"

#define CALL_MS          300  /* a call forwarded to a dead leader would hang for seconds */
#define CALL_MS_MAX      1500 /* grows with each attempt: to repeat makes a slow etcd slower */
#define RETRY_NS         (20 * KS_NS_PER_MS)
#define RETRY_NS_MAX     (200 * KS_NS_PER_MS)
#define EXPIRE_NS        (50 * KS_NS_PER_MS) /* between two looks at the deadlines */
#define LINGER_NS        (1 * KS_NS_PER_MS)
#define LINGER_BESIDE_NS (5 * KS_NS_PER_MS) /* while another flight is under way */
#define WORTH_A_FLIGHT   32U /* mutations; a larger group costs etcd hardly less for each */
#define BLOCKED_NS       (1 * KS_NS_PER_MS) /* between two looks at a queue of which nothing can go */

static const struct ks_store_outcome unavailable = {.result = {KS_UNAVAILABLE}};

/* ---- A flight ends ---- */

/* What waits for the keys that it changes waits until the copy has applied revision; 0: no more. */
static void free_flight(struct ks_flight *flight, int64_t revision)
{
    ks_queue_done(flight->engine->queue, flight->number, revision);
    ks_group_free(flight->group);
    *flight = (struct ks_flight){.engine = flight->engine};
}

static void answer_members(struct ks_flight *flight, const struct ks_store_outcome *outcome)
{
    struct ks_group *group = flight->group;
    for (size_t i = 0; i < ks_group_count(group); i++) {
        struct ks_pending *pending = ks_group_take(group, i);
        if (pending) {
            ks_store_answer(flight->engine->store, pending, outcome);
        }
    }
    free_flight(flight, 0);
}

/* Each member's outcome, and with it the list as of the transaction, goes on to be settled. */
static void settle_members(struct ks_flight *flight, const struct ks_etcd_answer *answer)
{
    struct ks_replicated *engine = flight->engine;
    struct ks_group *group = flight->group;
    struct ks_list list;
    ks_group_list(&engine->layout, answer, &list);
    for (size_t i = 0; i < ks_group_count(group); i++) {
        if (ks_group_member(group, i)) {
            struct ks_store_outcome outcome =
                ks_group_outcome(group, i, answer, flight->may_be_done);
            ks_acks_add(engine, ks_group_take(group, i), &outcome, &list);
        }
    }
    free_flight(flight, answer->header.revision);
}

/* Causes after which the same transaction would fail again. */
static bool is_final(enum ks_etcd_cause cause)
{
    return cause == KS_ETCD_NO_SPACE || cause == KS_ETCD_TOO_LARGE || cause == KS_ETCD_INVALID ||
           cause == KS_ETCD_DAMAGED;
}

static void fail_members(struct ks_flight *flight, const struct ks_etcd_answer *answer)
{
    ks_result result = ks_etcd_answer_result(answer);
    bool nothing_was_done = !flight->may_be_done && result.code == KS_LIMIT_EXCEEDED;
    struct ks_store_outcome outcome = {.result = nothing_was_done ? result : KS_RES(UNAVAILABLE)};
    answer_members(flight, &outcome);
}

static void retry_later(struct ks_flight *flight, int64_t now_ns)
{
    int64_t wait_ns = RETRY_NS * flight->attempts;
    flight->retry_ns = now_ns + (wait_ns < RETRY_NS_MAX ? wait_ns : RETRY_NS_MAX);
}

static void on_done(struct ks_flight *flight, const struct ks_etcd_answer *answer)
{
    struct ks_replicated *engine = flight->engine;
    if (ks_group_needs_care(flight->group, answer)) {
        ks_group_make_careful(flight->group);
        flight->retry_ns = 0;
    } else if (ks_hello_is_same(engine, answer, flight->after) &&
               ks_group_is_answered(flight->group, answer)) {
        settle_members(flight, answer);
    } else {
        answer_members(flight, &unavailable);
    }
}

/*
 * The outcome is unknown, or nothing was done: it is sent again, so that each member's outcome
 * shows.
 */
static void on_failure(struct ks_flight *flight, const struct ks_etcd_answer *answer)
{
    if (answer->may_be_applied) {
        flight->may_be_done = true;
        ks_group_make_careful(flight->group);
    }
    if (answer->cause == KS_ETCD_NO_SPACE && !ks_group_is_shielded(flight->group)) {
        /* Which of them etcd has done all the same shows when they are repeated (group.h). */
        flight->engine->space.is_out_of_quota = true;
        ks_group_shield(flight->group);
        flight->retry_ns = 0;
    } else if (is_final(answer->cause)) {
        fail_members(flight, answer);
    } else {
        retry_later(flight, ks_now(flight->engine));
    }
}

static void on_group(void *user, const struct ks_etcd_answer *answer)
{
    struct ks_flight *flight = user;
    flight->is_calling = false;
    if (flight->engine->is_closing) {
        return;
    }
    ks_keep_note(flight->engine, answer);
    if (answer->cause == KS_ETCD_DONE) {
        on_done(flight, answer);
    } else {
        on_failure(flight, answer);
    }
}

/* ---- A flight begins ---- */

static void send_group(struct ks_flight *flight, int64_t now_ns)
{
    flight->attempts++;
    int64_t patience_ms = (int64_t)CALL_MS * flight->attempts;
    struct ks_etcd_call call = {
        .done = on_group,
        .user = flight,
        .timeout_ms = patience_ms < CALL_MS_MAX ? patience_ms : CALL_MS_MAX,
    };
    flight->after = flight->engine->position.applied;
    struct ks_nonce nonce;
    ks_result sent = ks_nonce_new(&nonce);
    if (!ks_failed(sent)) {
        sent = ks_etcd_txn(flight->engine->etcd, ks_group_txn(flight->group, &nonce), &call);
    }
    flight->is_calling = !ks_failed(sent);
    if (sent.code == KS_LIMIT_EXCEEDED) {
        const struct ks_store_outcome too_large = {.result = sent};
        answer_members(flight, &too_large);
    } else if (ks_failed(sent)) {
        retry_later(flight, now_ns);
    }
}

static void refuse(void *user, struct ks_pending *pending, ks_code code)
{
    struct ks_replicated *engine = user;
    const struct ks_store_outcome outcome = {.result = {code}};
    ks_store_answer(engine->store, pending, &outcome);
}

static int64_t revision_of(void *user, ks_bytes key)
{
    struct ks_store_record record;
    return ks_failed(ks_snapshot_get(user, key, &record)) ? 0 : record.revision;
}

/* Returns the group's number. */
static uint64_t fill_group(struct ks_replicated *engine, struct ks_group *group)
{
    KS_SNAPSHOT_AUTO snapshot = {0};
    if (ks_failed(ks_copy_snapshot(engine->store->copy, &snapshot))) {
        return 0;
    }
    const struct ks_queue_copy copy = {snapshot.position.applied, revision_of, &snapshot};
    return ks_queue_fill(engine->queue, &copy, group, refuse, engine);
}

static void begin_flight(struct ks_replicated *engine, struct ks_flight *flight, int64_t now_ns)
{
    struct ks_group *group = ks_group_new(&engine->layout, engine->source.epoch_revision);
    if (engine->space.is_out_of_quota) {
        ks_group_shield(group);
    }
    uint64_t number = fill_group(engine, group);
    engine->queued_ns = now_ns;
    if (ks_group_count(group) == 0) {
        ks_group_free(group);
        engine->queued_ns += BLOCKED_NS;
        return;
    }
    *flight = (struct ks_flight){.engine = engine, .group = group, .number = number};
    engine->answered_count = 0;
    send_group(flight, now_ns);
}

/* ---- Deadlines ---- */

/*
 * A member whose time is up is answered; the transaction stays as it is while others wait for it.
 */
static void expire_flight(struct ks_flight *flight, int64_t now_ns)
{
    size_t left = 0;
    for (size_t i = 0; i < ks_group_count(flight->group); i++) {
        const struct ks_pending *pending = ks_group_member(flight->group, i);
        if (pending && now_ns >= pending->deadline_ns) {
            ks_store_answer(flight->engine->store, ks_group_take(flight->group, i), &unavailable);
        } else if (pending) {
            left++;
        }
    }
    if (left == 0 && !flight->is_calling) {
        free_flight(flight, 0);
    }
}

static void expire(struct ks_replicated *engine, int64_t now_ns, int64_t *next_ns)
{
    if (now_ns >= engine->expire_ns) {
        engine->expire_ns = now_ns + EXPIRE_NS;
        ks_queue_expire(engine->queue, now_ns, refuse, engine);
        for (size_t i = 0; i < KS_FLIGHTS_MAX; i++) {
            if (engine->flights[i].group) {
                expire_flight(&engine->flights[i], now_ns);
            }
        }
    }
    *next_ns = engine->expire_ns < *next_ns ? engine->expire_ns : *next_ns;
}

static bool any_flight(const struct ks_replicated *engine)
{
    for (size_t i = 0; i < KS_FLIGHTS_MAX; i++) {
        if (engine->flights[i].group) {
            return true;
        }
    }
    return false;
}

/*
 * When the queue is to be sent. A caller that was just answered tends to ask again at once, so as
 * many as were answered are waited for, a moment only: one client alone never waits.
 */
static int64_t departure_ns(const struct ks_replicated *engine)
{
    size_t count = ks_queue_count(engine->queue);
    if (count == 0) {
        return INT64_MAX;
    }
    if (count >= WORTH_A_FLIGHT) {
        return engine->queued_ns;
    }
    if (any_flight(engine)) {
        return engine->queued_ns + LINGER_BESIDE_NS;
    }
    return engine->queued_ns + (count >= engine->answered_count ? 0 : LINGER_NS);
}

static void flight_tick(struct ks_flight *flight, int64_t now_ns, int64_t *next_ns)
{
    struct ks_replicated *engine = flight->engine;
    int64_t due_ns = flight->group ? flight->retry_ns : departure_ns(engine);
    if (flight->is_calling || !ks_follow_is_proven(engine)) {
        return;
    }
    if (now_ns >= due_ns && flight->group) {
        send_group(flight, now_ns);
    } else if (now_ns >= due_ns) {
        begin_flight(engine, flight, now_ns);
    }
    if (!flight->is_calling && due_ns < *next_ns) {
        *next_ns = due_ns;
    }
}

void ks_commit_tick(struct ks_replicated *engine, int64_t now_ns, int64_t *next_ns)
{
    for (size_t i = 0; i < KS_FLIGHTS_MAX; i++) {
        flight_tick(&engine->flights[i], now_ns, next_ns);
    }
    if (ks_queue_count(engine->queue) > 0 || any_flight(engine)) {
        expire(engine, now_ns, next_ns);
    }
}

void ks_commit_end(struct ks_replicated *engine)
{
    for (size_t i = 0; i < KS_FLIGHTS_MAX; i++) {
        if (engine->flights[i].group) {
            answer_members(&engine->flights[i], &unavailable);
        }
    }
    ks_queue_expire(engine->queue, INT64_MAX, refuse, engine);
}
