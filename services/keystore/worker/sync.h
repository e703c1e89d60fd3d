/*
 * sync: the store and the hsm for a worker, which may wait: asks, and returns with the answer.
 *
 * Both always answer within their own time-outs, so nothing here waits for ever.
 * Threads: any but the store's, the hsm link's and a loop's.
 */
#pragma once

#include "keystead/internal/v1/hsm.pb-c.h"
#include "pkg/base/arena.h"
#include "pkg/record/change.h"
#include "pkg/store/store.h"
#include "services/keystore/hsmlink/link.h"
#include "services/keystore/records/message.h"

/* Fails: as ks_store_outcome.result, and as change->result. ret_revision may be NULL. */
KS_MUST_USE ks_result ks_sync_commit(struct ks_store *store, const struct ks_change *change,
                                     int64_t *ret_revision);

/*
 * As soon as the hsm is connected (ks_hsm_link_prepare).
 * ret_reply  in arena, on success.
 * Fails: as ks_hsm_done_fn; LIMIT_EXCEEDED (the arena is full).
 */
KS_MUST_USE ks_result ks_sync_hsm(struct ks_hsm_link *link, const INTERNAL(HsmRequest) * request,
                                  struct ks_arena *arena, const INTERNAL(HsmReply) * *ret_reply);
