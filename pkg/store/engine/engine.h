/*
 * engine: what a store is made of, and what its two engines have in common. Private to pkg/store.
 *
 * Threads: as each field says.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pkg/store/copy/copy.h"
#include "pkg/store/copy/folder.h"
#include "pkg/store/engine/cell_clock.h"
#include "pkg/store/engine/inbox.h"
#include "pkg/store/engine/pending.h"
#include "pkg/store/store.h"

/* A wish to have a revision settled; message.kind is KS_MESSAGE_SETTLE. */
struct ks_wish {
    struct ks_message message;
    int64_t revision;
    void (*done)(void *user, ks_result result);
    void *user;
};

/* What a peer has said; message.kind is KS_MESSAGE_WORD. */
struct ks_word {
    struct ks_message message;
    char keystore_id[40];
    int64_t revision;
};

/* What differs between the engines. */
struct ks_engine {
    /*
     * Makes store->state; the copy is open and no thread runs yet. Its failure is that of
     * ks_store_new; `end` is called in any case.
     */
    ks_result (*start)(struct ks_store *store);
    /* The body of the store's thread; returns soon after store->stopping was set. */
    void (*run)(struct ks_store *store);
    /* Frees store->state, which may be NULL; the thread has ended. */
    void (*end)(struct ks_store *store);
    /* Makes run look at the inbox and at stopping. Any thread. */
    void (*wake)(struct ks_store *store);
    /*
     * Returns whether a window is open now; ret_generation, of the copy that it is for, counts only
     * then. Any thread, no lock.
     */
    bool (*may_serve)(struct ks_store *store, uint64_t *ret_generation);
    /* Fills a status that the caller has zeroed. Any thread. */
    void (*status)(struct ks_store *store, struct ks_store_status *ret_status);
    /* Returns whether this keystore is on duty. Any thread. */
    bool (*on_duty)(struct ks_store *store);
};

extern const struct ks_engine ks_embedded_engine;
extern const struct ks_engine ks_replicated_engine;

struct ks_store {
    struct ks_store_options options; /* every pointer but user is the store's own; constant */
    const struct ks_engine *engine;  /* constant */
    struct ks_folder folder;         /* the store's thread, after start */
    struct ks_copy *copy;            /* constant */
    struct ks_cell_clock cell_clock; /* any thread */
    struct ks_inbox inbox;
    atomic_bool stopping;
    atomic_bool is_held;         /* nothing is served before somebody says so */
    atomic_size_t pending_count; /* messages that were pushed and are not answered yet */
    atomic_int_fast64_t applied; /* what the copy has applied */
    atomic_int_fast64_t settled; /* no keystore serves a state older than this */
    pthread_t thread;
    void *state; /* the engine's */
};

/* Answers a mutation on the store's thread, and frees it. */
void ks_store_answer(struct ks_store *store, struct ks_pending *pending,
                     const struct ks_store_outcome *outcome);

/* Answers a wish on the store's thread, and frees it. */
void ks_store_answer_wish(struct ks_store *store, struct ks_wish *wish, ks_result result);

/* Answers everything that is still in the inbox with UNAVAILABLE: the store ends. */
void ks_store_drain(struct ks_store *store);
