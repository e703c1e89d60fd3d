/* The command serve: from the token to the loop. */
#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "pkg/base/clock.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/ec.h"
#include "services/hsm/answer/hsm.h"
#include "services/hsm/memory/key_cache.h"
#include "services/hsm/memory/record_cache.h"
#include "services/hsm/process/commands.h"
#include "services/hsm/process/confine.h"
#include "services/hsm/process/safe.h"
#include "services/hsm/socket/listener.h"
#include "services/hsm/socket/loop.h"

/*
 * Locked at most: the program with its libraries and the token's module while it is open (48 MiB
 * are ample), a frame in, two out and the growing of one of them for each client, the arena, and
 * the caches.
 */
#define LOCKED_BASE_BYTES       (48ULL * 1024 * 1024)
#define LOCKED_CONNECTION_BYTES (6ULL * 1024 * 1024)

/* What a running hsm consists of, undone in the order of need. */
struct serving {
    const struct ks_hsm_settings *settings;
    struct ks_safe_content safe;
    bool locked;
    struct ks_loop *loop;
    struct ks_hsm *hsm;
    const char *hint; /* about the failure */
};

static void stop(struct serving *serving)
{
    ks_hsm_free(serving->hsm);
    ks_loop_free(serving->loop);
    ks_safe_content_done(&serving->safe);
}

static size_t locked_bytes(const struct ks_hsm_settings *settings)
{
    return LOCKED_BASE_BYTES + KS_HSM_ARENA_MAX + KS_HSM_CONNECTIONS_MAX * LOCKED_CONNECTION_BYTES +
           2U * (size_t)settings->cache_entries * (KS_KEY_CACHE_ENTRY_B + KS_RECORD_CACHE_ENTRY_B);
}

static ks_result protect(struct serving *serving)
{
    const struct ks_hsm_settings *settings = serving->settings;
    size_t wanted = locked_bytes(settings);
    ks_result r = ks_confine_memory(wanted, settings->allow_unlocked_memory, &serving->locked);
    if (r.code == KS_LIMIT_EXCEEDED) {
        serving->hint = "memory cannot be locked: raise RLIMIT_MEMLOCK to `bytes` or unlimited "
                        "(ulimit -l, LimitMEMLOCK=), or set allow_unlocked_memory for a trial";
        ks_log(ERROR, "RLIMIT_MEMLOCK is too small", KS_NUMBER("bytes", wanted));
    }
    if (!ks_failed(r) && !serving->locked) {
        ks_log(WARN, "memory is not locked, keys may reach swap",
               KS_TEXT("hint", "raise RLIMIT_MEMLOCK"));
    }
    return r;
}

static ks_result test_self(struct serving *serving)
{
    const char *failed = NULL;
    ks_result r = ks_crypto_self_test(&failed);
    if (ks_failed(r)) {
        ks_log(ERROR, "self-test failed", KS_TEXT("name", failed));
        serving->hint = "this machine or its OpenSSL computes wrongly; do not use it";
    }
    return r;
}

static ks_result listen_for_peer(struct serving *serving)
{
    uid_t peer = 0;
    int fd = -1;
    serving->hint = "there is no such peer_user";
    KS_TRY(ks_hsm_user_id(serving->settings->peer_user, &peer));
    KS_TRY(ks_hsm_listen(serving->settings, &fd, &serving->hint));
    serving->hint = "epoll does not work";
    return ks_loop_new(fd, peer, &serving->loop);
}

static uint64_t roster_floor(const struct serving *serving)
{
    uint64_t configured = (uint64_t)serving->settings->roster_floor;
    return configured > serving->safe.roster_floor ? configured : serving->safe.roster_floor;
}

static ks_result make_hsm(struct serving *serving)
{
    const struct ks_hsm_settings *settings = serving->settings;
    const struct ks_hsm_options options = {
        .region = settings->region,
        .zone = settings->zone,
        .trust_domain = settings->trust_domain,
        .clock = &ks_clock_system,
        .node_key = &serving->safe.node_key,
        .identity = serving->safe.identity,
        .certificate = ks_buffer_bytes(&serving->safe.certificate),
        .root = ks_buffer_bytes(&serving->safe.root),
        .roster_floor = roster_floor(serving),
        .cache_entries = (size_t)settings->cache_entries,
        .fips = settings->fips,
        .confined = serving->locked && ks_confine_is_built_in(),
    };
    serving->hint = "the certificate is not valid now, or not this hsm's: enrol it anew";
    return ks_hsm_new(&options, &serving->hsm);
}

/* The order matters: protected before the first key, bound before the filter, the token before it. */
static ks_result start(struct serving *serving)
{
    const struct ks_crypto_options options = {.wipe_allocator = true,
                                              .fips = serving->settings->fips};
    serving->hint = "OpenSSL cannot be set up as asked";
    KS_TRY(ks_crypto_init(&options));
    KS_TRY(protect(serving));
    KS_TRY(test_self(serving));
    KS_TRY(ks_safe_load(serving->settings, &serving->safe, &serving->hint));
    KS_TRY(make_hsm(serving));
    KS_TRY(listen_for_peer(serving));
    serving->hint = "the kernel refuses the system call filter (seccomp)";
    return ks_confine_calls();
}

int ks_hsm_command_serve(const struct ks_hsm_settings *settings)
{
    assert(settings);

    KS_CLEANUP(stop) struct serving serving = {.settings = settings, .hint = ""};
    ks_result r = start(&serving);
    if (ks_failed(r)) {
        ks_log(ERROR, "not started", KS_TEXT("cause", ks_code_name(r.code)),
               KS_TEXT("hint", serving.hint));
        return KS_EXIT_FAILED;
    }
    ks_log(INFO, "serving", KS_TEXT("zone", settings->zone),
           KS_TEXT("node", ks_hsm_node_id(serving.hsm)),
           KS_TEXT("mode", ks_confine_is_built_in() ? "confined" : "not confined"));
    r = ks_loop_run(serving.loop, serving.hsm);
    ks_log(INFO, "stopped", KS_TEXT("cause", ks_code_name(r.code)));
    return ks_failed(r) ? KS_EXIT_FAILED : KS_EXIT_OK;
}
