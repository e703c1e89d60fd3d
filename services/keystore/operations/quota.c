#include "services/keystore/operations/quota.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "pkg/base/hash.h"
#include "pkg/base/mem.h"
#include "pkg/record/record.h"

#define SLOTS 1024U /* of the table of prefixes: those with claims at one time share few */

/* A prefix with claims. */
struct entry {
    struct entry *next; /* of its slot */
    struct ks_name prefix;
    size_t held_count;
    size_t waiting_count;
    struct ks_quota_claim *first; /* that waits */
    struct ks_quota_claim *last;
    bool is_passing; /* some thread gives turns: no other one does */
};

struct ks_quota {
    struct ks_store *store;
    uint64_t keys_max;
    pthread_mutex_t lock; /* guards all below */
    bool is_closed;
    size_t waiting_count;
    struct entry *slots[SLOTS];
};

struct ks_quota *ks_quota_new(struct ks_store *store, uint64_t keys_max)
{
    assert(store);

    struct ks_quota *quota = ks_alloc(1, sizeof(*quota));
    quota->store = store;
    quota->keys_max = keys_max ? keys_max : KS_QUOTA_KEYS;
    pthread_mutex_init(&quota->lock, NULL);
    return quota;
}

uint64_t ks_quota_keys_max(const struct ks_quota *quota)
{
    return quota->keys_max;
}

/* ---- With the lock ---- */

/* The place where the entry of a prefix is, or would be linked. */
static struct entry **place_of(struct ks_quota *quota, const struct ks_name *prefix)
{
    struct entry **place = &quota->slots[ks_plain_hash(ks_name_bytes(prefix)) % SLOTS];
    while (*place && !ks_bytes_equal(ks_name_bytes(&(*place)->prefix), ks_name_bytes(prefix))) {
        place = &(*place)->next;
    }
    return place;
}

static struct entry *entry_of(struct ks_quota *quota, const struct ks_name *prefix)
{
    struct entry **place = place_of(quota, prefix);
    if (!*place) {
        *place = ks_alloc(1, sizeof(**place));
        (*place)->prefix = *prefix;
    }
    return *place;
}

static void forget_if_unused(struct ks_quota *quota, const struct ks_name *prefix)
{
    struct entry **place = place_of(quota, prefix);
    struct entry *entry = *place;
    if (entry && entry->held_count == 0 && entry->waiting_count == 0 && !entry->is_passing) {
        *place = entry->next;
        ks_free(entry);
    }
}

/* Fails: UNAVAILABLE (the quota is closed), THROTTLED. */
static ks_result hold(struct ks_quota *quota, struct ks_quota_claim *claim)
{
    if (quota->is_closed) {
        return KS_RES(UNAVAILABLE);
    }
    struct entry *entry = entry_of(quota, &claim->prefix);
    if (entry->held_count + entry->waiting_count >= KS_QUOTA_SHARE) {
        return KS_RES(THROTTLED);
    }
    entry->held_count++;
    claim->is_held = true;
    return KS_RES(OK);
}

static void let_go(struct ks_quota *quota, struct ks_quota_claim *claim)
{
    struct entry *entry = entry_of(quota, &claim->prefix);
    assert(claim->is_held && entry->held_count > 0);
    entry->held_count--;
    claim->is_held = false;
}

static void wait_last(struct ks_quota *quota, struct entry *entry, struct ks_quota_claim *claim)
{
    claim->next = NULL;
    *(entry->last ? &entry->last->next : &entry->first) = claim;
    entry->last = claim;
    entry->waiting_count++;
    quota->waiting_count++;
}

static struct ks_quota_claim *take_first(struct ks_quota *quota, struct entry *entry)
{
    struct ks_quota_claim *claim = entry->first;
    entry->first = claim->next;
    entry->last = entry->first ? entry->last : NULL;
    entry->waiting_count--;
    quota->waiting_count--;
    claim->next = NULL;
    return claim;
}

/*
 * Near the limit a claim that is not the only one waits. ret_waits: it does; then it is held no
 * more. Fails: UNAVAILABLE (too many wait already); the claim is not held then.
 */
static ks_result take_turn(struct ks_quota *quota, struct ks_quota_claim *claim, bool *ret_waits)
{
    struct entry *entry = entry_of(quota, &claim->prefix);
    *ret_waits = entry->held_count > 1 || entry->first || entry->is_passing;
    if (!*ret_waits) {
        return KS_RES(OK);
    }
    let_go(quota, claim);
    if (quota->is_closed || quota->waiting_count == KS_QUOTA_WAITING_MAX) {
        return KS_RES(UNAVAILABLE);
    }
    wait_last(quota, entry, claim);
    return KS_RES(OK);
}

/* ---- Looking ---- */

static ks_result find_gate(const struct ks_store_view *view, const struct ks_name *prefix,
                           int64_t *ret_revision)
{
    struct ks_name name = ks_name_gate(prefix);
    struct ks_store_record record = {.revision = 0};
    ks_result found = ks_store_get(view, ks_name_bytes(&name), &record);
    if (ks_failed(found) && found.code != KS_NOT_FOUND) {
        return found;
    }
    *ret_revision = record.revision;
    return KS_RES(OK);
}

