/*
 * store_fixture: what the tests of the store share: a store in a new folder, and calls that wait
 * for their callbacks.
 *
 * Threads: the test's own.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "pkg/store/store.h"

#define FIXTURE_VALUE_MAX  1024U
#define FIXTURE_CHANGE_MAX 64U

/* A new folder below TEST_TMPDIR (or /tmp); the caller frees the name. */
char *fixture_folder(const char *name);

/* A store of one node in the folder, which the caller keeps; the caller frees the store. */
struct ks_store *fixture_embedded(const char *folder);
/* The same, by a clock of the test's own. */
struct ks_store *fixture_embedded_at(const char *folder, const struct ks_clock *clock);

/* Removes a folder and all below it. */
void fixture_remove(const char *folder);

/* What a store told its owner through the callbacks of its options. It owns no memory. */
struct fixture_events {
    pthread_mutex_t lock;   /* guards the rest */
    pthread_cond_t changed; /* signalled after each callback */
    int64_t applied;        /* the revision that was applied last */
    size_t reload_count;
    size_t change_count;
    char keys[FIXTURE_CHANGE_MAX][64]; /* the newest ones; "-key" for a deletion */
};
void fixture_events_init(struct fixture_events *events);
/* Sets the callbacks and user of options. */
void fixture_listen(struct fixture_events *events, struct ks_store_options *options);

/* An outcome that outlives its callback; store.h says what each code means. */
struct fixture_outcome {
    ks_code code;
    int64_t revision;
    char stored[FIXTURE_VALUE_MAX]; /* "" if there is nothing, or more than fits */
};
/* Commits, and waits until the store has called back, however long that takes. */
struct fixture_outcome fixture_commit(struct ks_store *store,
                                      const struct ks_store_mutation *mutation);

/* Puts one record that must have the mod revision `expected` (0: none), or deletes it (value NULL). */
struct fixture_outcome fixture_put(struct ks_store *store, const char *key, const char *value,
                                   int64_t expected);

/* Waits until ks_store_settle has called back. */
ks_code fixture_settle(struct ks_store *store, int64_t revision);

/* Waits up to 20 s for a window, then ends the test program with a message. */
struct ks_store_view fixture_serve(struct ks_store *store);

/* The value of key as text, or "" if there is none; static until the next call. */
const char *fixture_read(struct ks_store *store, const char *key);

/* Milliseconds of the boot clock; and a wait. */
int64_t fixture_now_ms(void);
void fixture_sleep_ms(int64_t ms);
