/*
 * state: how far an attempt is.
 *
 *     NEW ──┬──► TRYING ──┬──► SETTLING ─────────┬──► DONE
 *           │      ▲      ├──► COMMITTING ──┬────┤
 *           │      │      └─────────────────│────┤    it rests on nothing
 *           │      └────────── PAUSING ◄────┘    │
 *           └────────────────────────────────────┘    the owner has refused it
 *
 * Threads: pure; any.
 */
#pragma once

#include <stdbool.h>

enum ks_attempt_state {
    KS_ATTEMPT_NEW,        /* nothing was looked at */
    KS_ATTEMPT_TRYING,     /* the owner works on it, or the one that the owner has asked */
    KS_ATTEMPT_COMMITTING, /* the store has the change */
    KS_ATTEMPT_PAUSING,    /* a compare did not hold; it begins again after a pause */
    KS_ATTEMPT_SETTLING,   /* the answer waits until no other process can answer differently */
    KS_ATTEMPT_DONE,       /* the owner has the answer */
    KS_ATTEMPT_STATE_COUNT,
};

/* Returns whether an attempt may go from one state to the other; false for numbers of no state. */
bool ks_attempt_may_move(enum ks_attempt_state from, enum ks_attempt_state to);
