/*
 * identities: who may call: the accounts, users and client certificates of the control plane, as
 * one version that does not change. The next version is built from it and what has changed;
 * records that did not change are shared.
 *
 * A record that cannot be read counts as absent: that way nobody is let in by it.
 *
 * Threads: a version is read from any thread (pkg/rcu); drafts and next versions belong to the one
 * thread that publishes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/arn/name.h"
#include "pkg/base/bytes.h"
#include "pkg/base/result.h"

#define KS_IDENTITIES_MAX       4000000U /* records of a version; more are refused */
#define KS_IDENTITY_KEY_MAX     128U     /* bytes of a record's key */
#define KS_IDENTITY_USER_ID_MAX 64U

struct ks_identities;
struct ks_identity_draft;

/* What a record says, as far as it is needed to let a call in. A value that stays as it is. */
struct ks_identity {
    uint64_t hash; /* of key */
    bool deleted;  /* in drafts only */
    char account[KS_ACCOUNT_LEN + 1];
    char user[KS_USER_NAME_LEN_MAX + 1];       /* certificates */
    char user_id[KS_IDENTITY_USER_ID_MAX + 1]; /* users and certificates */
    int64_t not_after_ms;                      /* certificates */
    int64_t revoked_at_ms;                     /* certificates; 0: valid */
    char key[];                                /* "certificate/<serial>" */
};

/* A draft collects changes. Free with ks_identity_draft_free; NULL is fine. */
struct ks_identity_draft *ks_identity_draft_new(void);
void ks_identity_draft_free(struct ks_identity_draft *draft);

/*
 * Adds a record, or its deletion (value is not read then). Keys other than account/, user/ and
 * certificate/ are passed over. A later change of a key counts.
 * Fails: LIMIT_EXCEEDED (more than KS_IDENTITIES_MAX).
 */
KS_MUST_USE ks_result ks_identity_draft_add(struct ks_identity_draft *draft, ks_bytes key,
                                            ks_bytes value, bool deleted);

/*
 * The version after old (NULL: the first one): old with the draft's changes, or the draft alone if
 * `replace`. The draft is empty afterwards. What old alone holds goes with it: publish the answer
 * and let pkg/rcu free old with ks_identities_free.
 */
struct ks_identities *ks_identities_next(struct ks_identities *old, struct ks_identity_draft *draft,
                                         bool replace);

/* For ks_rcu_new: frees a version. NULL is fine. */
void ks_identities_free(void *ptr);

/* Counts from 1; a higher one is later. */
uint64_t ks_identities_number(const struct ks_identities *identities);
size_t ks_identities_count(const struct ks_identities *identities);

uint64_t ks_identity_hash(ks_bytes key);

/* The record under key, whose hash is given; NULL if there is none. Borrowed from the version. */
const struct ks_identity *ks_identities_find(const struct ks_identities *identities,
                                             const char *key, uint64_t hash);
