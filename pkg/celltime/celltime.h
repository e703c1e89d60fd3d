/*
 * celltime: which time a cell goes by (design, "Cell time"). It is told what the wall clocks of
 * several machines say, and gives two times:
 *
 *   withdrawal   for everything but destruction: what is stored, when a permission ends. It is the
 *                median of the clocks if more than half of them lie within a minute. Otherwise it
 *                goes on from its last value as CLOCK_BOOTTIME does. It never goes back: while it is
 *                ahead of the median it runs a tenth slower.
 *   destruction  for what can't be undone. It is the least of the clocks, and there is none while
 *                any two of them differ by more than a minute.
 *
 * The clocks of a cell may have one source, and be set by it together. If the median leaves the time
 * that has passed by CLOCK_BOOTTIME by more than a minute, in either direction, withdrawal time
 * follows it; destruction waits until the new time has stood for three days, and there is an alarm.
 * So it is when a machine comes back that was off for more than a day. A clock that comes back to
 * the others' time moves no median.
 *
 * A clock alone (embedded, control, or nobody else is listed) has only CLOCK_BOOTTIME beside it.
 * Withdrawal time follows the clock while the two agree to a minute, at most a tenth faster than
 * CLOCK_BOOTTIME. If the clock steps, withdrawal time goes on without it until the new time has
 * stood for a day; destruction waits until it has stood for three days.
 *
 * What a clock says goes on with CLOCK_BOOTTIME until it says the next thing, and counts for ten
 * seconds. A time before 2026 or after 2100 is that of a clock which nobody has set: it does not
 * count.
 *
 * Times named _ns are of CLOCK_BOOTTIME; those named _ms are since 1970. It is pure: it reads no
 * clock and does no I/O.
 *
 * Threads: values; one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/clock.h"
#include "pkg/base/result.h"

#define KS_CELLTIME_CLOCKS_MAX 16U     /* besides the own one */
#define KS_CELLTIME_ID_LEN_MAX 39U     /* of a clock's name */
#define KS_CELLTIME_APART_MS   60000LL /* clocks that differ by more don't agree */
#define KS_CELLTIME_SLEW       10      /* a tenth: how much faster or slower it runs at most */
#define KS_CELLTIME_FIRST_MS   1767225600000 /* 2026-01-01 */
#define KS_CELLTIME_LAST_MS    4102444800000 /* 2100-01-01 */

/* What was said counts for 25 heartbeats, and others are waited for as long at the beginning. */
#define KS_CELLTIME_HEARD_NS (10 * KS_NS_PER_S)

/* How long a step of a clock alone stands until it is believed. */
#define KS_CELLTIME_WITHDRAWAL_NS  (24 * 3600 * KS_NS_PER_S)
#define KS_CELLTIME_DESTRUCTION_NS (72 * 3600 * KS_NS_PER_S) /* longer than a weekend */

/*
 * A machine that was off for longer than this, by its own clock alone, is treated as if the clock
 * had stepped: the shortest time that a key waits for its deletion is seven days.
 */
#define KS_CELLTIME_OFF_MS (24LL * 3600 * 1000)

/* What another clock has said. */
struct ks_celltime_word {
    const char *id;  /* at most KS_CELLTIME_ID_LEN_MAX bytes */
    int64_t version; /* another one with each word of this clock */
    int64_t wall_ms;
};

struct ks_celltime_clock {
    char id[KS_CELLTIME_ID_LEN_MAX + 1];
    int64_t version;
    int64_t wall_ms;  /* as of heard_ns */
    int64_t heard_ns; /* 0: its word may be old, because none has come since the beginning */
};

/* A step of a clock alone, or of a cell's median, to a time that withdrawal time has not reached. */
struct ks_celltime_step {
    bool is_seen;
    int64_t offset_ms;       /* of the clock before CLOCK_BOOTTIME, since the step */
    int64_t since_ns;        /* when it was first seen */
    int64_t doubt_before_ns; /* of the time before it; a clock alone's only */
};

