/*
 * requests: the hsm's requests about domain keys, each as a function that waits.
 *
 * What a function gives (ret_…) is in arena, and is untouched after a failure. Every function fails
 * as ks_sync_hsm does, and with INTERNAL when the reply lacks what it should hold.
 *
 * Threads: a worker's.
 */
#pragma once

#include <stdint.h>

#include "services/keystore/worker/sync.h"

KS_MUST_USE ks_result ks_request_status(struct ks_hsm_link *link, struct ks_arena *arena,
                                        const INTERNAL(HsmReply) * *ret_reply);
KS_MUST_USE ks_result ks_request_roster(struct ks_hsm_link *link, ks_bytes roster,
                                        struct ks_arena *arena);
KS_MUST_USE ks_result ks_request_make(struct ks_hsm_link *link, uint32_t generation,
                                      struct ks_arena *arena, ks_bytes *ret_wrapped);
KS_MUST_USE ks_result ks_request_load(struct ks_hsm_link *link, uint32_t generation,
                                      ks_bytes wrapped, struct ks_arena *arena);
KS_MUST_USE ks_result ks_request_drop(struct ks_hsm_link *link, uint32_t generation,
                                      struct ks_arena *arena);
KS_MUST_USE ks_result ks_request_challenge(struct ks_hsm_link *link, uint32_t generation,
                                           struct ks_arena *arena, ks_bytes *ret_challenge);
KS_MUST_USE ks_result ks_request_seal(struct ks_hsm_link *link, uint32_t generation,
                                      ks_bytes challenge, struct ks_arena *arena,
                                      ks_bytes *ret_envelope);
/* Also fails with CONFLICT when the envelope held another generation, which is then dropped. */
KS_MUST_USE ks_result ks_request_open(struct ks_hsm_link *link, uint32_t generation,
                                      ks_bytes envelope, struct ks_arena *arena,
                                      ks_bytes *ret_wrapped);
