/*
 * job: a request of the link, packed as an element of HsmBatch.requests, and queues of such.
 *
 * Threads: one at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "services/keystore/hsmlink/link.h"

#define KS_HSM_PLACE_LEN 4U /* bytes: of HsmRequest.records */

struct ks_hsm_job {
    struct ks_hsm_job *next;
    ks_hsm_done_fn done;
    void *user;
    size_t about_count;
    struct ks_about **about; /* behind the struct, as the rest is */
    uint8_t *places;         /* in packed: a place for each record, written when it is sent */
    size_t reply_len_max;    /* bytes of a frame that the reply to it may take */
    size_t len;
    uint8_t *packed; /* as an element of HsmBatch.requests */
};

struct ks_hsm_queue {
    struct ks_hsm_job *first;
    struct ks_hsm_job *last;
    size_t count;
};

/*
 * Packs a request; the caller's, to be freed with ks_hsm_job_free. NULL if it is longer than any may
 * be, with or without its records, or if the reply to it might be.
 * is_own  the link's owner asks, not a client's operation: hsm_limits.h.
 */
struct ks_hsm_job *ks_hsm_job_new(const struct ks_hsm_ask *ask, bool is_own, ks_hsm_done_fn done,
                                  void *user);

/* Wipes and frees it. */
void ks_hsm_job_free(struct ks_hsm_job *job);

/* Adds a job behind the others; it is the queue's then. */
void ks_hsm_queue_push(struct ks_hsm_queue *queue, struct ks_hsm_job *job);

/* Takes the first job off, which is the caller's then; NULL: there is none. */
struct ks_hsm_job *ks_hsm_queue_pop(struct ks_hsm_queue *queue);

/* Moves all jobs of from behind those of queue. */
void ks_hsm_queue_append(struct ks_hsm_queue *queue, struct ks_hsm_queue *from);
