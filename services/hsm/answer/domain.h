/*
 * domain: what the handlers of domain keys and of backups have in common.
 *
 * Threads: one.
 */
#pragma once

#include "services/hsm/answer/handlers.h"

struct ks_issued;

/*
 * Wraps a domain key under this node's key. The key is borrowed.
 * ret_wrapped  in the call's arena; untouched after a failure.
 * Fails: LIMIT_EXCEEDED (the arena is full), INTERNAL.
 */
KS_MUST_USE ks_result ks_hsm_wrap(struct ks_hsm_call *call, uint32_t generation,
                                  const ks_secret *key, ProtobufCBinaryData *ret_wrapped);

/*
 * Issues a challenge, puts it into the reply and remembers it.
 *
 * issued        with its purpose and what that needs; the rest is filled in here.
 * request_hash  KS_TRANSIT_REQUEST_LEN bytes.
 *
 * Fails: LIMIT_EXCEEDED (the arena is full), INTERNAL.
 */
KS_MUST_USE ks_result ks_hsm_issue(struct ks_hsm_call *call, struct ks_issued *issued,
                                   ks_bytes destination, const uint8_t *request_hash);

/* Answers HsmChallengeRequest when it asks for a backup; fails as hsm.proto says. */
KS_MUST_USE ks_result ks_hsm_challenge_restore(struct ks_hsm_call *call);
