/*
 * apply: what etcd's log does to the copy. Pure but for the write that it is given: the same
 * events make the same copy, and there is no clock, no randomness and no other I/O.
 *
 * The watch is not trusted blindly. Every transaction of ours puts the revision record, before
 * anything else: heartbeats and strikes, too. So each revision begins with an event of that record,
 * whose version is one higher than that of the one before, or events were lost. That is noticed
 * with the first event after the loss, before a keystore says that it has applied it.
 *
 * Threads: the store's.
 */
#pragma once

#include "pkg/etcd/message.h"
#include "pkg/store/copy/copy.h"
#include "pkg/store/log/layout.h"

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
 * Applies a message of the watch to write, whose position then is that of the last event: a message
 * without events moves nothing, as nothing shows that none were lost. The caller commits, or aborts
 * when the verdict is not DONE. Events that the copy has already are passed over.
 *
 * Fails: LIMIT_EXCEEDED (the copy is full), CORRUPT, INTERNAL.
 */
KS_MUST_USE ks_result ks_apply_message(const struct ks_layout *layout,
                                       const struct ks_copy_source *source,
                                       const struct ks_etcd_watch_message *message,
                                       struct ks_copy_write *write,
                                       struct ks_apply_result *ret_result);
