#include "pkg/store/log/queue.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/hash.h"
#include "pkg/base/mem.h"

#define NAME_LEN_MAX    31U
#define SLOTS           256U  /* of the table of accounts */
#define PLACES          8192U /* for keys that are being changed: two groups have 3400 at most */
#define NUMBERS         64U /* groups whose keys are remembered; the copy is not that far behind */
#define PASSED_OVER_MAX 64U /* mutations that don't fit a group before it is taken as it is */
#define UNDER_WAY       INT64_MAX

/* The mutations of one account. */
struct account {
    struct account *next;      /* whose turn is next */
    struct account *slot_next; /* in the same slot */
    char name[NAME_LEN_MAX + 1];
    struct ks_pending_list waiting;
    struct ks_pending_list left; /* that this fill has passed over; they come before waiting */
    bool was_served;
};

/* A key that a group changes. */
struct place {
    uint64_t hash;
    uint64_t number; /* of the group; 0: free */
};

struct ks_queue {
    size_t count;
    struct account *first;
    struct account *last;
    struct account *slots[SLOTS];
    uint64_t newest_number;
    int64_t applied;        /* by the copy, at the last fill */
    int64_t until[NUMBERS]; /* a group's keys are busy before the copy has applied this */
    struct place places[PLACES];
};

struct ks_queue *ks_queue_new(void)
{
    return ks_alloc(1, sizeof(struct ks_queue));
}

void ks_queue_free(struct ks_queue *queue)
{
    assert(!queue || queue->count == 0);
    ks_free(queue);
}

size_t ks_queue_count(const struct ks_queue *queue)
{
    return queue->count;
}

/* ---- Accounts ---- */

/* The second part of a record's key, which is the account for all records that have one. */
static ks_bytes second_part(ks_bytes key)
{
    size_t from = 0;
    while (from < key.len && key.ptr[from] != '/') {
        from++;
    }
    from += from < key.len;
    size_t to = from;
    while (to < key.len && key.ptr[to] != '/') {
        to++;
    }
    return (ks_bytes){key.ptr + from, to - from};
}

static ks_bytes account_of(const struct ks_pending *pending)
{
    const struct ks_store_mutation *mutation = &pending->mutation;
    ks_bytes key = mutation->request_key;
    if (key.len == 0 && mutation->op_count > 0) {
        key = mutation->ops[0].key;
    } else if (key.len == 0 && mutation->prefix_count > 0) {
        key = mutation->prefixes[0];
    }
    ks_bytes name = second_part(key);
    return (ks_bytes){name.ptr, name.len < NAME_LEN_MAX ? name.len : NAME_LEN_MAX};
}

static void append(struct ks_queue *queue, struct account *account)
{
    account->next = NULL;
    *(queue->last ? &queue->last->next : &queue->first) = account;
    queue->last = account;
}

static struct account *find_account(struct ks_queue *queue, ks_bytes name)
{
    struct account **place = &queue->slots[ks_plain_hash(name) % SLOTS];
    while (*place && !ks_bytes_equal(ks_bytes_of((*place)->name), name)) {
        place = &(*place)->slot_next;
    }
    if (!*place) {
        struct account *account = ks_alloc(1, sizeof(*account));
        if (name.len > 0) {
            memcpy(account->name, name.ptr, name.len);
        }
        *place = account;
        append(queue, account);
    }
    return *place;
}

static void free_account(struct ks_queue *queue, struct account *account)
{
    struct account **place = &queue->slots[ks_plain_hash(ks_bytes_of(account->name)) % SLOTS];
    while (*place != account) {
        place = &(*place)->slot_next;
    }
    *place = account->slot_next;
    ks_free(account);
}

/* What was passed over keeps its place before what has not been looked at. */
static void put_back(struct account *account)
{
    struct ks_pending *pending;
    while ((pending = ks_pending_pop(&account->waiting)) != NULL) {
        ks_pending_push(&account->left, pending);
    }
    account->waiting = account->left;
    account->left = (struct ks_pending_list){.count = 0};
}

