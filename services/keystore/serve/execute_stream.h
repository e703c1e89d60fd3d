/*
 * execute_stream: KeystoreService.Execute. A frontend's stream of many requests a message; results
 * go back in any order, as many in one message as come together: those of one message of items that
 * need no hsm, those of one frame of the hsm's replies, those that came while the last message was
 * being written. A frontend that does not read them is cut off when the stream's queue is full: its
 * items then go to another keystore.
 *
 * Threads: the stream's loop; results come from wherever a call ends.
 */
#pragma once

#include <stdatomic.h>

#include "pkg/rpc/stream.h"

/*
 * Items of one stream that are under way; beyond, the stream is not read, and the frontend feels it
 * by flow control. Two of them fill the link to the hsm.
 */
#define KS_EXECUTE_OUTSTANDING_MAX 8192U

struct ks_execute_env;

/* What all streams of a keystore share. {.env = ...}; the counts are of what was since then. */
struct ks_execute_streams {
    const struct ks_execute_env *env; /* borrowed */
    atomic_uint_fast64_t item_count;  /* that came, in so many messages */
    atomic_uint_fast64_t item_message_count;
    atomic_uint_fast64_t result_count; /* that went back, in so many messages */
    atomic_uint_fast64_t result_message_count;
};

/* Of the method's row, whose user is a struct ks_execute_streams. */
extern const struct ks_rpc_stream_callbacks ks_execute_stream_callbacks;
