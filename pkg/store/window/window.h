/*
 * window: says when this keystore may serve from its copy (design, promise 2). It is pure: it reads
 * no clock and does no I/O. The names in brackets are those of tests/model/serving-windows.pml.
 *
 *   FREE --send--> SENT --learn--> KNOWN --applied--> FREE, and the window is open
 *     ^             |  lose, time-out                 |
 *     +-------------+---------- too old --------------+
 *
 * A heartbeat is a numbered write of the own record. [FREE, SENT, KNOWN; ORPHAN is one that was
 * forgotten here and may still commit.] The window that a heartbeat opens begins before that very
 * heartbeat was sent and lasts D. [OPEN] It opens once the copy has applied everything up to the
 * heartbeat's revision.
 *
 * One heartbeat is under way at a time; the window of the one before it stays open meanwhile.
 * None is sent before the copy has applied the last one that is known to be committed: a keystore
 * that can't keep up sends no more heartbeats, and is struck.
 *
 * Times are nanoseconds of CLOCK_BOOTTIME, which also counts while the machine sleeps.
 *
 * Threads: the store's, but for ks_window_is_open, which any thread may call at any time.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define KS_WINDOW_BEATS 5 /* heartbeats in the length of a window */

enum ks_beat_state { KS_BEAT_FREE, KS_BEAT_SENT, KS_BEAT_KNOWN };

struct ks_window {
    int64_t length_ns; /* D */
    enum ks_beat_state state;
    uint64_t beat;      /* number of the heartbeat sent last in this life; 0: none yet */
    int64_t sent_ns;    /* boot clock, read before that heartbeat was sent */
    int64_t due_ns;     /* no heartbeat is sent before this */
    int64_t must_apply; /* revision of the newest heartbeat known to be committed; KNOWN: of this */
    /* Published to readers. */
    atomic_int_fast64_t open_until_ns;    /* 0: closed */
    atomic_uint_fast64_t open_generation; /* of the copy that the window is for */
};

/* Makes a closed window of a keystore that has sent no heartbeat yet. */
void ks_window_init(struct ks_window *window, int64_t length_ns);

/* Returns how long a heartbeat may take before it is forgotten: three tenths of D. */
int64_t ks_window_timeout_ns(const struct ks_window *window);

/* Returns when ks_window_may_send should be asked next, at the latest. */
int64_t ks_window_next_ns(const struct ks_window *window);

/*
 * Returns whether a heartbeat is to be sent now; `applied` is what the copy has applied. Forgets a
 * heartbeat that is too old: if its answer still comes, it counts for nothing. [FREEBEAT]
 */
bool ks_window_may_send(struct ks_window *window, int64_t now_ns, int64_t applied);

/*
 * To be called when another keystore's heartbeat was applied. If our next heartbeat is due within
 * half the time between two, it becomes due now. In this way the heartbeats of a cell soon go
 * together, and each of etcd's members wakes up and writes to its disk once for all of them. A
 * heartbeat may be sent at any time, so this changes nothing else.
 */
void ks_window_go_along(struct ks_window *window, int64_t now_ns);

/*
 * [Keystore sends a heartbeat] Notes that one is sent, and returns its number. now_ns was read
 * before the request was made. ks_window_may_send must just have returned true.
 */
uint64_t ks_window_send(struct ks_window *window, int64_t now_ns);

/*
 * [the answer arrives] Notes that the heartbeat of that number is committed at revision. One that
 * was forgotten changes nothing. One that is too old at now_ns opens no window, but its revision
 * must be applied before the next heartbeat is sent.
 */
void ks_window_learn(struct ks_window *window, uint64_t beat, int64_t revision, int64_t now_ns);

/*
 * [the request or its answer is lost] Notes that the transaction of that heartbeat has failed, or
 * that its outcome is unknown: it opens no window. One that was forgotten already changes nothing.
 */
void ks_window_lose(struct ks_window *window, uint64_t beat);

/*
 * [OPEN] Notes that the copy, which is of that generation, has applied everything up to `applied`,
 * and opens the window if that includes the heartbeat's revision. The copy's watch must be proven
 * (log/apply.h): otherwise the heartbeat may be of another history, whose revision the copy passed
 * long ago. To be called after each change of
 * the copy, and after ks_window_learn.
 */
void ks_window_applied(struct ks_window *window, int64_t applied, uint64_t generation);

/*
 * [Keystore restarts: the copy is lost] Closes the window and forgets every heartbeat. To be called
 * before a copy is loaded anew or goes back.
 */
void ks_window_close(struct ks_window *window);

/*
 * [WINDOW] Returns whether a window is open at now_ns, which was read after the request came in.
 * The caller takes the copy after this, and checks that it is of ret_generation, which is written
 * in either case and means nothing if false is returned.
 */
bool ks_window_is_open(const struct ks_window *window, int64_t now_ns, uint64_t *ret_generation);
