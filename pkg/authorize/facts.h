/*
 * facts: what is known of a key when something is decided about it, as a list of names and values,
 * with the version of the records that they come from (internal.v1.View). Routing and caches carry
 * both as bytes; only this folder and the keystore, which makes them, look inside.
 *
 * Threads: pure; any.
 */
#pragma once

#include <stddef.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/policy/policy.h"

#define KS_FACTS_MAX 64U /* of one key: a fact for each of 50 tags, and what the record says */

/* Facts that are no condition keys. Condition keys have a colon in them. */
#define KS_FACT_KEY_ARN    "arn"
#define KS_FACT_KEY_POLICY "policy" /* absent: the default policy */

/* What is known about one key that a request names. Borrowed. */
struct ks_view {
    ks_bytes version; /* empty: the identifier names nothing */
    ks_bytes facts;   /* elements of internal.v1.View.facts, as they stand in a message */
    int64_t revision; /* ItemResult.view_revision: of two views of a name the higher one is newer */
};

/* The same, taken apart. Borrowed from the view. */
struct ks_facts {
    struct ks_policy_fact items[KS_FACTS_MAX];
    size_t count;
};

/*
 * Takes the facts of a view apart.
 * Fails: VALIDATION (no list of facts, or too many); ret_facts is unspecified then.
 */
KS_MUST_USE ks_result ks_facts_read(ks_bytes facts, struct ks_facts *ret_facts);

/* Returns the first value of that key; empty if there is none. */
ks_bytes ks_facts_find(const struct ks_facts *facts, const char *key);

/* Appends a fact. Fails: LIMIT_EXCEEDED (KS_FACTS_MAX are there; the list is unchanged). */
KS_MUST_USE ks_result ks_facts_add(struct ks_facts *facts, const struct ks_policy_fact *fact);
