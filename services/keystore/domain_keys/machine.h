/*
 * machine: decides how a cell gets its domain keys. What one zone should do next is a pure function
 * of the cell's records and of what the zone's own hsm holds. The keeper takes one such step at a
 * time and then reads the records again. A crash loses nothing, because the records are the state.
 *
 * The way of one generation, as the records show it:
 *
 *            make                two zones' copies        set current
 *    NONE ─────────► MADE ────────────────────► SHARED ─────────────► CURRENT
 *                     │                            │                     │ set current (of a later
 *                                                  one)
 *                     └─────────┬──────────────────┘                     ▼
 *                               │ make (a later one)                    OLD
 *                               ▼                        retire          │ retire, once nothing
 *                            PASSED ─────────────────────────► GONE ◄────┘ is sealed under it
 *
 *    NONE     its number is above domain/newest
 *    MADE     domain/newest names it; fewer zones than needed have put a copy
 *    SHARED   domain/newest names it; enough zones have
 *    CURRENT  domain/current names it: keys are sealed under it
 *    OLD      below domain/current: keys may be sealed under it still
 *    PASSED   between domain/current and domain/newest: no key ever was sealed under it
 *    GONE     no copy stands
 *
 * The way of one zone's copy of a generation that it needs (MADE, SHARED, CURRENT, OLD):
 *
 *           ask                      (another zone: seal)             open
 *    NONE ───────► ASKED: challenge ─────────────────────► ANSWERED ───────► STANDS ──load──► held
 *      ▲                                                      │ open fails: ask
 *      └── the copy that stands names another hsm (the zone was replaced)
 *
 * Why nothing that was acknowledged is lost when one zone is:
 * services/keystore/domain_keys/README.md.
 *
 * Threads: pure over the arguments; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KS_DOMAIN_ZONES_MAX       16U  /* of a cell, as many as keystores on its list */
#define KS_DOMAIN_COPIES_MAX      128U /* records of all zones and generations that are looked at */
#define KS_DOMAIN_HELD_MAX        16U  /* generations that the hsm holds */
#define KS_DOMAIN_GENERATIONS_MAX 4U   /* with copies; no rotation while there are more */
#define KS_DOMAIN_ZONE_LEN        64U  /* bytes, NUL included */
#define KS_DOMAIN_NODE_LEN        136U /* bytes, NUL included */

/*
 * How long a zone waits for a generation that no reachable zone holds before it makes the next
 * one: long enough for a supervisor to restart a keystore, short enough for a person who waits for
 * the first key. Zones add 1 s for each zone before them in the alphabet, so that they don't race.
 */
#define KS_DOMAIN_PASS_MS 10000

/* How long a rotation waits for zones that are up and have no copy yet, beyond the needed ones. */
#define KS_DOMAIN_SHARE_MS 10000

/* A record that marks a generation. Generation 0 and revision 0 mean that there is none. */
struct ks_domain_mark {
    uint32_t generation;
    int64_t revision;
    int64_t since_ms; /* domain/current: wall time since which it is current */
};

/* domain/<generation>/<zone> */
struct ks_domain_copy {
    uint32_t generation;
    char zone[KS_DOMAIN_ZONE_LEN];
    char node_id[KS_DOMAIN_NODE_LEN];
    int64_t revision;
};

/* transit/<zone> */
struct ks_domain_transit {
    char zone[KS_DOMAIN_ZONE_LEN]; /* the receiver */
    uint32_t generation;
    bool answered;
    bool refused; /* this zone's hsm has refused to answer just this challenge */
    int64_t revision;
};

/* The cell's records, from one view. */
struct ks_domain_records {
    struct ks_domain_mark newest;
    struct ks_domain_mark current;
    struct ks_domain_mark rotate;
    struct ks_domain_copy copies[KS_DOMAIN_COPIES_MAX];
    size_t copy_count;
    struct ks_domain_transit transits[KS_DOMAIN_ZONES_MAX];
    size_t transit_count;
};

/* This zone, as its keystore knows it. */
struct ks_domain_self {
    char zone[KS_DOMAIN_ZONE_LEN];
    char node_id[KS_DOMAIN_NODE_LEN];  /* of the hsm that is connected */
    uint32_t held[KS_DOMAIN_HELD_MAX]; /* generations in the hsm's memory */
    size_t held_count;
    int64_t challenge_revision; /* of the transit record with this hsm's last challenge; 0: none */
    bool may_make;              /* the hsm has a roster, or needs none because min_zones is 1 */
    bool on_duty;
    bool rotation_due;      /* the current generation has reached its age */
    int64_t newest_wait_ms; /* since this keystore first saw domain/newest as it is */
    uint32_t clean_below;   /* nothing is sealed under a generation below this one */
    unsigned min_zones;     /* with copies before a generation becomes current; 1 or 2 */
    char listed[KS_DOMAIN_ZONES_MAX][KS_DOMAIN_ZONE_LEN]; /* zones of the keystores listed */
    size_t listed_count;
};

enum ks_domain_move {
    KS_DOMAIN_WAIT,        /* nothing to do until something changes */
    KS_DOMAIN_DROP,        /* the hsm forgets a generation of which no record of ours is a copy */
    KS_DOMAIN_LOAD,        /* the hsm takes our copy */
    KS_DOMAIN_MAKE,        /* the hsm makes a generation; put domain/newest and our copy */
    KS_DOMAIN_ASK,         /* the hsm makes a challenge; put it as our transit record */
    KS_DOMAIN_OPEN,        /* the hsm opens the envelope; put our copy, delete our transit record */
    KS_DOMAIN_SEAL,        /* the hsm answers another zone's challenge; put the envelope */
    KS_DOMAIN_SET_CURRENT, /* put domain/current */
    KS_DOMAIN_RETIRE,      /* delete copies of a generation that nothing is sealed under */
    KS_DOMAIN_MOVE_COUNT
};

struct ks_domain_step {
    enum ks_domain_move move;
    uint32_t generation; /* 0 with WAIT */
    size_t transit;      /* SEAL: index in records->transits */
};

/*
 * Returns what the zone does next: of the moves in enum ks_domain_move, DROP first, the first that
 * applies.
 */
struct ks_domain_step ks_domain_next(const struct ks_domain_records *records,
                                     const struct ks_domain_self *self);

/*
 * Returns whether the move is MAKE or OPEN, after which the hsm holds the generation before its
 * record is stored. If the keeper doesn't learn that the record was committed, it must have the hsm
 * drop the generation before it reads the records again: the record of an earlier try may have been
 * stored late, and it holds another key under the same number.
 */
bool ks_domain_puts_copy(enum ks_domain_move move);

/* Returns the move's name for logs, such as "make". */
const char *ks_domain_move_name(enum ks_domain_move move);

/* Returns the zone's copy of a generation, borrowed from records; NULL if there is none. */
const struct ks_domain_copy *ks_domain_copy_of(const struct ks_domain_records *records,
                                               uint32_t generation, const char *zone);

/* Returns the zone's transit record, borrowed from records; NULL if there is none. */
const struct ks_domain_transit *ks_domain_transit_of(const struct ks_domain_records *records,
                                                     const char *zone);

/*
 * Returns whether a generation is lost: keys are sealed under it, and no zone can be asked for it,
 * because every copy of it is for an hsm that is gone. People must act then.
 */
bool ks_domain_lost(const struct ks_domain_records *records, const struct ks_domain_self *self,
                    uint32_t generation);
