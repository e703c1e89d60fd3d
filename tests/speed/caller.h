/*
 * caller: keeps a number of calls of one method with one payload under way, from one thread and
 * one completion queue, and scores them. A call that fails is made anew after a short rest, so that
 * a server that is down is not asked a million times a second.
 *
 * Threads: each caller is its own thread's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include "tests/speed/score.h"

#define CALLER_CHANNELS_MAX    64U
#define CALLER_OUTSTANDING_MAX 1024U /* on one channel */

struct caller_options {
    const char *const *addresses; /* channels go to them in turns; until caller_new returns */
    size_t address_count;
    size_t first_address; /* of the first channel */
    size_t channel_count;
    size_t outstanding;                    /* on each channel */
    const char *method;                    /* "/package.Service/Method" */
    grpc_slice payload;                    /* the request's bytes; borrowed */
    grpc_channel_credentials *credentials; /* borrowed until caller_new returns */
    int64_t deadline_ms;                   /* of each call */
    uint64_t call_count;                   /* successes after which it ends; 0: none */
};

struct caller;

/* Connects when it runs. Free with caller_free. */
struct caller *caller_new(const struct caller_options *options);
void caller_free(struct caller *caller);

/* Calls until score->end_ns, or until call_count calls have succeeded. */
void caller_run(struct caller *caller, struct score *score);

/* Bytes of the last answer; 0 when there was none. */
size_t caller_answer_len(const struct caller *caller);

/* The clock of the scores. */
int64_t caller_now_ns(void);
