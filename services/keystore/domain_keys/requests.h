/*
 * requests: the hsm's requests about domain keys, each as a function that waits for the reply.
 *
 * Outputs are written on success only; what they point to is in arena. Every function
 * fails as ks_sync_hsm does, and with INTERNAL when the reply lacks what it should hold. After
 * UNAVAILABLE the hsm may have done what it was asked for.
 *
 * Threads: a worker's.
 */
#pragma once

#include <stdint.h>

#include "services/keystore/worker/sync.h"

/* Asks for the hsm's state: its node id, its roster's number, the generations it holds. */
KS_MUST_USE ks_result ks_request_status(struct ks_hsm_link *link, struct ks_arena *arena,
                                        const INTERNAL(HsmReply) * *ret_reply);

/* Gives the hsm a roster. Also fails with the hsm's refusal of it. */
KS_MUST_USE ks_result ks_request_roster(struct ks_hsm_link *link, ks_bytes roster,
                                        struct ks_arena *arena);

/* Gives the hsm a custodian kit. Also fails with the hsm's refusal of it. */
KS_MUST_USE ks_result ks_request_kit(struct ks_hsm_link *link, ks_bytes kit,
                                     struct ks_arena *arena);

/* The keys of a backup, as the hsm gives them; in the arena of the request. */
struct ks_backup_keys {
    ks_bytes stream_key; /* 32 bytes, a secret: the arena is wiped when it is done */
    ks_bytes key_block;  /* proto/formats/key-block-v1.md */
};

/*
 * Has the hsm begin a backup with this header, which names the custodian kit of the period.
 * Also fails as HsmBackupBegin does: NOT_FOUND (the hsm holds no domain key), INVALID_STATE (it has
 * no kit), CONFLICT (its kit is of another period).
 */
KS_MUST_USE ks_result ks_request_backup(struct ks_hsm_link *link, ks_bytes header, uint32_t period,
                                        struct ks_arena *arena, struct ks_backup_keys *ret_keys);

/* Has the hsm make a generation. ret_wrapped is its own copy of it, under its node key. */
KS_MUST_USE ks_result ks_request_make(struct ks_hsm_link *link, uint32_t generation,
                                      struct ks_arena *arena, ks_bytes *ret_wrapped);

/* Gives the hsm its own copy of a generation, which it then holds. */
KS_MUST_USE ks_result ks_request_load(struct ks_hsm_link *link, uint32_t generation,
                                      ks_bytes wrapped, struct ks_arena *arena);

/* Has the hsm forget a generation. */
KS_MUST_USE ks_result ks_request_drop(struct ks_hsm_link *link, uint32_t generation,
                                      struct ks_arena *arena);

/* Has the hsm make a challenge, with which it asks another zone's hsm for a generation. */
KS_MUST_USE ks_result ks_request_challenge(struct ks_hsm_link *link, uint32_t generation,
                                           struct ks_arena *arena, ks_bytes *ret_challenge);

/*
 * Has the hsm answer another zone's challenge. ret_envelope is the generation, for that hsm only.
 */
KS_MUST_USE ks_result ks_request_seal(struct ks_hsm_link *link, uint32_t generation,
                                      ks_bytes challenge, struct ks_arena *arena,
                                      ks_bytes *ret_envelope);

/*
 * Has the hsm open the envelope that answers its challenge; it then holds the generation.
 * ret_wrapped is its own copy. Also fails with CONFLICT when the envelope held another generation,
 * which is then dropped.
 */
KS_MUST_USE ks_result ks_request_open(struct ks_hsm_link *link, uint32_t generation,
                                      ks_bytes envelope, struct ks_arena *arena,
                                      ks_bytes *ret_wrapped);
