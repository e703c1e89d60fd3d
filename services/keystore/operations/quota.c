#include "services/keystore/operations/quota.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "pkg/arn/name.h"
#include "pkg/base/mem.h"
#include "services/keystore/records/name.h"
#include "services/keystore/worker/worker.h"

/* What is known of an account. */
struct count {
    char account[KS_ACCOUNT_LEN + 1]; /* empty: the place is free */
    size_t keys;
    int64_t counted_at_ms;
};

/* A call that waits until its account is counted. */
struct waiting {
    struct waiting *next;
    ks_result result; /* once it is counted */
    void (*done)(void *user, ks_result result);
    void *user;
};

/* An account that is being counted. */
struct counting {
    struct counting *next;
    char account[KS_ACCOUNT_LEN + 1];
    int64_t now_ms;        /* of the first call that waits */
    struct waiting *first; /* guarded by the lock */
    struct waiting *last;  /* guarded by the lock */
    size_t waiting_count;  /* guarded by the lock */

    /* The worker's. */
    struct ks_name after; /* the last key that was counted */
    size_t keys;
    size_t step; /* keys counted in this turn */
};

struct ks_quota {
    struct ks_quota_options options;
    pthread_mutex_t lock; /* guards all below */
    struct counting *first;
    struct counting *last;
    size_t counting_count;
    size_t waiting_count;
    struct count counts[KS_QUOTA_ACCOUNTS]; /* an account has one place; another one takes it */
};

struct ks_quota *ks_quota_new(const struct ks_quota_options *options)
{
    assert(options->store && options->worker);

    struct ks_quota *quota = ks_alloc(1, sizeof(*quota));
    quota->options = *options;
    if (quota->options.keys_max == 0) {
        quota->options.keys_max = KS_QUOTA_KEYS;
    }
    pthread_mutex_init(&quota->lock, NULL);
    return quota;
}

/* With the lock */

/* FNV-1a: account numbers are spread, and a clash only costs a count. */
static struct count *count_of(struct ks_quota *quota, const char *account)
{
    uint32_t hash = 2166136261U;
    for (const char *c = account; *c; c++) {
        hash = (hash ^ (uint8_t)*c) * 16777619U;
    }
    return &quota->counts[hash % KS_QUOTA_ACCOUNTS];
}

/* A full account may have lost keys; but one that asks again and again must not keep us counting. */
static bool is_known(const struct ks_quota *quota, const struct count *count, const char *account,
                     int64_t now_ms)
{
    bool full = count->keys >= quota->options.keys_max;
    int64_t age_ms = now_ms - count->counted_at_ms;
    return strcmp(count->account, account) == 0 && age_ms >= 0 &&
           age_ms <= (full ? KS_QUOTA_FULL_RECOUNT_MS : KS_QUOTA_RECOUNT_MS);
}

static ks_result take_one(const struct ks_quota *quota, size_t *keys)
{
    if (*keys >= quota->options.keys_max) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    (*keys)++;
    return KS_RES(OK);
}

static void add_last(struct ks_quota *quota, struct counting *counting)
{
    *(quota->last ? &quota->last->next : &quota->first) = counting;
    quota->last = counting;
}

/* The account's turn, made if it has none. Returns NULL when too many are counted already. */
static struct counting *counting_of(struct ks_quota *quota, const char *account, int64_t now_ms)
{
    struct counting *counting = quota->first;
    while (counting && strcmp(counting->account, account) != 0) {
        counting = counting->next;
    }
    if (counting || quota->counting_count == KS_QUOTA_COUNTING_MAX) {
        return counting;
    }
    counting = ks_alloc(1, sizeof(*counting));
    memcpy(counting->account, account, sizeof(counting->account));
    counting->now_ms = now_ms;
    add_last(quota, counting);
    quota->counting_count++;
    return counting;
}

/*
 * Lets a call wait. Fails: THROTTLED (too many of its account's wait already: it alone is told, and
 * the keystore stays in use for others), UNAVAILABLE (too many of all).
 */
static ks_result wait_for_count(struct ks_quota *quota, const char *account, int64_t now_ms,
                                const struct waiting *call)
{
    struct counting *counting =
        quota->waiting_count == KS_QUOTA_WAITING_MAX ? NULL : counting_of(quota, account, now_ms);
    if (!counting) {
        return KS_RES(UNAVAILABLE);
    }
    if (counting->waiting_count == KS_QUOTA_SHARE_MAX) {
        return KS_RES(THROTTLED);
    }
    struct waiting *waiting = ks_alloc(1, sizeof(*waiting));
    *waiting = *call;
    *(counting->last ? &counting->last->next : &counting->first) = waiting;
    counting->last = waiting;
    counting->waiting_count++;
    quota->waiting_count++;
    return KS_RES(OK);
}

