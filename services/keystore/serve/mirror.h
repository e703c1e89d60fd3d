/*
 * mirror: follows control's ControlMirrorService.WatchIdentities and keeps a copy of its records on
 * this disk (design, promise 8). Says what it has, gets a snapshot if that is not where control
 * stands, then what changes. When control is gone it asks again and again; the copy stays.
 *
 * Threads: the loop it was given, which it may keep busy while a snapshot is written.
 */
#pragma once

#include "pkg/rpc/tls.h"
#include "services/keystore/serve/identities.h"

#define KS_MIRROR_RECORDS_MAX 1000000U /* in a snapshot; one that is larger is not taken */
#define KS_MIRROR_BYTES_MAX   (1024U * 1024U * 1024U)

struct ks_mirror;
struct ks_rpc_loop;

struct ks_mirror_options {
    const char *address; /* host:port of control */
    struct ks_rpc_tls tls;
    struct ks_rpc_loop *loop;
    struct ks_store *store;
    struct ks_identities *identities;
};

/*
 * Begins to follow. Free with ks_mirror_free, before the loop and the identities.
 * Fails: as ks_rpc_channel_new.
 */
KS_MUST_USE ks_result ks_mirror_new(const struct ks_mirror_options *options,
                                    struct ks_mirror **ret_mirror);
/* NULL is fine. Not from the loop's thread. */
void ks_mirror_free(struct ks_mirror *mirror);
