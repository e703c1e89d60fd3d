/*
 * keeper: gives the zone's hsm its roster, its custodian kit and its domain keys, and carries out the machine's moves,
 * one at a time: look at the records, ask the hsm, commit, look again.
 *
 * When the hsm connects (for the first time, or because it or this process was restarted),
 * everything that it holds is dropped and loaded from the records: a key that was left over from an
 * interrupted move could be another one than the record's, under the same number. Then the link is
 * opened for other requests.
 *
 * Threads: ks_keeper_run on a worker's thread; the other functions on any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/clock.h"
#include "pkg/base/result.h"
#include "pkg/store/store.h"
#include "services/keystore/domain_keys/machine.h"
#include "services/keystore/domain_keys/reseal.h"
#include "services/keystore/hsmlink/link.h"

#define KS_KEEPER_ALARMS_MAX 6U
#define KS_KEEPER_ALARM_LEN  256U

struct ks_keeper;
struct ks_worker;

struct ks_keeper_options {
    struct ks_store *store;
    struct ks_hsm_link *link;
    const char *region; /* borrowed, as the next two */
    const char *zone;
    const char *name; /* of the keystore, in the cell's list */
    unsigned min_zones;
    int64_t rotation_ms;          /* age at which a generation is replaced; 0: on command only */
    const struct ks_clock *clock; /* NULL: ks_clock_system */
};

/* Makes a keeper; never NULL. Free with ks_keeper_free once no worker runs it any more. */
struct ks_keeper *ks_keeper_new(const struct ks_keeper_options *options);

/* Frees a keeper. NULL is fine. */
void ks_keeper_free(struct ks_keeper *keeper);

/* The link's callbacks. They tell that the hsm has connected, and that it is lost. */
void ks_keeper_connected(struct ks_keeper *keeper, uint64_t life);
void ks_keeper_lost(struct ks_keeper *keeper);

/*
 * The worker's function: makes one move after the other until there is nothing to do or a move
 * fails. user is the struct ks_keeper.
 */
void ks_keeper_run(void *user, struct ks_worker *worker);

/* Returns whether the keeper's worker must be poked when this record changes. */
bool ks_keeper_concerns(ks_bytes key);

struct ks_keeper_status {
    uint32_t current;
    uint32_t held[KS_DOMAIN_HELD_MAX];
    size_t held_count;
    struct ks_reseal_progress reseal;                       /* of the keystore on duty */
    bool ready;                                             /* the hsm has what it needs */
    char alarms[KS_KEEPER_ALARMS_MAX][KS_KEEPER_ALARM_LEN]; /* sentences */
    size_t alarm_count;
};

/* Copies what the keeper found when it ran last. */
void ks_keeper_get_status(struct ks_keeper *keeper, struct ks_keeper_status *ret_status);
