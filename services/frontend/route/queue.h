/*
 * queue: items that wait to be written to one keystore, the oldest first. An item stands in one
 * queue at most, and says which keystore's it is (queued_at).
 *
 * Private to upstream.c. Threads: as the upstream.
 */
#pragma once

#include "services/frontend/route/upstream.h"

#define KS_NO_PEER (-1) /* queued_at of an item that stands in no queue */

/* {0} is empty. */
struct ks_upstream_queue {
    struct ks_upstream_item *first;
    struct ks_upstream_item *last;
};

/* Puts an item that stands in no queue behind the others. index is the keystore's. */
void ks_upstream_queue_push(struct ks_upstream_queue *queue, int index,
                            struct ks_upstream_item *item);

/* Takes the first item off the queue, which must not be empty. */
struct ks_upstream_item *ks_upstream_queue_pop(struct ks_upstream_queue *queue);

/* Takes an item out that stands in this queue, wherever that is. */
void ks_upstream_queue_remove(struct ks_upstream_queue *queue, struct ks_upstream_item *item);
