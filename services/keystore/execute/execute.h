/*
 * execute: takes items of a frontend's stream from their bytes to their results.
 *
 * Threads: any; see call.h.
 */
#pragma once

#include "pkg/base/bytes.h"
#include "services/keystore/execute/call.h"

/*
 * What the items of one message share: one look at the serving window, one snapshot of the copy,
 * and the keys that were found in that snapshot. The first two are taken when the first item needs
 * them, and so after the message has come (promise 2). It is {0} before the first item;
 * ks_execute_message_done ends it when the last one has been begun.
 */
struct ks_execute_message {
    struct ks_store_view view;
    struct ks_known_keys *known; /* a ref; NULL before the first item */
    ks_result served;            /* what the look at the window said */
    bool looked;
};

/* Closes the view and gives the ref back. */
void ks_execute_message_done(struct ks_execute_message *message);

/*
 * Carries out one item (bytes of an internal.v1.Item) and calls done exactly once: on this thread
 * before this returns, or on another one later. Bytes that are no Item, or longer than
 * KS_EXECUTE_ITEM_MAX, are answered with VALIDATION if they hold a tag: many tenants share the
 * stream, so one bad item must not end it.
 *
 * message  the message that the item came in; used until this returns. NULL: it came alone.
 *
 * Fails: VALIDATION (the bytes hold no tag to answer to; done is not called).
 */
KS_MUST_USE ks_result ks_execute(const struct ks_execute_env *env,
                                 struct ks_execute_message *message, ks_bytes item,
                                 ks_execute_done_fn done_fn, void *user);
