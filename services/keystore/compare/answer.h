/*
 * answer: one question between two keystores. The asker sends its digests; the other one answers
 * with the counters that it remembers in the buckets that differ; the asker takes over those that
 * are higher than its own. Its file, or the etcd that it was loaded from, is then known to hold an
 * older record, and the copy is loaded anew, by a guard that knows better.
 *
 * Threads: pure over the store; for workers, because a question looks at everything that the store
 * remembers.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pkg/base/bytes.h"
#include "pkg/base/result.h"
#include "pkg/store/store.h"

/* Bytes of an answer that is not of one bucket alone. */
#define KS_COMPARE_ANSWER_LEN (512U * 1024U)

/*
 * Appends a question (CompareRequest) about the buckets from `bucket` on.
 * request  unchanged on failure.
 * Fails: UNAVAILABLE (the copy is being loaded), CORRUPT, INTERNAL, LIMIT_EXCEEDED (the buffer's
 * cap).
 */
KS_MUST_USE ks_result ks_compare_ask(struct ks_store *store, uint32_t bucket,
                                     struct ks_buffer *request);

/*
 * Appends the answer (CompareResponse) to a question.
 * response  unchanged on failure.
 * Fails: as ks_compare_ask; VALIDATION (it is no question).
 */
KS_MUST_USE ks_result ks_compare_answer(struct ks_store *store, ks_bytes request,
                                        struct ks_buffer *response);

/* What came of an answer. */
struct ks_compare_outcome {
    uint32_t next_bucket; /* to be asked about next; KS_COMPARE_BUCKETS: all were */
    size_t ahead_count;   /* records that it has in a later form: nothing is known of them here */
    size_t found_count;   /* records that are older here */
};

/*
 * Takes an answer: raises what is remembered here, and has the copy loaded anew if anything was found.
 * on_found     is called with the name of each record that is older here
 * ret_outcome  untouched after a failure; what was found before it stays raised.
 * Fails: as ks_compare_ask; VALIDATION (it is no answer).
 */
KS_MUST_USE ks_result ks_compare_take(struct ks_store *store, ks_bytes response,
                                      void (*on_found)(void *user, ks_bytes name), void *user,
                                      struct ks_compare_outcome *ret_outcome);
