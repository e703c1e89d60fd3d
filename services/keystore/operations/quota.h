/*
 * quota: tells how many keys an account has, without counting them for each new one.
 *
 * An account's keys are counted on a worker's thread: the first time that it makes a key, and anew
 * when the count is old. The worker counts all accounts that wait in turn, KS_QUOTA_STEP keys of
 * each at a time, so that an account with many keys does not delay one with few.
 *
 * The limit is soft: each keystore counts for itself, and sees only when it counts anew what the
 * other keystores have made or destroyed. It does no harm when an account passes 100,000 by a few
 * keys.
 *
 * Threads: ks_quota_take from any, and it never waits: a mutex is held for a few instructions.
 * ks_quota_run on a worker's.
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
#define KS_QUOTA_COUNTING_MAX    256U    /* accounts that are being counted at a time */
#define KS_QUOTA_WAITING_MAX     8192U   /* calls that wait for a count; more are refused */
#define KS_QUOTA_SHARE_MAX       512U    /* of them, those of one account: others find room */
#define KS_QUOTA_STEP            1000U   /* keys of an account that are counted in its turn */

struct ks_quota;
struct ks_worker;

struct ks_quota_options {
    struct ks_store *store;   /* borrowed */
    size_t keys_max;          /* keys of an account; 0: KS_QUOTA_KEYS */
    struct ks_worker *worker; /* runs ks_quota_run; poked when there is something to count */
};

/* Makes a quota that has counted nothing yet; never NULL. Free with ks_quota_free. */
struct ks_quota *ks_quota_new(const struct ks_quota_options *options);

/* Answers every call that still waits with UNAVAILABLE, and frees the quota. NULL is fine. */
void ks_quota_free(struct ks_quota *quota);

/*
 * Asks whether the account may have one more key. On OK it is counted as if that key were made.
 * done is called exactly once: on this thread before this returns if the count is known, otherwise
 * later on the worker's thread. Its result is OK, LIMIT_EXCEEDED (the account is full), CORRUPT
 * (the copy cannot be read), THROTTLED (KS_QUOTA_SHARE_MAX calls of this account wait for its
 * count), or UNAVAILABLE (too many calls wait for a count, the copy is not loaded, or the process
 * ends).
 *
 * account  KS_ACCOUNT_LEN digits; copied.
 * now_ms   wall time.
 */
void ks_quota_take(struct ks_quota *quota, const char *account, int64_t now_ms,
                   void (*done)(void *user, ks_result result), void *user);

/*
 * The worker's function: counts until no call waits. user is the struct ks_quota; worker NULL: a
 * test calls it.
 */
void ks_quota_run(void *user, struct ks_worker *worker);
