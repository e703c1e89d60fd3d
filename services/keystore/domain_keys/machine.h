/*
 * machine: decides how a cell gets its domain keys. What one node should do next is a pure function
 * of the cell's records and of what the node's own hsm holds. The keeper takes one such step at a
 * time and then reads the records again. A crash loses nothing, because the records are the state.
 *
 * A node is a keystore with its hsm. A zone has one or several: each keeps a copy of its own, and
 * where zones are counted, the nodes of one zone are one.
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
 *    MADE     domain/newest names it; nodes of fewer zones than needed have put a copy
 *    SHARED   domain/newest names it; enough zones have
 *    CURRENT  domain/current names it: keys are sealed under it
 *    OLD      below domain/current: keys may be sealed under it still
 *    PASSED   between domain/current and domain/newest: no key ever was sealed under it
 *    GONE     no copy stands
 *
 * The way of one node's copy of a generation that it needs (MADE, SHARED, CURRENT, OLD):
 *
 *           ask                      (another node: seal)             open
 *    NONE ───────► ASKED: challenge ─────────────────────► ANSWERED ───────► STANDS ──load──► held
 *      ▲                                                      │ open fails: ask
 *      └── the copy of this keystore that stands is of another hsm (which was replaced)
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

#define KS_DOMAIN_NODES_MAX       16U  /* of a cell, as many as keystores on its list */
#define KS_DOMAIN_COPIES_MAX      128U /* records of all nodes and generations that are looked at */
#define KS_DOMAIN_TRANSITS_MAX    32U  /* of all nodes, those of hsms that were replaced, too */
#define KS_DOMAIN_HELD_MAX        16U  /* generations that the hsm holds */
#define KS_DOMAIN_GENERATIONS_MAX 4U   /* with copies; no rotation while there are more */
#define KS_DOMAIN_ZONE_LEN        64U  /* bytes, NUL included */
#define KS_DOMAIN_KEYSTORE_LEN    64U  /* bytes of a keystore's name, NUL included */
#define KS_DOMAIN_NODE_LEN        136U /* bytes, NUL included */

/*
 * How long a node waits for a generation that no reachable node holds before it makes the next
 * one: long enough for a supervisor to restart a keystore, short enough for a person who waits for
 * the first key. A node adds 1 s for each keystore before its own in the alphabet, so that they
 * don't race.
 */
#define KS_DOMAIN_PASS_MS 10000

/* How long a rotation waits for nodes that are up and have no copy yet, beyond the needed ones. */
#define KS_DOMAIN_SHARE_MS 10000

/* A record that marks a generation. Generation 0 and revision 0 mean that there is none. */
struct ks_domain_mark {
    uint32_t generation;
    int64_t revision;
    int64_t since_ms; /* domain/current: wall time since which it is current */
};

/* Whose a record is. */
struct ks_domain_node {
    char zone[KS_DOMAIN_ZONE_LEN];
    char node_id[KS_DOMAIN_NODE_LEN];      /* of the hsm */
    char keystore[KS_DOMAIN_KEYSTORE_LEN]; /* name of the keystore that the hsm answers */
};

/* domain/<generation>/<zone>/<node id> */
struct ks_domain_copy {
    uint32_t generation;
    struct ks_domain_node node;
    int64_t revision;
};

/* transit/<zone>/<node id> */
struct ks_domain_transit {
    struct ks_domain_node node; /* the receiver */
    uint32_t generation;
    bool answered;
    bool refused; /* this node's hsm has refused to answer just this challenge */
    int64_t revision;
};

/* The cell's records, from one view. */
struct ks_domain_records {
    struct ks_domain_mark newest;
    struct ks_domain_mark current;
    struct ks_domain_mark rotate;
    struct ks_domain_copy copies[KS_DOMAIN_COPIES_MAX];
    size_t copy_count;
    struct ks_domain_transit transits[KS_DOMAIN_TRANSITS_MAX];
    size_t transit_count;
};

/* This node, as its keystore knows it. */
struct ks_domain_self {
    struct ks_domain_node node;        /* with the hsm that is connected */
    uint32_t held[KS_DOMAIN_HELD_MAX]; /* generations in the hsm's memory */
    size_t held_count;
    int64_t challenge_revision; /* of the transit record with this hsm's last challenge; 0: none */
    bool may_make;              /* the hsm has a roster, or needs none because min_zones is 1 */
    bool on_duty;
    bool rotation_due;      /* the current generation has reached its age */
    int64_t newest_wait_ms; /* since this keystore first saw domain/newest as it is */
    uint32_t clean_below;   /* nothing is sealed under a generation below this one */
    unsigned min_zones;     /* with copies before a generation becomes current; 1 or 2 */
    char listed[KS_DOMAIN_NODES_MAX][KS_DOMAIN_KEYSTORE_LEN]; /* names of the keystores listed */
    size_t listed_count;
};

enum ks_domain_move {
    KS_DOMAIN_WAIT,        /* nothing to do until something changes */
    KS_DOMAIN_DROP,        /* the hsm forgets a generation of which no record of ours is a copy */
    KS_DOMAIN_LOAD,        /* the hsm takes our copy */
    KS_DOMAIN_CLEAR,       /* delete what is ours and nobody needs any more */
    KS_DOMAIN_MAKE,        /* the hsm makes a generation; put domain/newest and our copy */
    KS_DOMAIN_ASK,         /* the hsm makes a challenge; put it as our transit record */
    KS_DOMAIN_OPEN,        /* the hsm opens the envelope; put our copy, delete our transit record */
    KS_DOMAIN_SEAL,        /* the hsm answers another node's challenge; put the envelope */
    KS_DOMAIN_SET_CURRENT, /* put domain/current */
    KS_DOMAIN_RETIRE,      /* delete what stands of a generation that nothing is sealed under */
    KS_DOMAIN_MOVE_COUNT
};

struct ks_domain_step {
    enum ks_domain_move move;
    uint32_t generation; /* 0 with WAIT */
    size_t transit;      /* SEAL: index in records->transits */
};

/*
 * Returns what the node does next: of the moves in enum ks_domain_move, DROP first, the first that
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

/* Returns the node's copy of a generation, borrowed from records; NULL if there is none. */
const struct ks_domain_copy *ks_domain_copy_of(const struct ks_domain_records *records,
                                               uint32_t generation,
                                               const struct ks_domain_node *node);

/* Returns the node's transit record, borrowed from records; NULL if there is none. */
const struct ks_domain_transit *ks_domain_transit_of(const struct ks_domain_records *records,
                                                     const struct ks_domain_node *node);

/*
 * Returns whether a request is this keystore's, and nobody needs its answer: it was made for an hsm
 * that is no longer its own, or for a generation that this node has, or can't get, by now.
 */
bool ks_domain_is_left_over(const struct ks_domain_records *records,
                            const struct ks_domain_self *self,
                            const struct ks_domain_transit *transit);

/* Returns whether a record's node is this one's keystore with an hsm that is no longer its own. */
bool ks_domain_is_stale(const struct ks_domain_self *self, const struct ks_domain_node *node);

/*
 * Returns whether a generation is lost: keys are sealed under it, and no node can be asked for it,
 * because every copy of it is for an hsm that is gone. People must act then.
 */
bool ks_domain_lost(const struct ks_domain_records *records, const struct ks_domain_self *self,
                    uint32_t generation);
