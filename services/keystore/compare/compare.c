#include "services/keystore/compare/compare.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "pkg/arn/spiffe.h"
#include "pkg/base/clock.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/rpc/client.h"
#include "pkg/rpc/server.h"
#include "services/keystore/compare/answer.h"
#include "services/keystore/compare/digests.h"
#include "services/keystore/serve/peer.h"
#include "services/keystore/worker/worker.h"

#define METHOD      "/keystead.internal.v1.KeystoreService/Compare"
#define CALL_MS     5000
#define MESSAGE_MAX (4U * 1024U * 1024U)
#define PASSES_MAX  8U /* over what the other one had in a later form; the log brings the rest */

struct ks_compare {
    struct ks_compare_options options;

    /* The asking worker's own. */
    char compared[KS_STORE_KEYSTORES_MAX][40]; /* ids of those that have answered, in a ring */
    size_t compared_count;
    int64_t began_ns; /* when the copy was first good; 0: not yet */

    pthread_mutex_t lock; /* guards the rest */
    struct ks_rpc_call *calls[KS_COMPARE_PENDING_MAX];
    size_t call_count;
    bool closed;
};

/* ---- Answering ---- */

void ks_compare_handle(void *user, struct ks_rpc_call *call)
{
    struct ks_compare *compare = user;
    ks_code refused = KS_OK;
    if (!ks_peer_is(ks_rpc_call_peer(call), KS_SPIFFE_KEYSTORE)) {
        ks_rpc_call_fail_code(call, KS_ACCESS_DENIED);
        return;
    }
    pthread_mutex_lock(&compare->lock);
    if (compare->closed) {
        refused = KS_UNAVAILABLE;
    } else if (compare->call_count == KS_COMPARE_PENDING_MAX) {
        refused = KS_THROTTLED;
    } else {
        compare->calls[compare->call_count++] = call;
    }
    pthread_mutex_unlock(&compare->lock);
    if (refused != KS_OK) {
        ks_rpc_call_fail_code(call, refused);
        return;
    }
    ks_worker_poke(compare->options.worker);
}

/* The newest first: the order does not matter. */
static struct ks_rpc_call *take_call(struct ks_compare *compare)
{
    pthread_mutex_lock(&compare->lock);
    struct ks_rpc_call *call =
        compare->call_count > 0 ? compare->calls[--compare->call_count] : NULL;
    pthread_mutex_unlock(&compare->lock);
    return call;
}

void ks_compare_answer_run(void *user, struct ks_worker *worker)
{
    struct ks_compare *compare = user;
    (void)worker;
    for (struct ks_rpc_call *call = take_call(compare); call; call = take_call(compare)) {
        KS_BUFFER_AUTO response = {.len_max = MESSAGE_MAX};
        ks_result result =
            ks_compare_answer(compare->options.store, ks_rpc_call_request(call), &response);
        if (ks_failed(result)) {
            ks_rpc_call_fail_code(call, result.code);
        } else {
            ks_rpc_call_reply_buffer(call, &response);
        }
    }
}

void ks_compare_close(struct ks_compare *compare)
{
    pthread_mutex_lock(&compare->lock);
    compare->closed = true;
    pthread_mutex_unlock(&compare->lock);
    for (struct ks_rpc_call *call = take_call(compare); call; call = take_call(compare)) {
        ks_rpc_call_fail_code(call, KS_UNAVAILABLE);
    }
}

/* ---- Asking ---- */

static ks_result open_channel(const struct ks_compare_options *options,
                              const struct ks_store_peer *peer, struct ks_rpc_channel **ret_channel)
{
    struct ks_spiffe spiffe = {.kind = KS_SPIFFE_KEYSTORE};
    char uri[KS_SPIFFE_LEN_MAX + 1];
    snprintf(spiffe.region, sizeof(spiffe.region), "%s", options->region);
    snprintf(spiffe.zone, sizeof(spiffe.zone), "%.*s", (int)KS_ZONE_LEN_MAX, peer->zone);
    KS_TRY(ks_spiffe_format(&spiffe, uri));
    const struct ks_rpc_channel_options channel = {
        .address = peer->address,
        .tls = options->tls,
        .server_spiffe = uri,
        .loop = options->loop,
    };
    return ks_rpc_channel_new(&channel, ret_channel);
}

static ks_result ask(struct ks_compare *compare, struct ks_rpc_channel *channel, uint32_t bucket,
                     struct ks_compare_outcome *ret_outcome)
{
    const struct ks_compare_options *options = &compare->options;
    KS_BUFFER_AUTO request = {.len_max = MESSAGE_MAX};
    KS_BUFFER_AUTO response = {.len_max = MESSAGE_MAX};
    KS_TRY(ks_compare_ask(options->store, bucket, &request));
    const struct ks_rpc_unary_options call = {
        .method = METHOD, .request = &request, .deadline_ms = CALL_MS};
    KS_TRY(ks_rpc_unary_wait(channel, &call, &response, NULL));
    return ks_compare_take(options->store, ks_buffer_bytes(&response), options->on_found,
                           options->user, ret_outcome);
}