/* Those that had no turn come before those that had one; empty ones go. */
static void rotate(struct ks_queue *queue)
{
    struct account *all = queue->first;
    struct account *served = NULL;
    struct account **served_last = &served;
    queue->first = NULL;
    queue->last = NULL;
    while (all) {
        struct account *account = all;
        all = account->next;
        put_back(account);
        account->next = NULL;
        if (account->waiting.count == 0) {
            free_account(queue, account);
        } else if (account->was_served) {
            account->was_served = false;
            *served_last = account;
            served_last = &account->next;
        } else {
            append(queue, account);
        }
    }
    while (served) {
        struct account *account = served;
        served = account->next;
        append(queue, account);
    }
}

void ks_queue_push(struct ks_queue *queue, struct ks_pending *pending)
{
    ks_pending_push(&find_account(queue, account_of(pending))->waiting, pending);
    queue->count++;
}

/* ---- Keys that are being changed ---- */

static void mark(struct ks_queue *queue, ks_bytes key, uint64_t number)
{
    uint64_t hash = ks_plain_hash(key);
    queue->places[hash % PLACES] = (struct place){hash, number};
}

static void mark_changes(struct ks_queue *queue, const struct ks_pending *pending, uint64_t number)
{
    const struct ks_store_mutation *mutation = &pending->mutation;
    for (size_t i = 0; i < mutation->op_count; i++) {
        mark(queue, mutation->ops[i].key, number);
    }
    if (mutation->request_key.len > 0) {
        mark(queue, mutation->request_key, number);
    }
}

static bool is_busy(const struct ks_queue *queue, ks_bytes key, int64_t applied)
{
    uint64_t hash = ks_plain_hash(key);
    const struct place *place = &queue->places[hash % PLACES];
    return place->number > 0 && place->hash == hash &&
           place->number + NUMBERS > queue->newest_number &&
           queue->until[place->number % NUMBERS] > applied;
}

static bool touches_busy(const struct ks_queue *queue, const struct ks_pending *pending,
                         int64_t applied)
{
    const struct ks_store_mutation *mutation = &pending->mutation;
    for (size_t i = 0; i < mutation->compare_count; i++) {
        if (is_busy(queue, mutation->compares[i].key, applied)) {
            return true;
        }
    }
    for (size_t i = 0; i < mutation->op_count; i++) {
        if (is_busy(queue, mutation->ops[i].key, applied)) {
            return true;
        }
    }
    return mutation->request_key.len > 0 && is_busy(queue, mutation->request_key, applied);
}

void ks_queue_done(struct ks_queue *queue, uint64_t number, int64_t revision)
{
    if (number + NUMBERS > queue->newest_number) {
        queue->until[number % NUMBERS] = revision;
    }
}

/* ---- Filling a group ---- */

enum look { LOOKS_GOOD, LOOKS_STALE, CANNOT_HOLD };

/*
 * What the copy, which may be old, says of a mutation: that a compare can't hold; that a compare may
 * not hold, or the request was done before; or nothing against it.
 */
static enum look look_at(const struct ks_queue_copy *copy, const struct ks_pending *pending)
{
    const struct ks_store_mutation *mutation = &pending->mutation;
    enum look look = LOOKS_GOOD;
    if (mutation->request_key.len > 0 && copy->revision_of(copy->user, mutation->request_key) > 0) {
        return LOOKS_STALE;
    }
    for (size_t i = 0; i < mutation->compare_count; i++) {
        int64_t revision = copy->revision_of(copy->user, mutation->compares[i].key);
        if (revision > mutation->compares[i].revision) {
            return CANNOT_HOLD;
        }
        look = revision == mutation->compares[i].revision ? look : LOOKS_STALE;
    }
    return look;
}

