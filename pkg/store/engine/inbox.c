#include "pkg/store/engine/inbox.h"

#include <assert.h>
#include <stddef.h>

bool ks_inbox_push(struct ks_inbox *inbox, struct ks_message *message)
{
    assert(message);

    struct ks_message *newest = atomic_load_explicit(&inbox->newest, memory_order_relaxed);
    do {
        message->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&inbox->newest, &newest, message,
                                                    memory_order_release, memory_order_relaxed));
    return newest == NULL;
}

struct ks_message *ks_inbox_take(struct ks_inbox *inbox)
{
    struct ks_message *newest =
        atomic_exchange_explicit(&inbox->newest, NULL, memory_order_acquire);
    struct ks_message *oldest = NULL;
    while (newest) {
        struct ks_message *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}
