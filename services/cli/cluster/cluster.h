/*
 * cluster: where the processes of an installation are, as the operator's file says:
 *
 *     keystores: [ap-seoul-1/ap-seoul-1a/127.0.0.1:21002, ...]    region/zone/host:port
 *     frontends: [ap-seoul-1/frontend-ap-seoul-1-0/127.0.0.1:21050, ...]
 *     control: 127.0.0.1:21900
 *     ca_file: ...       process root
 *     cert_file: ...     an operator's certificate of the process root, and its key
 *     key_file: ...
 *
 * Threads: values; any.
 */
#pragma once

#include "pkg/base/result.h"
#include "pkg/config/config.h"
#include "pkg/rpc/tls.h"
#include "services/cli/setup/cli.h"

#define KS_PLACES_MAX 64U /* keystores, and frontends */

/* One process. The strings are the cluster's. */
struct ks_place {
    const char *region;
    const char *name; /* of the zone, or of the frontend */
    const char *address;
    char spiffe[160]; /* what it must prove to be */
};

/* The cluster's file. {0} is empty; free with ks_cluster_done. */
struct ks_cluster {
    struct ks_cluster_file {
        struct ks_config_list keystores;
        struct ks_config_list frontends;
        char *control;
        char *ca_file;
        char *cert_file;
        char *key_file;
    } file;
    struct ks_place keystores[KS_PLACES_MAX];
    size_t keystore_count;
    struct ks_place frontends[KS_PLACES_MAX];
    size_t frontend_count;
    struct ks_place control; /* address "" if the file does not say */
};

/*
 * Reads the file that the setting 'cluster' names.
 * ret_cluster  zeroed by the caller, whose it is after a failure, too.
 * Fails: VALIDATION (no setting, malformed), NOT_FOUND.
 */
KS_MUST_USE ks_result ks_cluster_load(struct ks_cli *cli, struct ks_cluster *ret_cluster);
void ks_cluster_done(struct ks_cluster *cluster);
#define KS_CLUSTER_AUTO KS_CLEANUP(ks_cluster_done) struct ks_cluster

/* Returns the operator's certificate for keystores, borrowed from cluster. */
struct ks_rpc_tls ks_cluster_tls(const struct ks_cluster *cluster);
