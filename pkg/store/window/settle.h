/*
 * settle: from which moment on no keystore serves a state older than a revision (design,
 * promise 2). Writers and readers use the same. Small and pure: no clock, no I/O. The names in
 * brackets are those of tests/model/serving-windows.pml.
 *
 * A settlement of revision S holds the list of the keystores as it stood at S or later, taken
 * before its wait begins. [take_list] It ends when everyone listed has said to have applied S
 * [CONFIRM, NOBODY], or when 1.1 D have passed since the wait began [OVER]: who had a window then
 * has none any more, or has applied S. Who said nothing is to be struck, if the record is still
 * the one listed. [STRIKING, DELETE, STILL]
 *
 * That S is settled stays true, and holds for every revision below: so one number, `settled`, only
 * grows, and whatever waits for S or less is answered when it passes S. It also grows without
 * anybody waiting: as far as everyone on the copy's own list has said, up to what the copy has
 * applied (the list is that of the applied revision, so not older than S).
 *
 * What a keystore said before a restart still counts [OLDWORD]: it serves again only after a new
 * heartbeat, whose revision is higher than all it ever said.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/store/window/list.h"

#define KS_WORDS_MAX (2U * KS_STORE_KEYSTORES_MAX)

/* Stands first in whatever waits for a settlement. */
struct ks_waiter {
    struct ks_waiter *next;
};

struct ks_listed {
    char id[40];
    int64_t mod_revision; /* of the record that was listed */
    bool has_confirmed;
};

struct ks_settlement {
    struct ks_settlement *next;
    int64_t revision;
    int64_t over_ns;
    struct ks_listed listed[KS_STORE_KEYSTORES_MAX];
    size_t listed_count;
    bool has_unnamed;          /* can only end by time */
    struct ks_waiter *waiters; /* newest first */
};

/* The newest revision that a keystore has said to have applied. */
struct ks_said {
    char id[40];
    int64_t revision;
};

/* {.wait_ns = 1.1 D} is one at its start. */
struct ks_settling {
    int64_t wait_ns;
    int64_t settled; /* no keystore serves a state older than this */
    struct ks_said said[KS_WORDS_MAX];
    size_t said_next;            /* where an id that is new goes; the oldest one is forgotten */
    struct ks_settlement *first; /* those under way */
    size_t count;
};

/* A keystore says that it has applied revision. A lower one than before changes nothing. */
void ks_settling_say(struct ks_settling *settling, const char *id, int64_t revision);

/*
 * Begins to settle revision. list is as it stood at revision or later; now_ns was read after the
 * commit was learned of (a reader's: now). The waiter is handed over: it comes back by
 * ks_settling_take, which may be at once.
 */
void ks_settling_begin(struct ks_settling *settling, int64_t revision, const struct ks_list *list,
                       int64_t now_ns, struct ks_waiter *waiter);

/*
 * Lets the waiter wait for a settlement under way that covers revision, which takes the waiter over.
 * Returns false if there is none; the waiter is then still the caller's.
 */
bool ks_settling_join(struct ks_settling *settling, int64_t revision, struct ks_waiter *waiter);

/* Of a settlement that ended by time: called for each who said nothing. */
typedef void ks_settling_strike(void *user, const struct ks_listed *silent);

/*
 * Looks what is settled by now. list is the copy's at `applied`; own_id confirms by that alone.
 * Gives when to call it next, at the latest: INT64_MAX if nothing waits.
 */
int64_t ks_settling_step(struct ks_settling *settling, const struct ks_list *list, int64_t applied,
                         const char *own_id, int64_t now_ns);

/*
 * Takes out a settlement that has ended, with its waiters; frees it after `strike` was called for
 * the silent. Returns false when there is no (other) one.
 * ret_waiters  the caller's, linked by next, newest first; left as it was if false is returned.
 */
bool ks_settling_take(struct ks_settling *settling, int64_t now_ns, ks_settling_strike *strike,
                      void *user, struct ks_waiter **ret_waiters);

/* Forgets everything, for another epoch of the store. Gives the waiters back. */
struct ks_waiter *ks_settling_reset(struct ks_settling *settling);
