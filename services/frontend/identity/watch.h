/*
 * watch: follows the identities of each keystore of the region (pkg/follow), and hands what comes
 * to the merge. If nothing new has come for KS_WATCH_SILENCE_MS, the log says so: control signs a new
 * head every five seconds.
 *
 * Threads: main makes and frees it; the rest runs on its loop.
 */
#pragma once

#include <stddef.h>

#include "pkg/base/result.h"
#include "pkg/rpc/tls.h"
#include "services/frontend/identity/merge.h"

#define KS_WATCH_SILENCE_MS 60000

struct ks_head_verifier;
struct ks_rcu;
struct ks_rpc_loop;
struct ks_watch;

struct ks_watch_options {
    struct ks_rpc_loop *loop; /* outlives the watch; kept busy while identities are loaded */
    struct ks_rcu *identities;
    const char *region;
    const char *const *addresses;      /* of the keystores' internal listeners */
    size_t address_count;              /* 1 to KS_MERGE_SOURCES_MAX */
    struct ks_rpc_tls tls;             /* of the process root */
    struct ks_head_verifier *verifier; /* the watch's alone as long as it lives */
    void (*on_first)(void *user);      /* there is a version now; once, on the loop */
    void *user;
};

/*
 * Opens the streams. Everything in options is borrowed as long as the watch.
 * ret_watch  free with ks_watch_free. Written on success only.
 * Fails: VALIDATION (certificate files cannot be read), INTERNAL (the library refused). on_first
 * may have been called before a failure.
 */
KS_MUST_USE ks_result ks_watch_new(const struct ks_watch_options *options,
                                   struct ks_watch **ret_watch);

/* Closes the streams and frees the watch. Not to be called on the loop. NULL is fine. */
void ks_watch_free(struct ks_watch *watch);
