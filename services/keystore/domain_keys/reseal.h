/*
 * reseal: brings every key's material under the current generation, in bounded steps, on the
 * keystore on duty.
 *
 * Once a generation is current, no key can be committed under an older one (CreateKey compares
 * domain/current). So what a pass over all keys finds under older ones is all there is, and when it
 * has re-sealed them all, nothing is sealed below the current one any more.
 *
 * Threads: a worker's, one at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/store/store.h"
#include "services/keystore/domain_keys/machine.h"
#include "services/keystore/hsmlink/link.h"

#define KS_RESEAL_SCAN_MAX 2000U /* records looked at in a step */
#define KS_RESEAL_KEYS_MAX 64U   /* keys re-sealed in a step */

struct ks_reseal;

/* region is borrowed. */
struct ks_reseal *ks_reseal_new(struct ks_store *store, struct ks_hsm_link *link,
                                const char *region);
void ks_reseal_free(struct ks_reseal *reseal);

/* One step, if any copy of an older generation stands. Answers whether another one is due at once. */
bool ks_reseal_step(struct ks_reseal *reseal, const struct ks_domain_records *records);

/* Nothing is sealed under a generation below this one; 0: not known. */
uint32_t ks_reseal_clean_below(const struct ks_reseal *reseal);
