/*
 * hsm: everything that one hsm holds in memory, and the answer to each request. No I/O: frames come
 * from and go to whoever calls (loop.h), keys come from the token through safe.h at start.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/clock.h"
#include "pkg/base/secret.h"
#include "services/hsm/request/messages.h"

struct ks_ec_key;
struct ks_hsm;

struct ks_hsm_options {
    const char *region; /* texts are borrowed for the hsm's life */
    const char *zone;
    const char *trust_domain;
    const struct ks_clock *clock;
    ks_secret *node_key;              /* KS_NODE_KEY_LEN bytes; wiped in any case */
    const struct ks_ec_key *identity; /* P-384; borrowed for the hsm's life */
    ks_bytes certificate;             /* of identity, DER; borrowed for the hsm's life */
    ks_bytes root;                    /* the pinned hsm root, DER; borrowed for the hsm's life */
    uint64_t roster_floor;            /* rosters of a lower number are refused */
    size_t cache_entries;
    bool fips;
    bool confined; /* the filter is on and memory locked: for HsmStatus */
};

#define KS_NODE_KEY_LEN 32U

/*
 * Makes the hsm, with a transit key of its own life.
 *
 * ret_hsm  the caller's; ks_hsm_free.
 *
 * Fails: ACCESS_DENIED (certificate is not identity's, not of root, or of another region or zone),
 * INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_hsm_new(const struct ks_hsm_options *options, struct ks_hsm **ret_hsm);

/* Wipes everything. NULL is fine. */
void ks_hsm_free(struct ks_hsm *hsm);

/* Hex, of the identity key; borrowed. */
const char *ks_hsm_node_id(const struct ks_hsm *hsm);

/*
 * Answers one request; a failure is in the reply's code. What a dry run has made stays in arena,
 * which is wiped with everything in it, and is not in the reply.
 *
 * arena      what the reply points to lives there.
 * ret_reply  initialised here; lasts as long as arena.
 */
void ks_hsm_handle(struct ks_hsm *hsm, const HsmRequest *request, struct ks_arena *arena,
                   HsmReply *ret_reply);

/*
 * Answers a frame of requests with a frame of replies, appended to out.
 *
 * Fails: VALIDATION, LIMIT_EXCEEDED (the frame is no batch, or its replies fit no frame: whoever
 * sent it is to be cut off; out may hold a part of an answer).
 */
KS_MUST_USE ks_result ks_hsm_answer(struct ks_hsm *hsm, ks_bytes frame, struct ks_buffer *out);
