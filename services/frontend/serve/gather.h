/*
 * gather: makes a batch's response of its results (proto/keystead/kms/v1/batch.proto).
 *
 * Threads: pure; any.
 */
#pragma once

#include <stddef.h>

#include "pkg/operation/operation.h"
#include "pkg/operation/refusal.h"

/* Bytes of a response: a hundred of the largest results, each with room for a text. */
#define KS_GATHER_LEN_MAX (2U * 1024U * 1024U)

/*
 * Appends one result: the response, or the refusal if its code is not KS_OK.
 * Fails: LIMIT_EXCEEDED (the buffer's len_max); what batch holds then is not a whole response.
 */
KS_MUST_USE ks_result ks_gather_result(const struct ks_refusal *refusal, ks_bytes response,
                                       struct ks_buffer *batch);