/* The first member decides which form the group has; those that need the other one wait. */
static enum ks_group_add add_member(struct ks_group *group, struct ks_pending *pending,
                                    bool needs_care)
{
    needs_care = needs_care || ks_group_is_shielded(group);
    if (ks_group_count(group) == 0 && needs_care) {
        ks_group_make_careful(group);
    }
    if (needs_care != ks_group_is_careful(group)) {
        return KS_GROUP_NOT_NOW;
    }
    return ks_group_add(group, pending);
}

/* A group while it is filled. */
struct filling {
    struct ks_queue *queue;
    const struct ks_queue_copy *copy;
    struct ks_group *group;
    size_t passed_over; /* that did not fit */
    ks_queue_refuse *refuse;
    void *user;
};

static void refuse_one(struct filling *filling, struct ks_pending *pending, ks_code code)
{
    filling->queue->count--;
    filling->refuse(filling->user, pending, code);
}

/* Returns whether it went into the group. It is refused, or left, otherwise. */
static bool try_one(struct filling *filling, struct account *account, struct ks_pending *pending)
{
    struct ks_queue *queue = filling->queue;
    if (touches_busy(queue, pending, filling->copy->applied)) {
        ks_pending_push(&account->left, pending);
        return false;
    }
    enum look look = look_at(filling->copy, pending);
    if (look == CANNOT_HOLD) {
        refuse_one(filling, pending, KS_CONFLICT);
        return false;
    }
    enum ks_group_add added = add_member(filling->group, pending, look == LOOKS_STALE);
    if (added == KS_GROUP_ADDED) {
        mark_changes(queue, pending, queue->newest_number);
        queue->count--;
    } else if (added == KS_GROUP_NOT_NOW) {
        ks_pending_push(&account->left, pending);
        filling->passed_over++;
    } else {
        refuse_one(filling, pending, KS_LIMIT_EXCEEDED);
    }
    return added == KS_GROUP_ADDED;
}

static bool is_over(const struct filling *filling)
{
    return ks_group_count(filling->group) == KS_GROUP_MEMBERS_MAX ||
           filling->passed_over >= PASSED_OVER_MAX;
}

/* An account's turn: one mutation, if one can go. Returns whether one has gone. */
static bool take_turn(struct filling *filling, struct account *account)
{
    struct ks_pending *pending;
    while (!is_over(filling) && (pending = ks_pending_pop(&account->waiting)) != NULL) {
        if (try_one(filling, account, pending)) {
            account->was_served = true;
            return true;
        }
    }
    return false;
}

uint64_t ks_queue_fill(struct ks_queue *queue, const struct ks_queue_copy *copy,
                       struct ks_group *group, ks_queue_refuse *refuse, void *user)
{
    struct filling filling = {queue, copy, group, 0, refuse, user};
    uint64_t number = ++queue->newest_number;
    if (copy->applied <
        queue->applied) { /* it is of another history: no revision comes as it was */
        memset(queue->until, 0, sizeof(queue->until));
    }
    queue->applied = copy->applied;
    queue->until[number % NUMBERS] = UNDER_WAY;
    for (bool goes_on = true; goes_on;) {
        goes_on = false;
        for (struct account *account = queue->first; account; account = account->next) {
            goes_on = take_turn(&filling, account) || goes_on;
        }
    }
    rotate(queue);
    if (ks_group_count(group) == 0) { /* the number is taken again, so that no other one ages */
        ks_queue_done(queue, number, 0);
        queue->newest_number--;
    }
    return number;
}

void ks_queue_expire(struct ks_queue *queue, int64_t now_ns, ks_queue_refuse *refuse, void *user)
{
    for (struct account *account = queue->first; account; account = account->next) {
        struct ks_pending *pending;
        while ((pending = ks_pending_pop(&account->waiting)) != NULL) {
            if (now_ns >= pending->deadline_ns) {
                queue->count--;
                refuse(user, pending, KS_UNAVAILABLE);
            } else {
                ks_pending_push(&account->left, pending);
            }
        }
    }
    rotate(queue);
}
