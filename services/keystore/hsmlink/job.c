#include "services/keystore/hsmlink/job.h"

#include <assert.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/codec/wire.h"
#include "pkg/frame/frame.h"
#include "proto/keystead/internal/v1/hsm_limits.h"

#define JOB_LEN_MAX     (512U * 1024U) /* a change of a key with the longest tags */
#define REQUESTS_NUMBER 1U             /* HsmBatch.requests */
#define PLACES_NUMBER   20U            /* HsmRequest.records */

void ks_hsm_queue_push(struct ks_hsm_queue *queue, struct ks_hsm_job *job)
{
    job->next = NULL;
    if (queue->last) {
        queue->last->next = job;
    } else {
        queue->first = job;
    }
    queue->last = job;
    queue->count++;
}

struct ks_hsm_job *ks_hsm_queue_pop(struct ks_hsm_queue *queue)
{
    struct ks_hsm_job *job = queue->first;
    if (job) {
        queue->first = job->next;
        queue->last = queue->first ? queue->last : NULL;
        queue->count--;
    }
    return job;
}

/* Of all records that a request names. */
static size_t about_len(const struct ks_hsm_ask *ask)
{
    size_t len = 0;
    for (size_t i = 0; i < ask->about_count; i++) {
        len += ask->about[i]->packed.len;
    }
    return len;
}

/* Of a request whose own fields are len bytes long, with the field of places before them. */
static size_t inner_len(const struct ks_hsm_ask *ask, size_t len)
{
    size_t places_len = KS_HSM_PLACE_LEN * ask->about_count;
    return len + (places_len > 0 ? ks_wire_head_len(PLACES_NUMBER, places_len) + places_len : 0);
}

/* The field of places and the request's own fields, which are len bytes long. */
static void pack_job(const struct ks_hsm_ask *ask, size_t len, struct ks_hsm_job *job)
{
    size_t places_len = KS_HSM_PLACE_LEN * ask->about_count;
    uint8_t *place = ks_wire_write_head(REQUESTS_NUMBER, inner_len(ask, len), job->packed);
    if (places_len > 0) {
        job->places = ks_wire_write_head(PLACES_NUMBER, places_len, place);
        place = job->places + places_len;
    }
    ks_codec_write(&ask->message->base, len, place);
}

/*
 * How long the reply to a request may be, in its frame: hsm_limits.h. A client's operation is
 * answered with what stands in the request; the owner has whole records made anew, too.
 */
static size_t reply_len_max(const struct ks_hsm_ask *ask, size_t packed_len, bool is_own)
{
    return is_own ? packed_len + about_len(ask) + KS_HSM_REPLY_OWN_EXTRA_MAX
                  : packed_len + KS_HSM_REPLY_EXTRA_MAX;
}

struct ks_hsm_job *ks_hsm_job_new(const struct ks_hsm_ask *ask, bool is_own, ks_hsm_done_fn done,
                                  void *user)
{
    assert(ask->about_count <= KS_HSM_LINK_ABOUT_MAX && ask->message->n_records == 0);

    size_t len = ks_codec_packed_len(&ask->message->base);
    size_t inner = inner_len(ask, len);
    size_t packed_len = ks_wire_head_len(REQUESTS_NUMBER, inner) + inner;
    size_t reply_len = reply_len_max(ask, packed_len, is_own);
    if (packed_len > JOB_LEN_MAX || packed_len + about_len(ask) > KS_FRAME_LEN_MAX ||
        reply_len > KS_FRAME_LEN_MAX) {
        return NULL;
    }
    size_t list_len = ask->about_count * sizeof(struct ks_about *);
    struct ks_hsm_job *job = ks_realloc(NULL, 1, sizeof(*job) + list_len + packed_len);
    *job = (struct ks_hsm_job){
        .done = done,
        .user = user,
        .about_count = ask->about_count,
        .about = (struct ks_about **)(job + 1),
        .reply_len_max = reply_len,
        .len = packed_len,
        .packed = (uint8_t *)(job + 1) + list_len,
    };
    if (list_len > 0) {
        memcpy(job->about, ask->about, list_len);
    }
    pack_job(ask, len, job);
    return job;
}

void ks_hsm_job_free(struct ks_hsm_job *job)
{
    ks_wipe(job->packed, job->len);
    ks_free(job);
}

void ks_hsm_queue_append(struct ks_hsm_queue *queue, struct ks_hsm_queue *from)
{
    for (struct ks_hsm_job *job = ks_hsm_queue_pop(from); job; job = ks_hsm_queue_pop(from)) {
        ks_hsm_queue_push(queue, job);
    }
}
