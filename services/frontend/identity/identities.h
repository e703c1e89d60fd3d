/*
 * identities: the accounts, users and client certificates of the control plane, which say who may
 * call. They are kept as a version, which never changes. When records change, the next version is
 * built from it; the two share the records that did not change.
 *
 * A record that cannot be read counts as absent, so that it lets no caller in.
 *
 * Threads: any thread reads a version (pkg/rcu); drafts and next versions belong to the one thread
 * that publishes.
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

/* What a record says, as far as it is needed to let a call in. It does not change once made. */
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

/* Makes an empty draft, which collects changes; never NULL. Free with ks_identity_draft_free. */
struct ks_identity_draft *ks_identity_draft_new(void);

/* Frees a draft. NULL is fine. */
void ks_identity_draft_free(struct ks_identity_draft *draft);

/*
 * Adds a record, or its deletion (value is not read then). Keys other than account/, user/ and
 * certificate/ are passed over. Of several changes of one key the last counts.
 * Fails: LIMIT_EXCEEDED (more than KS_IDENTITIES_MAX); the draft is unchanged then.
 */
KS_MUST_USE ks_result ks_identity_draft_add(struct ks_identity_draft *draft, ks_bytes key,
                                            ks_bytes value, bool deleted);

/*
 * Makes the version after old (NULL: the first one), which is old with the draft's changes, or the
 * draft alone if `replace`. Never NULL. The draft is empty afterwards. The new version takes over
 * the records that it shares with old; freeing old frees the others. So publish the new version,
 * and let pkg/rcu free old with ks_identities_free.
 */
struct ks_identities *ks_identities_next(struct ks_identities *old, struct ks_identity_draft *draft,
                                         bool replace);

/* For ks_rcu_new: frees a version. NULL is fine. */
void ks_identities_free(void *ptr);

/* Returns the version's number, which counts from 1: a later version has a higher one. */
uint64_t ks_identities_number(const struct ks_identities *identities);

/* Returns how many records the version has. */
size_t ks_identities_count(const struct ks_identities *identities);

/*
 * Returns the record under key, whose hash is ks_plain_hash of it (operators name accounts and users,
 * and control draws serials: no client chooses a key), borrowed from the version;
 * NULL if there is none.
 */
const struct ks_identity *ks_identities_find(const struct ks_identities *identities,
                                             const char *key, uint64_t hash);
