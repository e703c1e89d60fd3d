/*
 * replicated: the state of the engine that follows etcd, shared by the files that make it up.
 *
 *   hello.c   asks which etcd it is, and whether the copy goes on, is loaded anew, or is refused
 *   refuse.c  refusals, and those that last over restarts
 *   load.c    loads the copy anew: 256 ranges, beside the watch
 *   follow.c  the watch: applies the log to the copy and tells the store's owner
 *   beat.c    heartbeats (window.h)
 *   commit.c  mutations in groups (group.h)
 *   acks.c    settlements (settle.h), answers, strikes
 *   keep.c    compaction, the members' health, alarms, the status
 *   room.c    defragmentation, member by member, and etcd's alarm taken back
 *
 * Its phases and the moves between them are those of phase.h.
 *
 * Threads: the store's, but for `published` and `may_serve`'s atomics.
 */
#pragma once

#include "pkg/etcd/etcd.h"
#include "pkg/store/copy/anchor.h"
#include "pkg/store/engine/engine.h"
#include "pkg/store/log/group.h"
#include "pkg/store/log/layout.h"
#include "pkg/store/log/queue.h"
#include "pkg/store/log/space.h"
#include "pkg/store/replicated/phase.h"
#include "pkg/store/window/list.h"
#include "pkg/store/window/settle.h"
#include "pkg/store/window/window.h"

/*
 * Transactions under way at a time: with one, etcd idles while the answer travels; with more than
 * two the groups are smaller and cost etcd more.
 */
#define KS_FLIGHTS_MAX 2U

/* Pages of a load under way at a time. */
#define KS_LOAD_PAGES 4U

/* Transactions that a load remembers, to compare its pages with: a second of heavy writing. */
#define KS_LOAD_RECENT 4096U

struct ks_replicated;

/* One group on its way. */
struct ks_flight {
    struct ks_replicated *engine;
    struct ks_group *group; /* NULL: the flight is free */
    uint64_t number;        /* of the group, for the queue */
    bool is_calling;
    unsigned attempts; /* calls made */
    bool may_be_done;  /* some attempt's outcome is unknown */
    int64_t after;     /* what was applied before the present attempt was sent */
    int64_t retry_ns;  /* when the next attempt is made, if no call is under way */
};

/* One range of a load on its way. */
struct ks_load_page {
    struct ks_replicated *engine;
    bool is_used;
    bool is_calling;
    unsigned bucket;
    struct ks_layout_range range;
    char *after; /* the last key that came, with a NUL that counts; NULL: from the beginning */
    size_t after_len;
    int64_t retry_ns;
    struct ks_etcd_answer *answer; /* that waits for the watch; NULL: none */
};

/* A transaction that the watch has brought during the load. */
struct ks_load_revision {
    int64_t revision;
    struct ks_nonce nonce;
};

struct ks_load {
    unsigned next_bucket;
    unsigned buckets_done;
    bool is_aborted; /* it waits for the pages that are under way, then is over */
    struct ks_load_page pages[KS_LOAD_PAGES];
    struct ks_load_revision recent[KS_LOAD_RECENT]; /* the newest ones, in a ring */
    size_t recent_next;
};

/* A question to one member for its state. */
struct ks_probe {
    struct ks_replicated *engine;
    size_t index;
    bool has_no_space; /* alarms that the member knew of in its last answer */
    bool has_corrupt;
};

/* What is wrong, for the status; several may be. */
struct ks_alarms {
    const char *refused; /* why the phase is REFUSED; static */
    bool copy_is_full;
    enum ks_etcd_cause etcd; /* of the last write that failed; DONE: none */
    bool etcd_is_full;       /* the NO_SPACE alarm is raised */
    bool etcd_is_damaged;    /* the CORRUPT alarm is raised */
};

/* Work on the room of etcd's members (room.c). */
struct ks_room {
    bool is_calling;
    int64_t next_ns; /* not before */
    /* Of etcd's NO_SPACE alarm: when it was first seen, and the largest file then. 0: it is not. */
    int64_t full_ns;
    uint64_t full_len;
};

struct ks_replicated {
    struct ks_store *store;
    struct ks_etcd *etcd;
    struct ks_layout layout;
    enum ks_phase phase; /* ks_phase_step alone assigns it */
    bool is_closing;

    struct ks_copy_source source; /* of the copy; constant while FOLLOWING */
    struct ks_position position;  /* of the copy */
    struct ks_list list;          /* of the copy */
    struct ks_window window;
    struct ks_settling settling;

    bool has_refusal; /* an etcd was refused for good; the data folder remembers it, too */
    struct ks_anchor refusal;
    bool is_unproven; /* etcd has compacted the copy's anchor away */
    bool has_spoken;  /* somebody may have this keystore's word, under its present identity */
    bool must_load;   /* the next hello is followed by a load, whatever the copy is */
    bool is_greeting;
    int64_t hello_ns; /* when the next hello is due */
    struct ks_load load;

