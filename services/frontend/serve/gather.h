/*
 * gather: the parts of a batch: its entries, cut out of the request as they stand, and its results,
 * put together to the response (proto/keystead/kms/v1/batch.proto).
 *
 * Threads: pure; any.
 */
#pragma once

#include <stddef.h>

#include "services/frontend/api/operation.h"
#include "services/frontend/api/refusal.h"

/* Bytes of a response: a hundred of the largest results, each with room for a text. */
#define KS_GATHER_LEN_MAX (2U * 1024U * 1024U)

/*
 * The entries of a batch that has passed ks_check_wire, borrowed from it.
 * ret_entries  KS_BATCH_ITEMS_MAX of them.
 * Fails: VALIDATION (none, or too many); refusal says why.
 */
KS_MUST_USE ks_result ks_gather_entries(ks_bytes message, ks_bytes *ret_entries, size_t *ret_count,
                                        struct ks_refusal *refusal);

/* Appends one result: a response, or a refusal if its code is not KS_OK. Fails: LIMIT_EXCEEDED. */
KS_MUST_USE ks_result ks_gather_result(const struct ks_refusal *refusal, ks_bytes response,
                                       struct ks_buffer *batch);