/* Takes the account whose turn it is off the list. */
static struct counting *take_first(struct ks_quota *quota)
{
    struct counting *counting = quota->first;
    quota->first = counting->next;
    quota->last = quota->first ? quota->last : NULL;
    counting->next = NULL;
    return counting;
}

/* Remembers the count; of the calls that wait, those that came first get what is left. */
static void settle(struct ks_quota *quota, struct counting *counting, ks_result counted)
{
    size_t keys = counting->keys;
    for (struct waiting *waiting = counting->first; waiting; waiting = waiting->next) {
        waiting->result = ks_failed(counted) ? counted : take_one(quota, &keys);
        quota->waiting_count--;
    }
    quota->counting_count--;
    if (!ks_failed(counted)) {
        struct count *count = count_of(quota, counting->account);
        *count = (struct count){.keys = keys, .counted_at_ms = counting->now_ms};
        memcpy(count->account, counting->account, sizeof(count->account));
    }
}

/* Taking */

void ks_quota_take(struct ks_quota *quota, const char *account, int64_t now_ms,
                   void (*done)(void *user, ks_result result), void *user)
{
    assert(strlen(account) == KS_ACCOUNT_LEN);

    const struct waiting call = {.done = done, .user = user};
    pthread_mutex_lock(&quota->lock);
    struct count *count = count_of(quota, account);
    bool known = is_known(quota, count, account, now_ms);
    ks_result result =
        known ? take_one(quota, &count->keys) : wait_for_count(quota, account, now_ms, &call);
    bool waits = !known && !ks_failed(result);
    pthread_mutex_unlock(&quota->lock);
    if (waits) {
        ks_worker_poke(quota->options.worker);
    } else {
        done(user, result);
    }
}

/* Counting */

static bool count_one(void *user, const struct ks_store_record *record)
{
    struct counting *counting = user;
    assert(record->key.len < sizeof(counting->after.text));
    counting->keys++;
    counting->step++;
    memcpy(counting->after.text, record->key.ptr, record->key.len);
    counting->after.text[record->key.len] = '\0';
    counting->after.len = record->key.len;
    return counting->step < KS_QUOTA_STEP;
}

/*
 * Counts some more keys of an account. Each step looks at the copy of its moment: keys that come
 * and go meanwhile make the count inexact by as many, and no view is held for long.
 * Fails: UNAVAILABLE (nothing was loaded yet), CORRUPT.
 */
static ks_result count_step(const struct ks_quota *quota, struct counting *counting,
                            bool *ret_whole)
{
    KS_STORE_VIEW_AUTO view = {0};
    KS_TRY(ks_store_peek(quota->options.store, &view));
    struct ks_name prefix = ks_name_keys(counting->account);
    struct ks_name after = counting->after;
    counting->step = 0;
    KS_TRY(
        ks_store_scan(&view, ks_name_bytes(&prefix), ks_name_bytes(&after), count_one, counting));
    *ret_whole = counting->step < KS_QUOTA_STEP;
    return KS_RES(OK);
}

/* Answers the calls that waited for the account, without the lock: they go on from here. */
static void answer(struct counting *counting)
{
    while (counting->first) {
        struct waiting *waiting = counting->first;
        counting->first = waiting->next;
        waiting->done(waiting->user, waiting->result);
        ks_free(waiting);
    }
    ks_free(counting);
}

/* Some more of the account whose turn it is. Returns false when there is nothing to count. */
static bool step(struct ks_quota *quota)
{
    pthread_mutex_lock(&quota->lock);
    struct counting *counting = quota->first;
    pthread_mutex_unlock(&quota->lock);
    if (!counting) {
        return false;
    }
    bool whole = false;
    ks_result counted = count_step(quota, counting, &whole);
    bool over = ks_failed(counted) || whole;
    pthread_mutex_lock(&quota->lock);
    (void)take_first(quota);
    if (over) {
        settle(quota, counting, counted);
    } else {
        add_last(quota, counting);
    }
    pthread_mutex_unlock(&quota->lock);
    if (over) {
        answer(counting);
    }
    return true;
}

void ks_quota_run(void *user, struct ks_worker *worker)
{
    while (!(worker && ks_worker_is_stopping(worker)) && step(user)) {
    }
}

void ks_quota_free(struct ks_quota *quota)
{
    if (!quota) {
        return;
    }
    while (quota->first) {
        struct counting *counting = take_first(quota);
        settle(quota, counting, KS_RES(UNAVAILABLE));
        answer(counting);
    }
    pthread_mutex_destroy(&quota->lock);
    ks_free(quota);
}
