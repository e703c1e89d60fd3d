/*
 * reach: whether any keystore of the region can serve just now. Each is asked for its health several
 * times a second, which says whether it has a serving window and an hsm. A keystore that does not
 * answer in time does not count.
 *
 * A change is known within KS_REACH_PERIOD_MS + KS_REACH_DEADLINE_MS, which with what a keystore takes
 * to find out itself is less than a second.
 *
 * Threads: main makes and frees it; the rest runs on its loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "pkg/base/result.h"
#include "pkg/rpc/tls.h"

#define KS_REACH_PERIOD_MS     200
#define KS_REACH_DEADLINE_MS   400
#define KS_REACH_KEYSTORES_MAX 16U

struct ks_reach;
struct ks_rpc_loop;

struct ks_reach_options {
    struct ks_rpc_loop *loop; /* outlives the reach */
    const char *server_spiffe;
    const char *const *addresses; /* of the keystores' internal listeners */
    size_t address_count;         /* 1 to KS_REACH_KEYSTORES_MAX */
    struct ks_rpc_tls tls;        /* of the process root */
    /* Whether any can serve has changed; before the first call, none can. On the loop. */
    void (*on_change)(void *user, bool serving);
    void *user;
};

/*
 * Begins to ask. Addresses and tls are borrowed as long as the reach; server_spiffe is copied.
 * ret_reach  free with ks_reach_free. Written on success only.
 * Fails: as ks_rpc_channel_new.
 */
KS_MUST_USE ks_result ks_reach_new(const struct ks_reach_options *options,
                                   struct ks_reach **ret_reach);

/* Ends it; no callback comes once this has returned. Not to be called on the loop. NULL is fine. */
void ks_reach_free(struct ks_reach *reach);