/* All buckets once. ret_ahead_count: records of which the other one knows a later form. */
static ks_result pass(struct ks_compare *compare, struct ks_rpc_channel *channel,
                      size_t *ret_ahead_count)
{
    size_t ahead_count = 0;
    for (uint32_t bucket = 0; bucket < KS_COMPARE_BUCKETS;) {
        struct ks_compare_outcome outcome;
        KS_TRY(ask(compare, channel, bucket, &outcome));
        if (outcome.next_bucket <= bucket || outcome.next_bucket > KS_COMPARE_BUCKETS) {
            return KS_RES(VALIDATION);
        }
        bucket = outcome.next_bucket;
        ahead_count += outcome.ahead_count;
    }
    *ret_ahead_count = ahead_count;
    return KS_RES(OK);
}

static void free_channel(struct ks_rpc_channel **channel)
{
    ks_rpc_channel_free(*channel);
}

static ks_result compare_with(struct ks_compare *compare, const struct ks_store_peer *peer)
{
    KS_CLEANUP(free_channel) struct ks_rpc_channel *channel = NULL;
    size_t ahead_count = 1;
    KS_TRY(open_channel(&compare->options, peer, &channel));
    for (size_t i = 0; i < PASSES_MAX && ahead_count > 0; i++) {
        KS_TRY(pass(compare, channel, &ahead_count));
    }
    return KS_RES(OK);
}

static bool is_compared(const struct ks_compare *compare, const char *keystore_id)
{
    bool is = false;
    for (size_t i = 0; i < KS_STORE_KEYSTORES_MAX; i++) {
        is = is || strcmp(compare->compared[i], keystore_id) == 0;
    }
    return is;
}

static void note_compared(struct ks_compare *compare, const struct ks_store_peer *peer)
{
    char *place = compare->compared[compare->compared_count++ % KS_STORE_KEYSTORES_MAX];
    memcpy(place, peer->keystore_id, sizeof(compare->compared[0]));
    ks_log(INFO, "counters of records compared with another zone's keystore",
           KS_TEXT("name", peer->name));
}

/* Returns whether every keystore of another zone has answered, and there is one. */
static bool compare_with_all(struct ks_compare *compare, struct ks_worker *worker,
                             const struct ks_store_status *status)
{
    size_t missing_count = 0;
    for (size_t i = 0; i < status->listed_count && !ks_worker_is_stopping(worker); i++) {
        const struct ks_store_peer *peer = &status->listed[i];
        if (strcmp(peer->zone, compare->options.zone) == 0 ||
            is_compared(compare, peer->keystore_id)) {
            continue;
        }
        if (ks_failed(compare_with(compare, peer))) {
            missing_count++; /* it is asked again in the next run */
        } else {
            note_compared(compare, peer);
        }
    }
    return missing_count == 0 && compare->compared_count > 0;
}

static void release(struct ks_compare *compare, bool is_complete)
{
    int64_t waited_ms = (ks_clock_boot_ns(&ks_clock_system) - compare->began_ns) / KS_NS_PER_MS;
    int64_t wait_ms = compare->compared_count > 0 ? KS_COMPARE_SOME_MS : KS_COMPARE_ALONE_MS;
    if (!ks_store_is_held(compare->options.store) || (!is_complete && waited_ms < wait_ms)) {
        return;
    }
    if (compare->compared_count == 0) {
        ks_log(WARN,
               "no keystore of another zone has answered: counters are compared later, ignoring",
               KS_TEXT("zone", compare->options.zone));
    }
    ks_store_release(compare->options.store);
}

void ks_compare_run(void *user, struct ks_worker *worker)
{
    struct ks_compare *compare = user;
    struct ks_store_status status;
    ks_store_get_status(compare->options.store, &status);
    if (status.state != KS_STORE_FOLLOWING) {
        return;
    }
    if (compare->began_ns == 0) {
        compare->began_ns = ks_clock_boot_ns(&ks_clock_system);
    }
    release(compare, compare_with_all(compare, worker, &status));
}

struct ks_compare *ks_compare_new(const struct ks_compare_options *options)
{
    struct ks_compare *compare = ks_alloc(1, sizeof(*compare));
    compare->options = *options;
    pthread_mutex_init(&compare->lock, NULL);
    return compare;
}

void ks_compare_free(struct ks_compare *compare)
{
    if (compare) {
        assert(compare->call_count == 0);
        pthread_mutex_destroy(&compare->lock);
        ks_free(compare);
    }
}
