/*
 * execute_stream: the stream KeystoreService.Execute, on which a frontend sends messages of many
 * items, one for each request. Results go back in any order, several in one message: all results of
 * a message's items that need no hsm, all that one frame of the hsm's replies brings, and all that
 * come while the previous message is still being written. A frontend that does not read its results
 * is cut off when the stream's queue is full; its items then go to another keystore.
 *
 * Threads: the stream's loop, but a result may come on any thread: on the one on which its call
 * ends.
 */
#pragma once

#include <stdatomic.h>

#include "pkg/rpc/stream.h"

/*
 * How many items of one stream may be under way. At this number the stream is not read any further,
 * so that flow control stops the frontend from sending. Two full streams fill the link to the hsm.
 */
#define KS_EXECUTE_OUTSTANDING_MAX 8192U

struct ks_execute_env;

/* What all streams of a keystore share. It is made by {.env = ...}, and counts from then on. */
struct ks_execute_streams {
    const struct ks_execute_env *env;          /* borrowed */
    atomic_uint_fast64_t item_count;           /* items that came */
    atomic_uint_fast64_t item_message_count;   /* messages in which they came */
    atomic_uint_fast64_t result_count;         /* results that were sent back */
    atomic_uint_fast64_t result_message_count; /* messages in which they were sent */
};

/*
 * The callbacks for the row of KeystoreService.Execute, whose user is a struct ks_execute_streams.
 */
extern const struct ks_rpc_stream_callbacks ks_execute_stream_callbacks;
