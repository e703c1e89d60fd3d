/*
 * inbox: what other threads hand to the store's thread. It is a stack that many threads push to and
 * one takes as a whole, so no thread ever waits for a lock.
 *
 * Threads: any may push; the store's thread takes.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

enum ks_message_kind {
    KS_MESSAGE_COMMIT, /* struct ks_pending */
    KS_MESSAGE_SETTLE, /* struct ks_wish */
    KS_MESSAGE_WORD,   /* struct ks_word */
};

/* The first member of what is handed over. */
struct ks_message {
    struct ks_message *next;
    enum ks_message_kind kind;
};

/* The zero value is empty. */
struct ks_inbox {
    _Atomic(struct ks_message *) newest;
};

/*
 * Takes the message over. Returns true if the inbox was empty before: the caller must then wake the
 * thread that takes from it. False: that thread has been woken and has not looked yet.
 */
bool ks_inbox_push(struct ks_inbox *inbox, struct ks_message *message);

/*
 * Takes out all messages, which are then the caller's: the oldest first, linked by next. NULL:
 * none.
 */
struct ks_message *ks_inbox_take(struct ks_inbox *inbox);
