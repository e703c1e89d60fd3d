/*
 * status: asks every process of a cluster at once how it is. A process that does not answer is a
 * row like any other.
 *
 * Threads: one; answers arrive on the thread of the connections.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "pkg/base/result.h"
#include "services/cli/cluster/cluster.h"

#define KS_STATUS_TEXT_LEN 200U /* bytes of a fault, NUL included */

struct Keystead__Internal__V1__GetStatusResponse;

enum ks_health {
    KS_HEALTH_NOT_ASKED, /* no certificate that it would accept is configured */
    KS_HEALTH_SERVING,
    KS_HEALTH_ANSWERS, /* it does not tell us more, as it serves others */
    KS_HEALTH_FAULTY,  /* fault says why */
};

/* A process. */
struct ks_process_status {
    const struct ks_place *place;
    enum ks_health health;
    char fault[KS_STATUS_TEXT_LEN]; /* "" if it is well */
    /* Of keystores that answered; lasts as long as cli->arena. NULL: none. */
    const struct Keystead__Internal__V1__GetStatusResponse *answer;
};

/* {0} is empty. */
struct ks_status {
    struct ks_process_status keystores[KS_PLACES_MAX];
    size_t keystore_count;
    struct ks_process_status frontends[KS_PLACES_MAX];
    size_t frontend_count;
    struct ks_process_status control;
    bool has_control;
};

#define KS_STATUS_DEADLINE_MS 2000

/*
 * Asks all processes and waits for their answers, KS_STATUS_DEADLINE_MS at most.
 *
 * ret_status  borrows from cluster. Unspecified after a failure.
 *
 * Fails: VALIDATION (a certificate of the cluster's file cannot be used).
 */
KS_MUST_USE ks_result ks_status_ask(struct ks_cli *cli, const struct ks_cluster *cluster,
                                    struct ks_status *ret_status);

/*
 * Returns the report of the keystore that sees most members of a region's etcd; NULL if there is no
 * report, or no etcd.
 */
const struct Keystead__Internal__V1__GetStatusResponse *
ks_status_etcd(const struct ks_status *status, const char *region);

/*
 * Returns whether the keystore at index is the first one of its region: callers visit regions so.
 */
bool ks_status_is_first(const struct ks_status *status, size_t index);

/* Counts what is not well in a region: keystores, frontends, etcd members, an absent leader. */
size_t ks_status_region_faults(const struct ks_status *status, const char *region);

/* Counts what is not well in all regions and in the control plane. */
size_t ks_status_faults(const struct ks_status *status);

/*
 * Runs 'cluster status': asks, prints, and asks again while something is not well and --wait has
 * not passed. A failure's reason is in cli->failure.
 * Fails: VALIDATION (--wait or the cluster's settings are malformed), INTERNAL (not all is well),
 * and as ks_status_ask and ks_cluster_load.
 */
KS_MUST_USE ks_result ks_run_cluster_status(struct ks_cli *cli);
