/*
 * identities: the accounts, users and client certificates of the control plane, which say who may
 * call. They are kept as a version, which never changes. When records change, the next version is
 * built from it; the two share the records that did not change.
 *
 * A record that cannot be read, or is of a kind that this program does not know, lets no caller in: it
 * is not found. It is kept all the same, because the sum of the set stands for it, too.
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
#include "pkg/signedset/sum.h"

#define KS_IDENTITIES_MAX         20000000U /* changes in a draft, about 5 GB; more are refused */
#define KS_IDENTITY_KEY_MAX       128U      /* bytes of the key of a record that is found */
#define KS_IDENTITY_OTHER_KEY_MAX 400U      /* bytes of any record's key */
#define KS_IDENTITY_USER_ID_MAX   64U

struct ks_identities;
struct ks_identity_draft;

/* What a record says, as far as it is needed to let a call in. It does not change once made. */
struct ks_identity {
    uint64_t hash; /* of key */
    bool deleted;  /* in drafts only */
    bool opaque;   /* it is kept for the sum alone */
    struct ks_set_leaf leaf;
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
 * Adds a record with the revision of its last change, or its deletion (value is {NULL, 0}). Of
 * several changes of one key the last counts.
 * Fails: LIMIT_EXCEEDED (more than KS_IDENTITIES_MAX), VALIDATION (a key of no bytes or too many),
 * INTERNAL (OpenSSL); the draft is unchanged then.
 */
KS_MUST_USE ks_result ks_identity_draft_add(struct ks_identity_draft *draft,
                                            struct ks_crypto *crypto, ks_bytes key, ks_bytes value,
                                            int64_t revision);

/* Decides by the sum of a version that is about to be made whether it is to be. */
struct ks_identity_judge {
    struct ks_crypto *crypto;
    bool (*accepts)(void *user, const struct ks_set_sum *sum);
    void *user;
};

/*
 * Makes the version after old (NULL: the first one), which is old with the draft's changes, or the
 * draft alone if `replace`. The draft is empty afterwards. Returns NULL if the judge does not accept
 * the version, or if OpenSSL fails; old is unchanged then.
 *
 * The new version takes over the records that it shares with old; freeing old frees the others. So
 * publish the new version, and let pkg/rcu free old with ks_identities_free.
 */
struct ks_identities *ks_identities_next(struct ks_identities *old, struct ks_identity_draft *draft,
                                         bool replace, const struct ks_identity_judge *judge);

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
