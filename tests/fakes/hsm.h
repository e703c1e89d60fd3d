/*
 * fake hsm: answers a keystore on a Unix socket as the real one does, without a token, certificates
 * or locked memory. Blobs are real (pkg/blob); EKTs, wrapped keys, challenges and envelopes are in
 * the clear and hold numbers, so that a test sees what is sealed under what.
 *
 * Threads: one of its own; every function from any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pkg/base/result.h"

struct ks_fake_hsm;

/*
 * Listens on socket_path. node stands for the node key: another number is another hsm. Texts are
 * borrowed. Whatever goes wrong fails the test.
 */
struct ks_fake_hsm *ks_fake_hsm_new(const char *socket_path, const char *region, const char *zone,
                                    uint32_t node);
void ks_fake_hsm_free(struct ks_fake_hsm *hsm);

/* Its memory is gone and its connection closed; its node key is the same. */
void ks_fake_hsm_restart(struct ks_fake_hsm *hsm);

/* Another node key, too: the zone was replaced. */
void ks_fake_hsm_replace(struct ks_fake_hsm *hsm, uint32_t node);

/* After `countdown` more requests of a client's operations, the next `repeat` answer code. */
void ks_fake_hsm_fail(struct ks_fake_hsm *hsm, unsigned countdown, unsigned repeat, ks_code code);

/* While it hangs it answers nothing. */
void ks_fake_hsm_hang(struct ks_fake_hsm *hsm, bool hangs);

/* Whether challenges of other zones are refused, as if they were not on the roster. */
void ks_fake_hsm_refuse_to_seal(struct ks_fake_hsm *hsm, bool refuses);

size_t ks_fake_hsm_batch_count(struct ks_fake_hsm *hsm);
size_t ks_fake_hsm_request_count(struct ks_fake_hsm *hsm);
size_t ks_fake_hsm_evicted_count(struct ks_fake_hsm *hsm);
uint64_t ks_fake_hsm_roster_number(struct ks_fake_hsm *hsm);

/* The value of a generation that it holds; 0: it does not. */
uint32_t ks_fake_hsm_value(struct ks_fake_hsm *hsm, uint32_t generation);

/* The generation that an EKT of the fake is sealed under. */
uint32_t ks_fake_hsm_generation_of(const uint8_t *ekt, size_t len);
