/*
 * sync: asks the store or the hsm, waits, and returns the answer. It is for workers, which may
 * wait.
 *
 * Both always answer within their own time-outs, so nothing here waits for ever.
 *
 * Threads: any but the store's, the hsm link's and a loop's.
 */
#pragma once

#include "keystead/internal/v1/hsm.pb-c.h"
#include "pkg/base/arena.h"
#include "pkg/record/change.h"
#include "pkg/store/store.h"
#include "services/keystore/hsmlink/link.h"
#include "services/keystore/records/message.h"

/*
 * Commits a change.
 * ret_revision  the commit's, if it is not NULL; untouched after a failure.
 * Fails: as change->result and as ks_store_outcome.result.
 */
KS_MUST_USE ks_result ks_sync_commit(struct ks_store *store, const struct ks_change *change,
                                     int64_t *ret_revision);

/*
 * Asks the hsm, also while the link is not open yet for other requests (ks_hsm_link_prepare).
 * ret_reply  in arena; untouched after a failure.
 * Fails: as ks_hsm_done_fn; LIMIT_EXCEEDED (the arena is full).
 */
KS_MUST_USE ks_result ks_sync_hsm(struct ks_hsm_link *link, const INTERNAL(HsmRequest) * request,
                                  struct ks_arena *arena, const INTERNAL(HsmReply) * *ret_reply);

/*
 * The same for a request that rests on a record.
 * ret_reply  in arena; untouched after a failure.
 * Fails: as ks_sync_hsm.
 */
KS_MUST_USE ks_result ks_sync_hsm_about(struct ks_hsm_link *link,
                                        const INTERNAL(HsmRequest) * request,
                                        struct ks_about *about, struct ks_arena *arena,
                                        const INTERNAL(HsmReply) * *ret_reply);
