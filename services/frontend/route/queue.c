#include "services/frontend/route/queue.h"

#include <assert.h>
#include <stddef.h>

void ks_upstream_queue_push(struct ks_upstream_queue *queue, int index,
                            struct ks_upstream_item *item)
{
    assert(item->queued_at == KS_NO_PEER);
    assert(!queue->first || queue->last);

    item->queue_next = NULL;
    item->queued_at = index;
    *(queue->first ? &queue->last->queue_next : &queue->first) = item;
    queue->last = item;
}

struct ks_upstream_item *ks_upstream_queue_pop(struct ks_upstream_queue *queue)
{
    struct ks_upstream_item *item = queue->first;
    queue->first = item->queue_next;
    item->queued_at = KS_NO_PEER;
    return item;
}

/* Items leave the middle of a queue when it is stuck, the oldest first: they stand in front. */
void ks_upstream_queue_remove(struct ks_upstream_queue *queue, struct ks_upstream_item *item)
{
    struct ks_upstream_item *before = NULL;
    struct ks_upstream_item **link = &queue->first;
    while (*link != item) {
        before = *link;
        link = &before->queue_next;
    }
    *link = item->queue_next;
    if (queue->last == item) {
        queue->last = before;
    }
    item->queued_at = KS_NO_PEER;
}
