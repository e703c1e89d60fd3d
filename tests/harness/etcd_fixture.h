/*
 * etcd_fixture: a cell of real etcd members for tests, on loopback, with mutual TLS.
 *
 * Lives in a new folder below TEST_TMPDIR (or /tmp), which goes with it. Ports are picked free,
 * below 32768. Every failure ends the test program with a message: there is no test without it.
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "pkg/etcd/etcd.h"

#define ETCD_FIXTURE_MEMBERS_MAX 3U

struct etcd_fixture;

struct etcd_fixture_options {
    size_t member_count;  /* 1 or 3; 0: 1 */
    long quota_bytes;     /* --quota-backend-bytes; 0: etcd's default */
    unsigned txn_ops_max; /* --max-txn-ops; 0: KS_ETCD_OPS_MAX */
    unsigned progress_ms; /* signs of life of an idle watch; 0: etcd's default, 10 minutes */
};

/* Makes certificates, starts the members and waits until they have a leader. */
struct etcd_fixture *etcd_fixture_start(const struct etcd_fixture_options *options);

/* Ends all members and removes the folder. NULL is fine. */
void etcd_fixture_stop(struct etcd_fixture *cell);

/*
 * Client options for this cell: all members, the given one (from 0) first. Pointers into the
 * fixture, valid as long as it is.
 */
struct ks_etcd_options etcd_fixture_client(const struct etcd_fixture *cell, size_t first_member);

/* The cell's folder: room for a test's own files, removed with the cell. */
const char *etcd_fixture_folder(const struct etcd_fixture *cell);

/* kill -9, without wiping its data. Already dead is fine. */
void etcd_fixture_kill(struct etcd_fixture *cell, size_t member);

/* Starts a killed member on its data; waits until it serves if wait is set. */
void etcd_fixture_restart(struct etcd_fixture *cell, size_t member, bool wait);

/*
 * Starts a killed member with --force-new-cluster: it is a cell of its own from now on, with what it
 * had. Waits until it serves.
 */
void etcd_fixture_force_new_cluster(struct etcd_fixture *cell, size_t member);

/*
 * For a cell of one member: saves a snapshot with etcdctl, and restores it in place of the member's
 * data, with the same cluster token. The last one puts the data from before the restore back. Each
 * waits until the member serves.
 */
void etcd_fixture_save(struct etcd_fixture *cell);
void etcd_fixture_restore(struct etcd_fixture *cell);
void etcd_fixture_undo_restore(struct etcd_fixture *cell);

/* SIGSTOP and SIGCONT: connections stay open and nobody answers. */
void etcd_fixture_pause(struct etcd_fixture *cell, size_t member);
void etcd_fixture_resume(struct etcd_fixture *cell, size_t member);

/* The member that leads, found by asking; waits for one. Members that are paused are not asked. */
size_t etcd_fixture_leader(struct etcd_fixture *cell);

/* Waits until every running member serves writes. */
void etcd_fixture_wait_ready(struct etcd_fixture *cell);

/*
 * A certificate and key from a root that is none of this cell's; for tests of refusal.
 * The names are valid as long as the fixture is.
 */
void etcd_fixture_foreign_files(const struct etcd_fixture *cell, const char **ret_cert_file,
                                const char **ret_key_file);
