/*
 * authorize: decides whether a caller may do what a request asks for. Each resource that the
 * request touches is decided on with its own action, and the request is allowed if all of them are.
 *
 * Frontends decide so on the views that they have, keystores on their own records, by the same
 * function: a frontend's ALLOW alone opens nothing.
 *
 * Threads: pure; any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "pkg/authorize/facts.h"
#include "pkg/operation/check.h"

/* All borrowed for the call. */
struct ks_question {
    const struct ks_operation *operation;
    const struct ks_checked *checked; /* what the request says */
    const struct ks_home *home;       /* where it is decided */
    ks_bytes account;                 /* of the caller */
    ks_bytes principal;               /* its ARN */
    /*
     * checked->key_count of them, in the order of checked->keys: what is known of each key. One of
     * which nothing is known counts as a key that is not there: of the caller's own account it is
     * allowed, so that the caller is told that it is not there.
     */
    const struct ks_facts *keys;
};

/*
 * Returns whether everything that the request asks for is allowed. Every resource is decided on,
 * even when one is denied already.
 */
bool ks_authorize(const struct ks_question *question);