    struct ks_etcd_watch *watch;
    bool is_proven;       /* the watch has brought the copy's anchor (apply.h); it does so once */
    int64_t watch_ns;     /* when it is started again, if it is NULL */
    int64_t watch_newest; /* etcd's revision as its last message said; 0: none came yet */
    unsigned vain_ends;   /* watches in a row that brought nothing though etcd had something */

    struct ks_queue *queue; /* mutations that wait for a flight */
    int64_t queued_ns;      /* when the oldest of them came, or when they are looked at again */
    size_t answered_count;  /* mutations answered since the last flight began */
    struct ks_flight flights[KS_FLIGHTS_MAX];
    int64_t expire_ns; /* when deadlines are looked at again */

    struct ks_alarms alarms;
    struct ks_space space;
    struct ks_history_len history;
    uint64_t compacted_len; /* history.len at the last compaction */
    struct ks_room room;
    int64_t compact_ns;
    int64_t probe_ns;
    int64_t publish_ns;
    char struck_id[40]; /* the newest strike, not to be repeated for the same record */
    int64_t struck_revision;
    struct ks_store_member members[KS_ETCD_ENDPOINTS_MAX];
    struct ks_probe probes[KS_ETCD_ENDPOINTS_MAX];
    atomic_int_fast64_t status_asked_ns; /* when the status was last asked for */
    atomic_bool is_lowest;               /* of the list */
    pthread_mutex_t published_lock;
    struct ks_store_status published; /* guarded by published_lock */
};

/* Returns nanoseconds of CLOCK_BOOTTIME by the store's clock. */
int64_t ks_now(const struct ks_replicated *engine);

/*
 * Draws the nonce of a transaction that is sent now.
 * Fails: INTERNAL (no randomness): ret_nonce is unspecified then, and nothing may be sent.
 */
KS_MUST_USE ks_result ks_nonce_new(struct ks_nonce *ret_nonce);

/* Gives a sentence for the operator's log to on_notice, if the store's owner has set that. */
void ks_notice(const struct ks_replicated *engine, const char *sentence);

/* Each ks_*_tick does what is due and lowers *next_ns to when it wants to be called again. */

/* ---- hello.c ---- */
void ks_hello_tick(struct ks_replicated *engine, int64_t now_ns, int64_t *next_ns);

/*
 * Closes the window, stops the watch, and has hello said again; event is LOST, STRANGE or FULL.
 * After LOST that hello is followed by a load, whatever the copy is.
 */
void ks_hello_again(struct ks_replicated *engine, enum ks_phase_event event);

/*
 * Returns whether a write that was answered is done in the etcd that the copy is of: its compares
 * held, and its revision is higher than `after`, which was applied before it was sent. If it was
 * answered and is not, etcd may be another one, and hello is said again. Also false if the write
 * failed; that alone changes nothing.
 */
bool ks_hello_is_same(struct ks_replicated *engine, const struct ks_etcd_answer *answer,
                      int64_t after);

/* ---- refuse.c ---- */

#define KS_REFUSED_FORM                                                                            \
    "etcd's epoch or revision record has no form that this version of Keystead knows"
#define KS_REFUSED_FOLDER "the data folder can't be written: free space or mend the disk"
#define KS_REFUSED_LOST                                                                            \
    "etcd has gone back: it lacks changes that this keystore has applied. Bring back the members " \
    "that have them; or, to give these changes up, put a new random value at the epoch key: "      \
    "docs/operations/etcd-went-back.md"
/*
 * Closes the window, stops the watch, and goes to REFUSED. reason is a static sentence that says
 * what to do; the status shows it.
 */
void ks_refuse(struct ks_replicated *engine, const char *reason);

/* Returns whether there is a copy that could go on. */
bool ks_refuse_has_copy(const struct ks_replicated *engine);

/*
 * Gives what etcd must have: what was refused, or else the last transaction of the copy, also of
 * one that is being loaded. Returns
 * false if there is neither; ret_anchor is untouched then.
 */
bool ks_refuse_anchor(const struct ks_replicated *engine, struct ks_anchor *ret_anchor);

/*
 * Refuses as ks_refuse does, until etcd has the anchor or another epoch. That outlives restarts and
 * the copy. Answers that wait for a settlement are given as UNAVAILABLE.
 */
void ks_refuse_for_good(struct ks_replicated *engine, const char *reason);

/*
 * Forgets what was refused. Returns false, with the engine refused for another reason, if the data
 * folder can't be written.
 */
bool ks_refuse_end(struct ks_replicated *engine);

