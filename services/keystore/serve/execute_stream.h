/*
 * execute_stream: KeystoreService.Execute. A frontend's stream of many requests a message; results
 * go back in any order, as many in one message as come together: those of one message of items that
 * need no hsm, those of one frame of the hsm's replies, those that came while the last message was
 * being written.
 *
 * Threads: the stream's loop; results come from wherever a call ends.
 */
#pragma once

#include "pkg/rpc/stream.h"

/*
 * Items of one stream that are under way; beyond, the stream is not read, and the frontend feels it
 * by flow control. Two of them fill the link to the hsm.
 */
#define KS_EXECUTE_OUTSTANDING_MAX 8192U

/* Of the method's row, whose user is a const struct ks_execute_env. */
extern const struct ks_rpc_stream_callbacks ks_execute_stream_callbacks;
