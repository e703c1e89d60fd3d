/*
 * fake hsm: the real hsm's answers (services/hsm) behind a socket of the test's own. Its keys are
 * made in memory: there is no token, no locked memory and no filter. What the real hsm refuses, it
 * refuses, because the same code decides. Added are faults, and counters of what it was asked.
 *
 * Its clock stands still: time passes in no hsm of a root.
 *
 * Threads: one of its own; every function from any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"

struct ks_fake_hsm;
struct ks_fake_hsm_root;

/* The root that certifies hsms and signs their rosters. Never NULL. */
struct ks_fake_hsm_root *ks_fake_hsm_root_new(void);

/* After all its hsms. NULL is fine. */
void ks_fake_hsm_root_free(struct ks_fake_hsm_root *root);

/*
 * Appends a roster of these hsms, signed by their root.
 *
 * hsms  at least one; all of one root and region.
 * out   needs room for KS_ROSTER_LEN_MAX (pkg/transit) bytes.
 */
void ks_fake_hsm_sign_roster(struct ks_fake_hsm *const *hsms, size_t count, uint64_t number,
                             struct ks_buffer *out);

/*
 * Appends a custodian kit of 2 of 3 for this hsm's region, signed by its root. Nobody keeps the
 * custodians' private keys.
 *
 * out  needs room for KS_KIT_LEN_MAX (pkg/custody) bytes.
 */
void ks_fake_hsm_sign_kit(struct ks_fake_hsm *hsm, uint32_t period, struct ks_buffer *out);

/*
 * Makes an hsm with a node key and an identity of its own, and listens on socket_path. Texts and
 * root are borrowed for the hsm's life. Whatever goes wrong ends the test. Never NULL.
 *
 * root  NULL: one of its own, for an hsm that shares its keys with no other.
 */
struct ks_fake_hsm *ks_fake_hsm_new(struct ks_fake_hsm_root *root, const char *socket_path,
                                    const char *region, const char *zone);

/* Ends its thread and closes its socket; the path stays. NULL is fine. */
void ks_fake_hsm_free(struct ks_fake_hsm *hsm);

/* Its memory is gone and its connection closed; node key and identity are the same. */
void ks_fake_hsm_restart(struct ks_fake_hsm *hsm);

/* As a restart, with another node key and identity: the zone was replaced, and no roster has it. */
void ks_fake_hsm_replace(struct ks_fake_hsm *hsm);

/*
 * After `countdown` more requests of a client's operations, Reseals and Evicts, the next `repeat`
 * answer code and do nothing else.
 */
void ks_fake_hsm_fail(struct ks_fake_hsm *hsm, unsigned countdown, unsigned repeat, ks_code code);

/* While it hangs it answers nothing. Afterwards it answers what has come, unless it was restarted. */
void ks_fake_hsm_hang(struct ks_fake_hsm *hsm, bool hangs);

/*
 * What it has taken up since it was made; a restart doesn't change them. What waits while it hangs
 * is counted when it is taken up.
 */
size_t ks_fake_hsm_batch_count(struct ks_fake_hsm *hsm);
size_t ks_fake_hsm_request_count(struct ks_fake_hsm *hsm);

/* The Evicts among them that it has carried out. */
size_t ks_fake_hsm_evicted_count(struct ks_fake_hsm *hsm);

/* Of the roster that it goes by. 0: it has none. */
uint64_t ks_fake_hsm_roster_number(struct ks_fake_hsm *hsm);

/* Of the custodian kit that it has. 0: it has none. */
uint32_t ks_fake_hsm_kit_period(struct ks_fake_hsm *hsm);

/* Whether it holds a domain key of this generation. */
bool ks_fake_hsm_holds(struct ks_fake_hsm *hsm, uint32_t generation);

/*
 * Whether both hold the same domain key of this generation: one can use what the other has sealed.
 * They are two, of one region. False as well when one of them holds none.
 */
bool ks_fake_hsm_agree(struct ks_fake_hsm *one, struct ks_fake_hsm *other, uint32_t generation);

/*
 * Makes a record with a body that no keystore can have an hsm make, as if this one had: the MAC is
 * good. The generation must be held.
 * out  takes the record; needs room for KS_AUTHENTIC_EXTRA_MAX (pkg/authentic) bytes more than body.
 */
void ks_fake_hsm_forge(struct ks_fake_hsm *hsm, ks_bytes name, ks_bytes body, uint64_t counter,
                       struct ks_buffer *out);

/* The generation that an EKT is sealed under. Bytes that are no EKT end the test. */
uint32_t ks_fake_hsm_generation_of(const uint8_t *ekt, size_t len);
