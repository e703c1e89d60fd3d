/*
 * inbox: what other threads hand to the store's thread. A stack that many push to and one takes
 * whole, so nobody ever waits for a lock.
 *
 * Threads: push from any; take by the store's thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

enum ks_message_kind {
    KS_MESSAGE_COMMIT, /* struct ks_pending */
    KS_MESSAGE_SETTLE, /* struct ks_wish */
    KS_MESSAGE_WORD,   /* struct ks_word */
};

/* Stands first in what is handed over. */
struct ks_message {
    struct ks_message *next;
    enum ks_message_kind kind;
};

/* The zero value is empty. */
struct ks_inbox {
    _Atomic(struct ks_message *) newest;
};

/*
 * Takes the message over, in any case. Returns true if the inbox was empty before: the caller must
 * then wake the thread that takes from it.
 */
bool ks_inbox_push(struct ks_inbox *inbox, struct ks_message *message);

/* Everything that is there, oldest first, linked by next; NULL when empty. */
struct ks_message *ks_inbox_take(struct ks_inbox *inbox);
