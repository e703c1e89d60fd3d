/*
 * quota: lets a prefix have so many records and no more, exactly, on all keystores together.
 *
 * The store's index says how many records there are (ks_store_prefix). What it can't know are those
 * that are being made: in this keystore and in others. So a call that is to add a record holds a
 * claim on the prefix from before it looks at the count until it is answered, and there is a gate,
 * a record that has no content, only a revision:
 *
 *   far from the limit  at most KS_QUOTA_SHARE claims are held by a keystore; the mutation compares
 *                       the gate
 *   near it             one claim is held by a keystore, the others wait for their turn; the
 *                       mutation compares the gate and puts it
 *
 * "Near" begins KS_QUOTA_MARGIN records before the limit, as many as all keystores' claims can add.
 * So those that were made far from the limit never reach it. The first that is made near it puts
 * the gate, which makes every mutation fail that has looked at the count before: one that is made
 * near the limit has counted every other one. Where the gate is put, mutations of one prefix follow
 * each other one by one; elsewhere they don't meet.
 *
 * One thing can come on top: a mutation whose outcome stayed unknown until its caller was answered
 * UNAVAILABLE, and which etcd carries out still later. The margin is far more than there are.
 *
 * Threads: any, and nothing waits: a mutex is held for a few instructions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/result.h"
#include "pkg/record/change.h"
#include "pkg/store/store.h"
#include "services/keystore/records/name.h"

#define KS_QUOTA_KEYS        100000U /* of an account in a region (AWS KMS quotas) */
#define KS_QUOTA_ALIASES     50U     /* of a key (AWS KMS quotas) */
#define KS_QUOTA_SHARE       512U    /* claims of one prefix that are held, or wait, at a time */
#define KS_QUOTA_WAITING_MAX 8192U   /* claims that wait for their turn; more are refused */
#define KS_QUOTA_MARGIN      (KS_STORE_KEYSTORES_MAX * KS_QUOTA_SHARE)

struct ks_quota;

/* One call's claim. It lies in the call's memory, and the quota has it until ks_quota_leave. */
struct ks_quota_claim {
    /* Filled by the caller. */
    struct ks_name prefix; /* one that the store's index keeps */
    uint64_t limit;        /* records that it may have */
    void (*done)(void *user, ks_result result);
    void *user;

    /* Filled by ks_quota_enter and ks_quota_look. */
    int64_t newest;        /* what a refusal rests on */
    int64_t gate_revision; /* 0: there is no gate */
    bool is_near;

    /* Used by this module only. */
    bool is_held;
    struct ks_quota_claim *next;
};

/*
 * Makes a quota; never NULL. store is borrowed. keys_max is how many keys an account may have; 0:
 * KS_QUOTA_KEYS. Free with ks_quota_free.
 */
struct ks_quota *ks_quota_new(struct ks_store *store, uint64_t keys_max);

/*
 * Answers every claim that waits with UNAVAILABLE, and each that comes later: to be called before
 * the store is freed. Claims that are held may still be left. NULL is fine.
 */
void ks_quota_close(struct ks_quota *quota);

/* Frees a quota of which no claim is held. NULL is fine. */
void ks_quota_free(struct ks_quota *quota);

/* Returns how many keys an account may have. */
uint64_t ks_quota_keys_max(const struct ks_quota *quota);

/*
 * Takes a claim, and looks whether there is room for one more record. done is called exactly once:
 * before this returns, or when the claim's turn has come, on the thread that ends the turn before
 * it. Its result is
 *   OK              the claim is held: add ks_quota_guard to the mutation, and leave in the end
 *   LIMIT_EXCEEDED  the prefix is full, as claim->newest says
 *   THROTTLED       KS_QUOTA_SHARE claims of this prefix are held, or wait
 *   UNAVAILABLE     too many claims wait, the store can't serve, or the process ends
 *   CORRUPT, INTERNAL  the copy can't be read
 * After a failure nothing is held.
 */
void ks_quota_enter(struct ks_quota *quota, struct ks_quota_claim *claim);

/*
 * Looks again, for another try of a call whose claim is held, on a view that is newer than the
 * claim. Fails: LIMIT_EXCEEDED (claim->newest is filled), CORRUPT, INTERNAL. The claim stays held.
 */
KS_MUST_USE ks_result ks_quota_look(const struct ks_store_view *view, struct ks_quota_claim *claim);

/* Adds to the change what makes it fail if the count may have become wrong since it was looked at. */
void ks_quota_guard(const struct ks_quota_claim *claim, struct ks_change *change);

/*
 * Gives the claim up, once the call is answered; one that is not held is fine. A claim that waits
 * then has its turn, and its `done` is called within this call.
 */
void ks_quota_leave(struct ks_quota *quota, struct ks_quota_claim *claim);
