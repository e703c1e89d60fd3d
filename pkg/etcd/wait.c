/* Calls that are waited for, for tools and tests. */
#include <assert.h>

#include "pkg/etcd/client.h"
#include "pkg/etcd/wire.h"

#define TURN_MS 100

struct waiter {
    struct ks_etcd_answer *answer;
};

static void on_done(void *user, const struct ks_etcd_answer *answer)
{
    struct waiter *waiter = user;
    waiter->answer = ks_etcd_answer_ref(answer);
}

static struct ks_etcd_call call_for(struct waiter *waiter, const struct ks_etcd_call *options)
{
    struct ks_etcd_call call = options ? *options : (struct ks_etcd_call){0};
    call.done = on_done;
    call.user = waiter;
    return call;
}

/* Every call has a time-out, so this ends. */
static struct ks_etcd_answer *wait_for(struct ks_etcd *client, ks_result started,
                                       struct waiter *waiter)
{
    if (ks_failed(started)) {
        bool is_large = started.code == KS_LIMIT_EXCEEDED;
        return ks_etcd_answer_new(is_large ? KS_ETCD_TOO_LARGE : KS_ETCD_TOO_MANY, (ks_bytes){0});
    }
    while (!waiter->answer) {
        ks_etcd_run(client, TURN_MS);
    }
    return waiter->answer;
}

struct ks_etcd_answer *ks_etcd_txn_wait(struct ks_etcd *client, const struct ks_etcd_txn *txn,
                                        const struct ks_etcd_call *options)
{
    struct waiter waiter = {0};
    struct ks_etcd_call call = call_for(&waiter, options);
    return wait_for(client, ks_etcd_txn(client, txn, &call), &waiter);
}

struct ks_etcd_answer *ks_etcd_range_wait(struct ks_etcd *client, const struct ks_etcd_op *op,
                                          const struct ks_etcd_call *options)
{
    struct waiter waiter = {0};
    struct ks_etcd_call call = call_for(&waiter, options);
    return wait_for(client, ks_etcd_range(client, op, &call), &waiter);
}

struct ks_etcd_answer *ks_etcd_compact_wait(struct ks_etcd *client, int64_t revision,
                                            const struct ks_etcd_call *options)
{
    struct waiter waiter = {0};
    struct ks_etcd_call call = call_for(&waiter, options);
    return wait_for(client, ks_etcd_compact(client, revision, &call), &waiter);
}

struct ks_etcd_answer *ks_etcd_disarm_wait(struct ks_etcd *client,
                                           const struct ks_etcd_alarm *alarm,
                                           const struct ks_etcd_call *options)
{
    struct waiter waiter = {0};
    struct ks_etcd_call call = call_for(&waiter, options);
    return wait_for(client, ks_etcd_disarm(client, alarm, &call), &waiter);
}

struct ks_etcd_answer *ks_etcd_wait(struct ks_etcd *client, ks_etcd_start *start,
                                    const struct ks_etcd_call *options)
{
    assert(start);

    struct waiter waiter = {0};
    struct ks_etcd_call call = call_for(&waiter, options);
    return wait_for(client, start(client, &call), &waiter);
}
