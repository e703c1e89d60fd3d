/*
 * reseal: brings every key's record, with its material and its MAC, and every tombstone under the
 * current generation, in bounded steps, on the keystore on duty.
 *
 * Once a generation is current, no key can be committed under an older one, because whatever
 * puts a record compares domain/current. So one pass over all keys finds everything that is sealed under older
 * ones. When it has re-sealed all of that, nothing is sealed under a generation below the current
 * one.
 *
 * A record that can't be read or is not authentic stops nothing but the end: all others are brought
 * under the current generation, and the older ones are needed as long as it stands.
 *
 * Threads: a worker's, one at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/store/store.h"
#include "services/keystore/domain_keys/machine.h"
#include "services/keystore/hsmlink/link.h"
#include "services/keystore/records/name.h"

#define KS_RESEAL_SCAN_MAX 2000U /* records looked at in a step */
#define KS_RESEAL_KEYS_MAX 64U   /* keys re-sealed in a step */
#define KS_RESEAL_PAUSE_RUNS                                                                       \
    30U /* steps that do nothing after a pass in which records were refused */

struct ks_reseal;

/* Makes it; never NULL. Free with ks_reseal_free. store and link are borrowed. */
struct ks_reseal *ks_reseal_new(struct ks_store *store, struct ks_hsm_link *link);
/* Frees it. NULL is fine. */
void ks_reseal_free(struct ks_reseal *reseal);

/*
 * Takes one step, if there is a copy of an older generation. Returns whether another step is due at
 * once; false also after a failure, which the next run tries again.
 */
bool ks_reseal_step(struct ks_reseal *reseal, const struct ks_domain_records *records);

struct ks_reseal_progress {
    uint32_t generation; /* that keys are brought under; 0: nothing is to be done */
    uint64_t looked_at;  /* keys, in this pass */
    uint64_t resealed;   /* of these */
    /*
     * Records that can't be read or are not authentic, in this pass or in the one before, and the
     * first of them. They stay as they are, and older generations stay because of them.
     */
    uint64_t refused_count;
    struct ks_name refused;
};

/*
 * Returns how far the pass is. A pass that failed begins again; if records were refused, only after
 * KS_RESEAL_PAUSE_RUNS, because an operator has to repair them first.
 */
struct ks_reseal_progress ks_reseal_progress(const struct ks_reseal *reseal,
                                             const struct ks_domain_records *records);

/* Returns the generation below which nothing is sealed; 0 while that is not known. */
uint32_t ks_reseal_clean_below(const struct ks_reseal *reseal);
