/*
 * pending: a mutation between ks_store_commit and its answer.
 *
 * Threads: the thread that calls ks_store_commit makes it; from then on it is the store's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/store/engine/inbox.h"
#include "pkg/store/store.h"

/* The outcome is borrowed during the call. */
typedef void ks_pending_done(void *user, const struct ks_store_outcome *outcome);

struct ks_pending {
    struct ks_message message;
    struct ks_store_mutation mutation; /* its bytes lie behind this struct */
    int64_t deadline_ns;
    ks_pending_done *done; /* NULL once it was called */
    void *user;
    ks_code early;           /* not OK: it is answered with this at once, and nothing is done */
    size_t len;              /* bytes of all keys and values */
    struct ks_pending *next; /* in a ks_pending_list */
};

/*
 * Returns a copy of the mutation, with all its bytes; never NULL. One that breaks a limit of
 * store.h has early LIMIT_EXCEEDED. The caller owns it, and frees it by answering it.
 */
struct ks_pending *ks_pending_new(const struct ks_store_mutation *mutation);

/* Returns one that carries no mutation and is to be answered with code. Never NULL. */
struct ks_pending *ks_pending_refused(ks_code code);

/* Calls done, unless it was called before, and frees it. */
void ks_pending_answer(struct ks_pending *pending, const struct ks_store_outcome *outcome);

/* A queue; the zero value is empty. */
struct ks_pending_list {
    struct ks_pending *first;
    struct ks_pending *last;
    size_t count;
};

/* Appends it; the list owns it until it is popped. */
void ks_pending_push(struct ks_pending_list *list, struct ks_pending *pending);

/* Takes the first one out, which is then the caller's. NULL: the list is empty. */
struct ks_pending *ks_pending_pop(struct ks_pending_list *list);
