/*
 * apply: what etcd's log does to the copy. Pure but for the write that it is given: the same
 * events make the same copy, and there is no clock, no randomness and no other I/O.
 *
 * The watch is not trusted blindly. Every transaction of ours, heartbeats and strikes included,
 * puts the revision record before anything else. So each revision begins with an event of that
 * record, whose version is one higher than that of the one before; if it is not, events were lost.
 * That is noticed with the first event after the loss, before a keystore says that it has applied
 * it.
 *
 * Nor is etcd trusted to be the one of before: a watch begins with the copy's anchor (history.h),
 * and nothing is applied before the watch has brought that very transaction, with its nonce.
 *
 * While the copy is being loaded the same is done beside the pages of the load: what they brought
 * in a newer form stays.
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
    KS_APPLY_EPOCH, /* etcd is another cluster or was restored: the copy is of another store */
    KS_APPLY_OTHER, /* the watch brings another history than the copy's: ask etcd what it has */
    KS_APPLY_FORM,  /* a revision record has no nonce: another version of Keystead writes here */
};

struct ks_apply_result {
    enum ks_apply_verdict verdict;
    bool list_changed; /* a keystore's record has changed: read the list again */
    bool is_proven;    /* the watch has brought the copy's anchor, in this message or before */
};

/* Where a message comes from. */
struct ks_apply_watch {
    const struct ks_layout *layout;
    const struct ks_copy_source *source;
    bool is_proven; /* a message before it has proved the watch: the next ones need no proof */
};

/*
 * Applies a message of the watch to write, whose position then is that of the last event. A message
 * without events moves nothing, because nothing shows that none were lost. Events that the copy has
 * already are passed over. The caller commits write, or aborts it when the verdict is not DONE.
 *
 * ret_result  untouched after a failure.
 *
 * Fails: LIMIT_EXCEEDED (the copy is full), CORRUPT, INTERNAL; write can then only be aborted.
 */
KS_MUST_USE ks_result ks_apply_message(const struct ks_apply_watch *watch,
                                       const struct ks_etcd_watch_message *message,
                                       struct ks_copy_write *write,
                                       struct ks_apply_result *ret_result);
