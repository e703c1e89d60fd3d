/*
 * records: the stored records that a batch carries. Each is checked once in a batch: that its MAC is
 * this region's, for the name that it stands under. Only what has passed is read.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>

#include "pkg/authentic/authentic.h"
#include "services/hsm/request/messages.h"

struct ks_hsm;
struct ks_hsm_call;

struct ks_hsm_record {
    ks_bytes name; /* borrowed from the batch, as value is */
    ks_bytes value;
    bool is_checked;
    ks_result verdict; /* of the check */
    /* Good if the verdict is OK. */
    struct ks_authentic envelope;
    KeyRecord *key; /* in the batch's arena */
};

struct ks_hsm_carried {
    size_t count;
    struct ks_hsm_record records[];
};

/*
 * Checks every record that the request names.
 * Fails: VALIDATION (it names one that the batch does not carry), CORRUPT (one is not authentic),
 * UNAVAILABLE (the generation of one is not held), LIMIT_EXCEEDED (the arena is full), INTERNAL.
 */
KS_MUST_USE ks_result ks_hsm_check_all(struct ks_hsm_call *call);

/*
 * Finds the record at a place of the request's list, from 1. ks_hsm_check_all has passed it.
 * ret_record  lasts as long as the batch; untouched after a failure.
 * Fails: VALIDATION (there is no such place).
 */
KS_MUST_USE ks_result ks_hsm_record_at(struct ks_hsm_call *call, uint32_t place,
                                       const struct ks_hsm_record **ret_record);

/*
 * Reads the body that a keystore wants to have in a record.
 * ret_key  in the call's arena; has well-formed names and a state. Untouched after a failure.
 * Fails: VALIDATION (malformed, or beyond a limit), LIMIT_EXCEEDED (the arena is full).
 */
KS_MUST_USE ks_result ks_hsm_read_body(struct ks_hsm_call *call, ks_bytes body,
                                       KeyRecord **ret_key);

/*
 * Makes an authenticated record of key under its own name and adds it to the reply.
 *
 * counter     of the record, one above that of the one in whose place it comes.
 * generation  of the domain key that it is made with.
 *
 * Fails: UNAVAILABLE (the generation is not held), VALIDATION (too long), LIMIT_EXCEEDED (the arena
 * is full), INTERNAL.
 */
KS_MUST_USE ks_result ks_hsm_make_record(struct ks_hsm_call *call, const KeyRecord *key,
                                         uint64_t counter, uint32_t generation);