ks_result ks_quota_look(const struct ks_store_view *view, struct ks_quota_claim *claim)
{
    uint64_t count;
    KS_TRY(ks_store_prefix(view, ks_name_bytes(&claim->prefix), &claim->newest, &count));
    KS_TRY(find_gate(view, &claim->prefix, &claim->gate_revision));
    claim->is_near = count + KS_QUOTA_MARGIN >= claim->limit;
    return count >= claim->limit ? KS_RES(LIMIT_EXCEEDED) : KS_RES(OK);
}

/* On a view that is newer than the claim: what is made meanwhile is another claim's. */
static ks_result look_now(const struct ks_quota *quota, struct ks_quota_claim *claim)
{
    KS_STORE_VIEW_AUTO view = {0};
    KS_TRY(ks_store_serve(quota->store, &view));
    return ks_quota_look(&view, claim);
}

/* ---- Entering and leaving ---- */

/* Gives turns to those that wait, one after the other, as long as nobody holds a claim. */
static void pass_on(struct ks_quota *quota, const struct ks_name *prefix)
{
    pthread_mutex_lock(&quota->lock);
    struct entry *entry = entry_of(quota, prefix);
    bool passes = !entry->is_passing;
    entry->is_passing = true;
    while (passes && entry->held_count == 0 && entry->first) {
        struct ks_quota_claim *claim = take_first(quota, entry);
        ks_result result = quota->is_closed ? KS_RES(UNAVAILABLE) : hold(quota, claim);
        pthread_mutex_unlock(&quota->lock);
        if (!ks_failed(result)) {
            result = look_now(quota, claim);
        }
        pthread_mutex_lock(&quota->lock);
        if (ks_failed(result) && claim->is_held) {
            let_go(quota, claim);
        }
        pthread_mutex_unlock(&quota->lock);
        claim->done(claim->user, result); /* it may be over when this returns */
        pthread_mutex_lock(&quota->lock);
    }
    if (passes) {
        entry->is_passing = false;
        forget_if_unused(quota, prefix);
    }
    pthread_mutex_unlock(&quota->lock);
}

void ks_quota_enter(struct ks_quota *quota, struct ks_quota_claim *claim)
{
    assert(!claim->is_held);

    struct ks_name prefix = claim->prefix;
    bool waits = false;
    pthread_mutex_lock(&quota->lock);
    ks_result result = hold(quota, claim);
    pthread_mutex_unlock(&quota->lock);
    bool was_held = !ks_failed(result);
    if (was_held) {
        result = look_now(quota, claim);
    }
    pthread_mutex_lock(&quota->lock);
    if (ks_failed(result) && was_held) {
        let_go(quota, claim);
    } else if (was_held && claim->is_near) {
        result = take_turn(quota, claim, &waits);
    }
    pthread_mutex_unlock(&quota->lock);
    if (!waits || ks_failed(result)) {
        claim->done(claim->user, result);
    }
    if (waits || ks_failed(result)) {
        pass_on(quota, &prefix);
    }
}

void ks_quota_leave(struct ks_quota *quota, struct ks_quota_claim *claim)
{
    struct ks_name prefix = claim->prefix;
    if (!claim->is_held) {
        return;
    }
    pthread_mutex_lock(&quota->lock);
    let_go(quota, claim);
    pthread_mutex_unlock(&quota->lock);
    pass_on(quota, &prefix);
}

void ks_quota_guard(const struct ks_quota_claim *claim, struct ks_change *change)
{
    struct ks_name name = ks_name_gate(&claim->prefix);
    ks_change_compare(change, ks_name_bytes(&name), claim->gate_revision);
    if (claim->is_near) {
        STORED(GateRecord) gate = STORED_NEW(GATE_RECORD);
        gate.format = KS_RECORD_FORMAT;
        ks_change_put(change, ks_name_bytes(&name), &gate.base);
    }
}

/* ---- The end ---- */

/* The first prefix for which a claim waits; false: there is none. */
static bool find_waiting(struct ks_quota *quota, struct ks_quota_claim **ret_claim)
{
    for (size_t i = 0; i < SLOTS; i++) {
        for (struct entry *entry = quota->slots[i]; entry; entry = entry->next) {
            if (entry->first) {
                *ret_claim = take_first(quota, entry);
                return true;
            }
        }
    }
    return false;
}

void ks_quota_close(struct ks_quota *quota)
{
    if (!quota) {
        return;
    }
    struct ks_quota_claim *claim;
    pthread_mutex_lock(&quota->lock);
    quota->is_closed = true;
    while (find_waiting(quota, &claim)) {
        pthread_mutex_unlock(&quota->lock);
        claim->done(claim->user, KS_RES(UNAVAILABLE));
        pthread_mutex_lock(&quota->lock);
    }
    pthread_mutex_unlock(&quota->lock);
}

void ks_quota_free(struct ks_quota *quota)
{
    if (!quota) {
        return;
    }
    for (size_t i = 0; i < SLOTS; i++) {
        while (quota->slots[i]) {
            struct entry *entry = quota->slots[i];
            assert(entry->held_count == 0 && !entry->first);
            quota->slots[i] = entry->next;
            ks_free(entry);
        }
    }
    pthread_mutex_destroy(&quota->lock);
    ks_free(quota);
}
