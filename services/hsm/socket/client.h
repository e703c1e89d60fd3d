/*
 * client: sends one batch over the socket and waits for its answer. It is for the status command
 * and for tests; keystores have a client of their own.
 *
 * Threads: one a socket.
 */
#pragma once

#include "services/hsm/request/messages.h"

/*
 * Sends a batch and reads its reply.
 *
 * arena      what the reply is read into.
 * ret_reply  has as many replies as the batch has requests; lasts as long as arena. Untouched after
 *            a failure.
 *
 * Fails: UNAVAILABLE (the connection broke), VALIDATION (the answer is malformed),
 * LIMIT_EXCEEDED (the batch fits no frame).
 */
KS_MUST_USE ks_result ks_hsm_exchange(int fd, const HsmBatch *batch, struct ks_arena *arena,
                                      HsmBatchReply **ret_reply);
