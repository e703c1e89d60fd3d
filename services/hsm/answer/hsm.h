/*
 * hsm: answers the keystore's requests with what one hsm holds in memory. It does no I/O: the loop
 * (socket/loop.h) hands frames in and takes frames out, and keys come from the token at start
 * (process/safe.h).
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
struct ks_hsm_carried;

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
 * ret_hsm  the caller's; ks_hsm_free. Untouched after a failure.
 *
 * Fails: ACCESS_DENIED (certificate is not identity's, not of root, or of another region or zone),
 * INTERNAL (OpenSSL).
 */
KS_MUST_USE ks_result ks_hsm_new(const struct ks_hsm_options *options, struct ks_hsm **ret_hsm);

/* Wipes everything. NULL is fine. */
void ks_hsm_free(struct ks_hsm *hsm);

/* Returns the id of this hsm: hex digits, made from its node key and identity. Borrowed from hsm. */
const char *ks_hsm_node_id(const struct ks_hsm *hsm);

/*
 * Makes ready the records that a batch carries. They are checked when a request names them.
 * ret_carried  lasts as long as arena and batch; untouched after a failure.
 * Fails: LIMIT_EXCEEDED (the arena is full).
 */
KS_MUST_USE ks_result ks_hsm_carry(const HsmBatch *batch, struct ks_arena *arena,
                                   struct ks_hsm_carried **ret_carried);

/*
 * Answers one request; a failure is in the reply's code. What a dry run has made stays in arena,
 * which is wiped with everything in it, and is not in the reply.
 *
 * carried    the records of its batch; NULL: none.
 * arena      what the reply points to lives there.
 * ret_reply  initialised here; lasts as long as arena.
 */
void ks_hsm_handle(struct ks_hsm *hsm, struct ks_hsm_carried *carried, const HsmRequest *request,
                   struct ks_arena *arena, HsmReply *ret_reply);

/*
 * Answers a frame of requests with a frame of replies, appended to out. A reply that would be too
 * long for what is left of its frame is LIMIT_EXCEEDED: a client is not cut off for what it asked.
 *
 * out  after a failure it may hold a part of an answer, which must not be sent.
 *
 * Fails: VALIDATION, LIMIT_EXCEEDED (the frame is no batch, or unpacks to more than an arena takes:
 * the caller cuts the client off that sent it), LIMIT_EXCEEDED also if out has not room for a frame.
 */
KS_MUST_USE ks_result ks_hsm_answer(struct ks_hsm *hsm, ks_bytes frame, struct ks_buffer *out);
