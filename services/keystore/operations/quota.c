#include "services/keystore/operations/quota.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "pkg/arn/name.h"
#include "pkg/base/mem.h"
#include "services/keystore/records/name.h"

struct count {
    char account[KS_ACCOUNT_LEN + 1]; /* empty: free */
    size_t keys;
    int64_t counted_at_ms;
};

struct ks_quota {
    size_t keys_max;
    pthread_mutex_t lock;
    struct count
        counts[KS_QUOTA_ACCOUNTS]; /* an account has one place: another one takes it over */
};

struct ks_quota *ks_quota_new(size_t keys_max)
{
    struct ks_quota *quota = ks_alloc(1, sizeof(*quota));
    quota->keys_max = keys_max > 0 ? keys_max : KS_QUOTA_KEYS;
    pthread_mutex_init(&quota->lock, NULL);
    return quota;
}

void ks_quota_free(struct ks_quota *quota)
{
    if (quota) {
        pthread_mutex_destroy(&quota->lock);
        ks_free(quota);
    }
}

/* FNV-1a: account numbers are spread, and a clash only costs a count. */
static size_t place_of(const char *account)
{
    uint32_t hash = 2166136261U;
    for (const char *c = account; *c; c++) {
        hash = (hash ^ (uint8_t)*c) * 16777619U;
    }
    return hash % KS_QUOTA_ACCOUNTS;
}

static bool count_one(void *user, const struct ks_store_record *record)
{
    (void)record;
    size_t *count = user;
    (*count)++;
    return true;
}

static ks_result recount(const struct ks_store_view *view, const char *account, int64_t now_ms,
                         struct count *count)
{
    struct ks_name prefix = ks_name_keys(account);
    size_t keys = 0;
    KS_TRY(ks_store_scan(view, ks_name_bytes(&prefix), (ks_bytes){0}, count_one, &keys));
    *count = (struct count){.keys = keys, .counted_at_ms = now_ms};
    memcpy(count->account, account, sizeof(count->account));
    return KS_RES(OK);
}

/* A full account may have lost keys; but whoever asks again and again must not keep us counting. */
static bool is_old(const struct ks_quota *quota, const struct count *count, int64_t now_ms)
{
    bool full = count->keys >= quota->keys_max;
    int64_t age_ms = now_ms - count->counted_at_ms;
    return age_ms < 0 || age_ms > (full ? KS_QUOTA_FULL_RECOUNT_MS : KS_QUOTA_RECOUNT_MS);
}

static ks_result take(struct ks_quota *quota, const struct ks_store_view *view, const char *account,
                      int64_t now_ms)
{
    struct count *count = &quota->counts[place_of(account)];
    if (strcmp(count->account, account) != 0 || is_old(quota, count, now_ms)) {
        KS_TRY(recount(view, account, now_ms, count));
    }
    if (count->keys >= quota->keys_max) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    count->keys++;
    return KS_RES(OK);
}

ks_result ks_quota_take(struct ks_quota *quota, const struct ks_store_view *view,
                        const char *account, int64_t now_ms)
{
    assert(strlen(account) == KS_ACCOUNT_LEN);

    pthread_mutex_lock(&quota->lock);
    ks_result result = take(quota, view, account, now_ms);
    pthread_mutex_unlock(&quota->lock);
    return result;
}
