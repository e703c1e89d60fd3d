/* Mutations on their way to etcd, in groups. */
#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/store/replicated.h"

#define CALL_MS         300 /* a call forwarded to a dead leader would hang for seconds */
#define RETRY_NS        (20 * KS_NS_PER_MS)
#define RETRY_NS_MAX    (200 * KS_NS_PER_MS)
#define EXPIRE_NS       (50 * KS_NS_PER_MS) /* between two looks at the deadlines */
#define PASSED_OVER_MAX 64U /* mutations that collide with a group before it is sent as it is */

static const struct ks_store_outcome unavailable = {.result = {KS_UNAVAILABLE}};

/* ---- A flight ends ---- */

static void free_flight(struct ks_flight *flight)
{
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
    free_flight(flight);
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
    free_flight(flight);
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

static void on_group(void *user, const struct ks_etcd_answer *answer)
{
    struct ks_flight *flight = user;
    struct ks_replicated *engine = flight->engine;
    flight->is_calling = false;
    if (engine->is_closing) {
        return;
    }
    ks_keep_note(engine, answer);
    if (answer->cause == KS_ETCD_DONE) {
        if (ks_hello_is_same(engine, answer, flight->after) &&
            ks_group_is_answered(flight->group, answer)) {
            settle_members(flight, answer);
        } else {
            answer_members(flight, &unavailable);
        }
        return;
    }
    flight->may_be_done = flight->may_be_done || answer->may_be_applied;
    if (is_final(answer->cause)) {
        fail_members(flight, answer);
    } else {
        retry_later(flight, ks_now(engine));
    }
}

/* ---- A flight begins ---- */

static void send_group(struct ks_flight *flight, int64_t now_ns)
{
    struct ks_etcd_call call = {.done = on_group, .user = flight, .timeout_ms = CALL_MS};
    flight->attempts++;
    flight->after = flight->engine->position.applied;
    ks_result sent = ks_etcd_txn(flight->engine->etcd, ks_group_txn(flight->group), &call);
    flight->is_calling = !ks_failed(sent);
    if (sent.code == KS_LIMIT_EXCEEDED) {
        const struct ks_store_outcome too_large = {.result = sent};
        answer_members(flight, &too_large);
    } else if (ks_failed(sent)) {
        retry_later(flight, now_ns);
    }
}

/* Moves what fits from the queue to the group; what collides stays in front, in its order. */
static void fill_group(struct ks_replicated *engine, struct ks_group *group)
{
    struct ks_pending_list left = {.count = 0};
    struct ks_pending *pending;
    while (ks_group_count(group) < KS_GROUP_MEMBERS_MAX && left.count < PASSED_OVER_MAX &&
           (pending = ks_pending_pop(&engine->queue)) != NULL) {
        enum ks_group_add added = ks_group_add(group, pending);
        if (added == KS_GROUP_NOT_NOW) {
            ks_pending_push(&left, pending);
        } else if (added == KS_GROUP_NEVER) {
            const struct ks_store_outcome too_large = {.result = KS_RES(LIMIT_EXCEEDED)};
            ks_store_answer(engine->store, pending, &too_large);
        }
    }
    while ((pending = ks_pending_pop(&engine->queue)) != NULL) {
        ks_pending_push(&left, pending);
    }
    engine->queue = left;
}

static void begin_flight(struct ks_replicated *engine, struct ks_flight *flight, int64_t now_ns)
{
    struct ks_group *group = ks_group_new(&engine->layout, engine->source.epoch_revision);
    fill_group(engine, group);
    if (ks_group_count(group) == 0) {
        ks_group_free(group);
        return;
    }
    *flight = (struct ks_flight){.engine = engine, .group = group};
    send_group(flight, now_ns);
}

/* ---- Deadlines ---- */

static void expire_queue(struct ks_replicated *engine, int64_t now_ns)
{
    struct ks_pending_list left = {.count = 0};
    struct ks_pending *pending;
    while ((pending = ks_pending_pop(&engine->queue)) != NULL) {
        if (now_ns >= pending->deadline_ns) {
            ks_store_answer(engine->store, pending, &unavailable);
        } else {
            ks_pending_push(&left, pending);
        }
    }
    engine->queue = left;
}

/* A member whose time is up is answered; the transaction stays as it is while others wait for it. */
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
        free_flight(flight);
    }
}

static void expire(struct ks_replicated *engine, int64_t now_ns, int64_t *next_ns)
{
    if (now_ns >= engine->expire_ns) {
        engine->expire_ns = now_ns + EXPIRE_NS;
        expire_queue(engine, now_ns);
        for (size_t i = 0; i < KS_FLIGHTS_MAX; i++) {
            if (engine->flights[i].group) {
                expire_flight(&engine->flights[i], now_ns);
            }
        }
    }
    *next_ns = engine->expire_ns < *next_ns ? engine->expire_ns : *next_ns;
}

void ks_commit_tick(struct ks_replicated *engine, int64_t now_ns, int64_t *next_ns)
{
    for (size_t i = 0; i < KS_FLIGHTS_MAX; i++) {
        struct ks_flight *flight = &engine->flights[i];
        if (!flight->group && engine->queue.count > 0 && engine->phase == KS_PHASE_FOLLOWING) {
            begin_flight(engine, flight, now_ns);
        } else if (flight->group && !flight->is_calling && now_ns >= flight->retry_ns) {
            send_group(flight, now_ns);
        }
        if (flight->group && !flight->is_calling && flight->retry_ns < *next_ns) {
            *next_ns = flight->retry_ns;
        }
    }
    if (engine->queue.count > 0 || engine->flights[0].group || engine->flights[1].group) {
        expire(engine, now_ns, next_ns);
    }
}

void ks_commit_end(struct ks_replicated *engine)
{
    struct ks_pending *pending;
    for (size_t i = 0; i < KS_FLIGHTS_MAX; i++) {
        if (engine->flights[i].group) {
            answer_members(&engine->flights[i], &unavailable);
        }
    }
    while ((pending = ks_pending_pop(&engine->queue)) != NULL) {
        ks_store_answer(engine->store, pending, &unavailable);
    }
}
