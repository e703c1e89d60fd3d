/*
 * cell_clock: a store's cell time (pkg/celltime), which any thread may ask for. It goes by the
 * store's own clock and by what the listed keystores' heartbeats say, and is saved in the data
 * folder, from where the next process goes on.
 *
 * Threads: any; a mutex guards the time, as it is asked for by loops and workers and told by the
 * store's thread. It is held for a few instructions.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "pkg/base/clock.h"
#include "pkg/celltime/celltime.h"
#include "pkg/store/copy/folder.h"

#define KS_CELL_CLOCK_TICK_MS 1000 /* ks_cell_clock_tick wants to be called about as often */

struct ks_cell_clock {
    const struct ks_clock *own;     /* of the machine; borrowed */
    const struct ks_folder *folder; /* borrowed */
    struct ks_clock clock;          /* the machine's boot_ns, and cell time as wall_ms */
    pthread_mutex_t lock;           /* guards time and newest_ms */
    struct ks_celltime time;
    int64_t newest_ms; /* withdrawal time that was given last: it never goes back */
    atomic_bool is_known;
    int64_t saved_ns; /* the store's thread's: when the time was last saved; 0: not yet */
};

/*
 * Makes a clock that goes on from what the folder has saved.
 *
 * own, folder  borrowed as long as the clock lives.
 * is_empty     nothing is stored yet that a wrong clock could destroy.
 */
void ks_cell_clock_init(struct ks_cell_clock *clock, const struct ks_clock *own,
                        const struct ks_folder *folder, bool is_empty);

/* Saves the time and frees what the clock has. {0}: nothing is done. */
void ks_cell_clock_done(struct ks_cell_clock *clock);

/* Works the time out anew, and saves it once a minute. On the store's thread. */
void ks_cell_clock_tick(struct ks_cell_clock *clock);

/* To be called when the list of keystores begins to be followed (ks_celltime_begin). */
void ks_cell_clock_begin(struct ks_cell_clock *clock);

/* Takes what the others on the list say (ks_celltime_hear). words are borrowed for the call. */
void ks_cell_clock_hear(struct ks_cell_clock *clock, const struct ks_celltime_word *words,
                        size_t count);

/*
 * Gives the destruction time.
 * Fails: UNAVAILABLE (ks_celltime_destruction); ret_ms is then untouched.
 */
KS_MUST_USE ks_result ks_cell_clock_destruction(struct ks_cell_clock *clock, int64_t *ret_ms);

/* As ks_celltime_alarm. */
const char *ks_cell_clock_alarm(struct ks_cell_clock *clock);