/* What is saved, so that a process that starts goes on. */
struct ks_celltime_saved {
    int64_t time_ms;              /* withdrawal time at at_ns */
    int64_t at_ns;                /* means something under the same boot only */
    int64_t doubt_ns;             /* how much longer destruction waits if the clock is alone */
    struct ks_celltime_step step; /* of the same boot only */
    int64_t cell_doubt_ns;        /* how much longer destruction waits because of a cell's step */
    struct ks_celltime_step cell_step; /* of the same boot only */
};

/* {.has_own = true} is one at its start; nothing is known then. */
struct ks_celltime {
    bool has_own;           /* there is a wall clock of its own, given to ks_celltime_step */
    bool is_known;          /* there is a withdrawal time; it stays true */
    int64_t withdrawal_ms;  /* if is_known: at at_ns */
    int64_t rest_ns;        /* below a millisecond */
    int64_t at_ns;          /* of the last step */
    int64_t doubt_ns;       /* a clock alone does not destroy before so much time has passed */
    int64_t cell_doubt_ns;  /* nothing is destroyed before so much time has passed */
    bool is_tentative;      /* begun without a majority, and none has been there since */
    int64_t floor_ms;       /* saved under an earlier boot; 0: nothing was */
    int64_t floor_doubt_ns; /* saved with it */
    bool is_empty;          /* nothing is stored that a wrong clock could destroy */
    bool destroys;          /* there is a destruction time */
    int64_t destruction_ms; /* if so: at at_ns */
    int64_t counted;        /* clocks that counted in the last step */
    bool has_begun;         /* words were heard before: a new one is new */
    int64_t begun_ns;       /* when others began to be waited for */
    struct ks_celltime_step step;      /* of a clock alone */
    struct ks_celltime_step cell_step; /* of the median */
    struct ks_celltime_clock clocks[KS_CELLTIME_CLOCKS_MAX];
    size_t clock_count;
};

/*
 * Goes on from what an earlier process has saved, before the first step. Under the same boot,
 * withdrawal time is known from here on; under another boot it will not be lower than what was
 * saved.
 */
void ks_celltime_restore(struct ks_celltime *time, const struct ks_celltime_saved *saved,
                         bool is_same_boot, int64_t now_ns);

/* Gives what is to be saved. Returns false if nothing is known yet; ret_saved is then untouched. */
bool ks_celltime_save(const struct ks_celltime *time, struct ks_celltime_saved *ret_saved);

/*
 * Forgets what other clocks have said, because the words that come next may be old: the first of
 * each clock does not count, and is waited for until the clock says another one, ten seconds at
 * most. While too few are heard, a withdrawal time that is not known yet stays so, and there is no
 * destruction time. ks_celltime_hear must follow, without words if there are no others.
 */
void ks_celltime_begin(struct ks_celltime *time, int64_t now_ns);

/*
 * Takes what the other clocks have said by now, all of them: one that is not among them is
 * forgotten. More than KS_CELLTIME_CLOCKS_MAX are ignored. A word with the version of the one
 * before is that one.
 */
void ks_celltime_hear(struct ks_celltime *time, const struct ks_celltime_word *words, size_t count,
                      int64_t now_ns);

/*
 * Works both times out for now_ns, which is not before the last one.
 * own_wall_ms  what the own clock says; ignored unless has_own.
 */
void ks_celltime_step(struct ks_celltime *time, int64_t own_wall_ms, int64_t now_ns);

/*
 * Gives the destruction time of the last step.
 * Fails: UNAVAILABLE (there is none: clocks differ, a step is in doubt, or others are waited for);
 * ret_ms is then untouched.
 */
KS_MUST_USE ks_result ks_celltime_destruction(const struct ks_celltime *time, int64_t *ret_ms);

/*
 * Returns a sentence for the operator if there is no destruction time because of what clocks say;
 * NULL otherwise. It is static.
 */
const char *ks_celltime_alarm(const struct ks_celltime *time);
