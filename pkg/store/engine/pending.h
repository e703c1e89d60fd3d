/*
 * pending: a mutation between ks_store_commit and its answer.
 *
 * Threads: made by the caller's thread, then the store's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/store/engine/inbox.h"
#include "pkg/store/store.h"

typedef void ks_pending_done(void *user, const struct ks_store_outcome *outcome);

struct ks_pending {
    struct ks_message message;
    struct ks_store_mutation mutation; /* its bytes stand behind this struct */
    int64_t deadline_ns;
    ks_pending_done *done; /* NULL once it was called */
    void *user;
    ks_code early;           /* OK; else what it is answered with at once */
    size_t len;              /* bytes of all keys and values */
    struct ks_pending *next; /* in a ks_pending_list */
};

/*
 * A copy of everything. A mutation that breaks a limit of store.h has early LIMIT_EXCEEDED.
 * Free by answering it.
 */
struct ks_pending *ks_pending_new(const struct ks_store_mutation *mutation);

/* One that is answered with code and carries no mutation. */
struct ks_pending *ks_pending_refused(ks_code code);

/* Calls done, if it was not called before, and frees. */
void ks_pending_answer(struct ks_pending *pending, const struct ks_store_outcome *outcome);

/* A queue; the zero value is empty. */
struct ks_pending_list {
    struct ks_pending *first;
    struct ks_pending *last;
    size_t count;
};

void ks_pending_push(struct ks_pending_list *list, struct ks_pending *pending);

/* NULL when empty. */
struct ks_pending *ks_pending_pop(struct ks_pending_list *list);
