/*
 * phase: what the replicated engine is doing, and which moves there are.
 *
 *             SAME                LOST, STRANGE
 *   HELLO -------------> FOLLOWING ------------> HELLO
 *   HELLO --OTHER--> LOADING --LOADED--> FOLLOWING
 *                    LOADING --LOST, STRANGE--> HELLO
 *   any   --FULL---> HELLO
 *   any   --REFUSE-> REFUSED          REFUSED goes on as HELLO does: by SAME and OTHER
 *
 * Threads: pure.
 */
#pragma once

#include <stdbool.h>

enum ks_phase {
    KS_PHASE_HELLO,     /* asks which etcd this is */
    KS_PHASE_LOADING,   /* the copy is being loaded anew, beside the watch */
    KS_PHASE_FOLLOWING, /* the watch is on; only in this phase windows open and mutations go out */
    KS_PHASE_REFUSED,   /* can't go on until a person helps; asks etcd again from time to time */
    KS_PHASE_COUNT,
};

enum ks_phase_event {
    KS_PHASE_ON_SAME,    /* etcd is the one that the copy is of, and the copy is good */
    KS_PHASE_ON_OTHER,   /* the copy is old, foreign, damaged or absent: it is loaded */
    KS_PHASE_ON_LOADED,  /* the load has ended */
    KS_PHASE_ON_STRANGE, /* what answers may be another etcd, or another epoch */
    KS_PHASE_ON_LOST,    /* the copy can't be continued: events are lost, compacted or damaged */
    KS_PHASE_ON_FULL,    /* the disk is full: it is tried once more, a little later */
    KS_PHASE_ON_REFUSE,  /* a person must act: the status says how */
    KS_PHASE_EVENT_COUNT,
};

/*
 * Gives the phase that event leads to from `from`. Returns false if there is no such move; ret_to
 * is untouched then.
 */
bool ks_phase_next(enum ks_phase from, enum ks_phase_event event, enum ks_phase *ret_to);

/* Makes the move; an assert fails if there is no such move. Nothing else assigns the phase. */
void ks_phase_step(enum ks_phase *phase, enum ks_phase_event event);
