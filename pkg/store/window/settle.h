/*
 * settle: works out when a revision is settled, which means that no keystore serves a state older
 * than it from now on (design, promise 2). A writer waits for the revision of its change, a reader
 * for the revision that its answer rests on; both wait in the same way. It is pure: it reads no
 * clock and does no I/O. The names in brackets are those of tests/model/serving-windows.pml.
 *
 * A settlement of revision S begins with the list of the keystores as it was at S or later; the
 * list is taken before the wait begins. [take_list] The settlement ends when every keystore on the
 * list has said that it has applied S. [CONFIRM, NOBODY] It also ends when 1.1 D have passed since
 * the wait began, because each window that was open then is over: the keystore no longer serves, or
 * it has applied S in the meantime. [OVER] A keystore that said nothing is then struck off the
 * list, unless its record has changed since the list was taken. [STRIKING, DELETE, STILL]
 *
 * Once S is settled it stays settled, and so is every revision below it. One number, `settled`,
 * therefore says it all: it only grows, and a waiter for S is answered when the number reaches S.
 * It also grows while nothing waits, up to the revision that every keystore on the copy's own list
 * has said, and not beyond what the copy has applied (the list belongs to the applied revision, so
 * it is not older than S).
 *
 * A keystore's word from before its restart still counts. [OLDWORD] The keystore serves again only
 * after a new heartbeat, and the heartbeat's revision is higher than any that the keystore named.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/store/window/list.h"

#define KS_WORDS_MAX (2U * KS_STORE_KEYSTORES_MAX)

/* The first member of whatever waits for a settlement. */
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
    bool has_unnamed;          /* as in struct ks_list: it can only end by time */
    struct ks_listed unnamed;  /* the one that is struck then; its id may be empty */
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

/*
 * Notes that a keystore says that it has applied revision. A lower one than before changes nothing.
 * id is copied.
 */
void ks_settling_say(struct ks_settling *settling, const char *id, int64_t revision);

/*
 * Begins to settle revision.
 *
 * list    as it was at revision or later; copied.
 * now_ns  for a mutation, read after its commit was known; for a read, now.
 * waiter  handed over; ks_settling_take or ks_settling_reset gives it back.
 */
void ks_settling_begin(struct ks_settling *settling, int64_t revision, const struct ks_list *list,
                       int64_t now_ns, struct ks_waiter *waiter);

/*
 * Hands the waiter to a settlement under way that covers revision, and returns true. Returns false
 * if there is none; the waiter is then still the caller's.
 */
bool ks_settling_join(struct ks_settling *settling, int64_t revision, struct ks_waiter *waiter);

/*
 * Called for each keystore that said nothing until the time was over: its record is to be deleted
 * if it is still the one with silent->mod_revision. silent is borrowed during the call.
 */
typedef void ks_settling_strike(void *user, const struct ks_listed *silent);

/*
 * Works out what is settled by now. list is the copy's at `applied`; own_id, this keystore,
 * confirms by having applied it. Returns when to call this next, at the latest: INT64_MAX if
 * nothing waits.
 */
int64_t ks_settling_step(struct ks_settling *settling, const struct ks_list *list, int64_t applied,
                         const char *own_id, int64_t now_ns);

/*
 * Takes out one settlement that has ended, with its waiters, and frees it. If it ended by time,
 * `strike` is called before for each keystore that said nothing. Returns false if none has ended.
 * ret_waiters  the caller's, linked by next, newest first; untouched if false is returned.
 */
bool ks_settling_take(struct ks_settling *settling, int64_t now_ns, ks_settling_strike *strike,
                      void *user, struct ks_waiter **ret_waiters);

/*
 * Forgets everything, for another epoch of the store. Returns the waiters, which are the caller's
 * and must be told that nothing was settled; linked by next, NULL if there are none.
 */
struct ks_waiter *ks_settling_reset(struct ks_settling *settling);
