#include "services/frontend/identity/watch.h"

#include <assert.h>
#include <stdio.h>

#include "pkg/arn/spiffe.h"
#include "pkg/base/clock.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/follow/follower.h"
#include "pkg/rpc/loop.h"

#define WATCH_IDENTITIES "/keystead.internal.v1.KeystoreService/WatchIdentities"

/* The stream from one keystore. */
struct source {
    struct ks_watch *watch;
    size_t index;
    struct ks_follower *follower;
};

struct ks_watch {
    struct ks_watch_options options;
    struct ks_merge *merge;
    char spiffe[KS_SPIFFE_LEN_MAX + 1]; /* of any keystore of the region */
    struct source sources[KS_MERGE_SOURCES_MAX];
    /* The loop's. */
    bool told;        /* on_first was called */
    int64_t heard_ms; /* when a later head came */
    struct ks_rpc_timer *timer;
};

static int64_t now_ms(void)
{
    return ks_clock_boot_ns(&ks_clock_system) / KS_NS_PER_MS;
}

static bool on_open(void *user, struct ks_follow_position *position)
{
    const struct source *source = user;
    return ks_merge_open(source->watch->merge, source->index, now_ms(), position);
}

static ks_result on_part(void *user, const struct ks_follow_part *part)
{
    const struct source *source = user;
    struct ks_watch *watch = source->watch;
    uint64_t before = ks_merge_position(watch->merge)->number;
    KS_TRY(ks_merge_received(watch->merge, source->index, now_ms(), part));
    if (ks_merge_position(watch->merge)->number > before) {
        watch->heard_ms = now_ms();
    }
    if (!watch->told && ks_merge_has_version(watch->merge)) {
        watch->told = true;
        ks_log(INFO, "identities are here",
               KS_NUMBER("revision", ks_merge_position(watch->merge)->revision),
               KS_TEXT("address", watch->options.addresses[source->index]));
        watch->options.on_first(watch->options.user);
    }
    return KS_RES(OK);
}

/* Once for each silence of that length. */
static void listen(void *argument)
{
    struct ks_watch *watch = argument;
    int64_t silence_ms = now_ms() - watch->heard_ms;
    if (silence_ms >= KS_WATCH_SILENCE_MS) {
        ks_log(ERROR, "nothing new was heard of control: revocations do not arrive",
               KS_NUMBER("duration_ms", silence_ms));
    }
    watch->timer = ks_rpc_loop_after(watch->options.loop, KS_WATCH_SILENCE_MS, listen, watch);
}

static void stop_listening(void *argument)
{
    struct ks_watch *watch = argument;
    ks_rpc_timer_cancel(watch->timer);
    watch->timer = NULL;
}

static void on_end(void *user)
{
    const struct source *source = user;
    ks_merge_closed(source->watch->merge, source->index);
}

static ks_result follow(struct ks_watch *watch, size_t index)
{
    struct source *source = &watch->sources[index];
    source->watch = watch;
    source->index = index;
    const struct ks_follower_options options = {
        .loop = watch->options.loop,
        .method = WATCH_IDENTITIES,
        .address = watch->options.addresses[index],
        .server_spiffe = watch->spiffe,
        .tls = watch->options.tls,
        .on_open = on_open,
        .on_part = on_part,
        .on_end = on_end,
        .user = source,
    };
    return ks_follower_new(&options, &source->follower);
}

ks_result ks_watch_new(const struct ks_watch_options *options, struct ks_watch **ret_watch)
{
    assert(options->address_count > 0);
    assert(options->address_count <= KS_MERGE_SOURCES_MAX);

    struct ks_watch *watch = ks_alloc(1, sizeof(*watch));
    watch->options = *options;
    watch->merge = ks_merge_new(options->identities, options->verifier);
    (void)snprintf(watch->spiffe, sizeof(watch->spiffe), "spiffe://%s/region/%s/keystore/",
                   KS_TRUST_DOMAIN, options->region);
    watch->heard_ms = now_ms();
    ks_rpc_loop_post(options->loop, listen, watch);
    ks_result made = KS_RES(OK);
    for (size_t i = 0; i < options->address_count && !ks_failed(made); i++) {
        made = follow(watch, i);
    }
    if (ks_failed(made)) {
        ks_watch_free(watch);
        return made;
    }
    *ret_watch = watch;
    return KS_RES(OK);
}

void ks_watch_free(struct ks_watch *watch)
{
    if (!watch) {
        return;
    }
    for (size_t i = 0; i < watch->options.address_count; i++) {
        ks_follower_free(watch->sources[i].follower);
    }
    ks_rpc_loop_post(watch->options.loop, stop_listening, watch);
    ks_rpc_loop_await_turn(watch->options.loop);
    ks_merge_free(watch->merge);
    ks_free(watch);
}
