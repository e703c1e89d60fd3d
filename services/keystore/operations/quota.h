/*
 * quota: how many keys an account has, without counting them each time.
 *
 * A soft limit: several keystores count each for themselves, and what others made since is seen
 * when the count is made anew. To pass 100,000 by a few costs nobody anything.
 *
 * Threads: any; guarded by a mutex, held for a few instructions, or while one account is counted.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/result.h"
#include "pkg/store/store.h"

#define KS_QUOTA_KEYS            100000U /* of an account in a region (AWS KMS quotas) */
#define KS_QUOTA_ALIASES         50U     /* of a key (AWS KMS quotas) */
#define KS_QUOTA_ACCOUNTS        1024U   /* remembered */
#define KS_QUOTA_RECOUNT_MS      600000  /* a count older than this is made anew */
#define KS_QUOTA_FULL_RECOUNT_MS 1000    /* the same for an account that is full */

struct ks_quota;

/* keys_max 0: KS_QUOTA_KEYS. Free with ks_quota_free. */
struct ks_quota *ks_quota_new(size_t keys_max);
void ks_quota_free(struct ks_quota *quota);

/*
 * Whether the account may have one more key; it is counted as if it were made.
 * Fails: LIMIT_EXCEEDED, CORRUPT (the view cannot be read).
 */
KS_MUST_USE ks_result ks_quota_take(struct ks_quota *quota, const struct ks_store_view *view,
                                    const char *account, int64_t now_ms);
