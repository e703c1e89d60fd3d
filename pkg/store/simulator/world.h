/*
 * world: the state of a simulation, shared by its files. Private to this folder.
 *
 * Threads: one.
 */
#pragma once

#include "pkg/base/clock.h"
#include "pkg/store/copy/copy.h"
#include "pkg/store/log/history.h"
#include "pkg/store/simulator/simulator.h"
#include "pkg/store/window/settle.h"
#include "pkg/store/window/window.h"

#define STORES       3U
#define READS        3U /* under way at a store */
#define LOG_MAX      60000U
#define MESSAGES_MAX 512U
#define D_NS         (2000 * KS_NS_PER_MS)

/* ---- The world ---- */

enum entry_kind { MUTATION, BEAT, STRIKE, EPOCH };

/* A revision of etcd, with all records as they were at it. */
struct entry {
    enum entry_kind kind;
    int64_t value;             /* mod revision of the one record that there is */
    int64_t rev_version;       /* of the revision record, which every transaction puts, */
    struct ks_nonce nonce;     /* and its value */
    uint64_t stamp;            /* of this revision alone, in whatever history */
    int64_t record[STORES];    /* mod revision of each keystore's record; 0: none */
    uint64_t identity[STORES]; /* who wrote it: a keystore that met another epoch has a new one */
};

enum message_kind {
    BEAT_REQUEST,
    BEAT_ANSWER,
    MUTATION_REQUEST,
    RETRY_REQUEST,
    MUTATION_ANSWER,
    STRIKE_REQUEST,
    WORD,
};

struct message {
    bool is_used;
    enum message_kind kind;
    unsigned store; /* whose request or answer it is; of a word: to whom */
    unsigned about; /* STRIKE_REQUEST: whose record; WORD: who says it */
    uint64_t life;  /* of the store when the request was sent */
    int64_t due_ns; /* of the world's clock */
    uint64_t epoch; /* REQUEST: etcd does it in this epoch only */
    struct ks_nonce nonce;
    uint64_t identity; /* WORD: under which it was said. BEAT_REQUEST: of the record */
    uint64_t beat;
    int64_t sent_ns;       /* of the store's clock */
    int64_t revision;      /* committed, settled, said, or listed */
    int64_t list_revision; /* MUTATION_ANSWER: of the transaction */
};

enum read_stage { IDLE, STARTED, LOOKED, TOOK, SETTLING };

struct read {
    struct ks_waiter waiter; /* first: settlements hand it back */
    bool is_mutation;        /* an acknowledgement of revision `value`, not a read */
    enum read_stage stage;
    int64_t floor;
    int64_t value;
    uint64_t stamp;   /* of that value */
    uint64_t history; /* of etcd when it began */
    uint64_t generation;
};

struct store {
    struct ks_window window;
    struct ks_settling settling;
    struct ks_list list; /* as of position.applied */
    struct ks_position position;
    int64_t value;  /* of the copy */
    uint64_t stamp; /* of that value */
    uint64_t epoch; /* of the copy */
    uint64_t identity;
    bool is_proven;   /* the watch has brought the copy's anchor */
    bool has_refusal; /* and is_refused says that it was so since the operator decided last */
    bool is_refused;
    struct ks_anchor refusal;
    bool has_flight; /* a mutation whose outcome is not known: it is sent again */
    struct ks_nonce flight_nonce;
    uint64_t life;
    int64_t rate_permille; /* of the world's clock */
    int64_t offset_ns;
    int64_t paused_until_ns; /* of the world's clock, as the next two */
    int64_t watch_from_ns;
    int64_t loaded_at_ns; /* position.loading: when the load ends */
    struct read reads[READS];
};

struct world {
    enum sim_plant plant;
    uint64_t random;
    int64_t now_ns;
    struct entry log[LOG_MAX + 1];
    int64_t revision;
    int64_t floor;
    uint64_t stamps;    /* given out */
    uint64_t nonces;    /* given out */
    uint64_t epoch;     /* an operator changes it after etcd went back */
    uint64_t history;   /* one more each time that etcd goes back */
    int64_t back_ns;    /* when etcd goes back next, of the world's clock */
    int64_t outage_ns;  /* since when it does nothing before that */
    int64_t decided_ns; /* when the operator decides; 0: nothing is to be decided */
    struct store stores[STORES];
    struct message messages[MESSAGES_MAX];
    struct sim_report report;
};

/* Return a random number below `below`; and true, so many times in a thousand. */
uint64_t sim_draw(struct world *world, uint64_t below);
bool sim_chance(struct world *world, uint64_t permille);

/* Appends a revision to etcd's log, as a copy of the last one. */
struct entry *sim_append(struct world *world, enum entry_kind kind, const struct ks_nonce *nonce);

/* Returns another nonce at each call. */
struct ks_nonce sim_nonce(struct world *world);

/* Ends what waits in the memory of a store: readers get no answer. */
void sim_forget_memory(struct store *store);

/* Ends the process of a store and begins it again, perhaps after a power loss. */
void sim_restart(struct world *world, struct store *store, bool loses_copy);

/* Begins the copy of a store anew. */
void sim_reload(struct world *world, struct store *store);

/* ---- went_back.c ---- */

/* Lets etcd go back, or the operator decide, if that is due. */
void sim_go_back(struct world *world);

/* Returns whether etcd does nothing now, because it will go back. */
bool sim_is_out(const struct world *world);

/*
 * Returns whether the store may go on with its copy: etcd has the copy's anchor. If it has not, the
 * store refuses, or begins anew in another epoch.
 */
bool sim_prove(struct world *world, struct store *store);

/* Returns whether etcd has the value that a read or a mutation gives. */
bool sim_has(const struct world *world, const struct read *read);