/*
 * Reads what an earlier life refused, and refuses it again. To be called once, at the start.
 * Fails: CORRUPT, INTERNAL (the file can't be read); the store must not start then.
 */
KS_MUST_USE ks_result ks_refuse_resume(struct ks_replicated *engine);

/* ---- load.c ---- */

/* What a hello found; list is the range of the keystores' records at revision. */
struct ks_greeting {
    struct ks_copy_source source;
    int64_t revision;
    int64_t rev_version;
    int64_t rev_revision;
    struct ks_nonce nonce;
    const struct ks_etcd_op_answer *list;
};

/*
 * Clears the copy, begins to load it, and starts the watch at greeting->revision. greeting is
 * borrowed for the call.
 */
void ks_load_begin(struct ks_replicated *engine, const struct ks_greeting *greeting);

/* Notes what the watch has brought and the copy has applied, in phase LOADING. */
void ks_load_note(struct ks_replicated *engine, const struct ks_etcd_watch_message *message);

/*
 * Ends a load that is under way. To be called before the phase changes; hello waits until the last
 * page has come.
 */
void ks_load_abort(struct ks_replicated *engine);

/* Frees what its pages own; no page may be on its way. */
void ks_load_free(struct ks_load *load);
void ks_load_tick(struct ks_replicated *engine, int64_t now_ns, int64_t *next_ns);

/* ---- room.c ---- */
void ks_room_tick(struct ks_replicated *engine, int64_t now_ns, int64_t *next_ns);

/* ---- follow.c ---- */

/* Tells the store's owner that the copy is good, after SAME or LOADED. The watch goes on. */
void ks_follow_begin(struct ks_replicated *engine, enum ks_phase_event event);

/* Starts the watch from the copy's anchor, unless it is on. In phase LOADING, too. */
void ks_follow_watch(struct ks_replicated *engine);
void ks_follow_tick(struct ks_replicated *engine, int64_t now_ns, int64_t *next_ns);

/* Stops the watch, if there is one. */
void ks_follow_stop(struct ks_replicated *engine);

/*
 * Returns whether etcd is known to be the one that the copy is of: the watch is on, and has brought
 * the copy's anchor. Mutations and strikes were decided on the copy, and go out only then.
 */
bool ks_follow_is_proven(const struct ks_replicated *engine);

/*
 * Reads engine->list from the copy again, and counts what its records say to have been applied.
 * Fails: CORRUPT, INTERNAL, UNAVAILABLE (too many snapshots are open); the list is unchanged then.
 */
KS_MUST_USE ks_result ks_follow_read_list(struct ks_replicated *engine);

/*
 * To be called when a change of the copy has failed. After LIMIT_EXCEEDED, a full disk, hello is
 * said again a little later. Anything else is damage: the copy is condemned, and the engine refuses
 * to go on.
 */
void ks_follow_failed(struct ks_replicated *engine, ks_result failure);

/* ---- beat.c ---- */
void ks_beat_tick(struct ks_replicated *engine, int64_t now_ns, int64_t *next_ns);

/*
 * Opens the window if it may open now. To be called after the copy or a heartbeat's state changed.
 */
void ks_beat_look(struct ks_replicated *engine);

/* ---- commit.c ---- */
void ks_commit_tick(struct ks_replicated *engine, int64_t now_ns, int64_t *next_ns);

/* Answers every mutation that waits or is under way with UNAVAILABLE, because the store ends. */
void ks_commit_end(struct ks_replicated *engine);

/* ---- acks.c ---- */

/*
 * Takes pending over, and answers it with outcome: at once, if nothing was done; otherwise when its
 * revision is settled, or with UNAVAILABLE if that can't be known any more. list is as it was at
 * that revision or later. outcome->stored is copied.
 */
void ks_acks_add(struct ks_replicated *engine, struct ks_pending *pending,
                 const struct ks_store_outcome *outcome, const struct ks_list *list);

/*
 * Takes the wish over, and answers it with OK when its revision is settled, or with UNAVAILABLE if
 * that can't be known.
 */
void ks_acks_wish(struct ks_replicated *engine, struct ks_wish *wish);

void ks_acks_tick(struct ks_replicated *engine, int64_t now_ns, int64_t *next_ns);

/* Answers all that waits with UNAVAILABLE, and forgets what keystores have said. */
void ks_acks_reset(struct ks_replicated *engine);

/* ---- keep.c ---- */
void ks_keep_tick(struct ks_replicated *engine, int64_t now_ns, int64_t *next_ns);

/* Notes how a write ended, for the alarms that the status shows. */
void ks_keep_note(struct ks_replicated *engine, const struct ks_etcd_answer *answer);

/* Writes the status that ks_store_get_status copies. */
void ks_keep_publish(struct ks_replicated *engine);
