/*
 * apply: what etcd's log does to the copy. Pure but for the write that it is given: the same
 * events make the same copy, and there is no clock, no randomness and no other I/O.
 *
 * The watch is not trusted blindly: the version of the revision record must rise by exactly one
 * with each of its events, or events were lost.
 *
 * Threads: the store's.
 */
#pragma once

#include "pkg/etcd/message.h"
#include "pkg/store/copy.h"
#include "pkg/store/layout.h"

enum ks_apply_verdict {
    KS_APPLY_DONE,
    KS_APPLY_LOST,  /* events are missing or out of order: load the copy anew */
    KS_APPLY_EPOCH, /* it is another store by now: throw the copy away */
};

struct ks_apply_result {
    enum ks_apply_verdict verdict;
    bool list_changed;
};

/*
 * Applies a message of the watch to write, whose position then is that of the last event (of a
 * message without events: the header's revision). The caller commits, or aborts when the verdict
 * is not DONE. Events that the copy has already are passed over.
 *
 * Fails: LIMIT_EXCEEDED (the copy is full), CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_apply_message(const struct ks_layout *layout,
                                       const struct ks_source *source,
                                       const struct ks_etcd_watch_message *message,
                                       struct ks_copy_write *write,
                                       struct ks_apply_result *ret_result);
