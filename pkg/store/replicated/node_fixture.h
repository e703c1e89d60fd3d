/*
 * node_fixture: keystores as far as the store goes: several replicated stores in one process, each
 * with a folder of its own, that tell each other what they have applied.
 *
 * Threads: the test's own; the stores' callbacks are guarded inside.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "pkg/store/store.h"
#include "pkg/store/store_fixture.h"
#include "tests/harness/etcd_fixture.h"

#define NODES_MAX 3U

struct nodes;

struct node {
    struct nodes *nodes;
    size_t index;
    char *folder;
    char keystore_id[40];
    struct ks_store *store; /* NULL: not running */
    bool is_mute;           /* its word does not reach the others, but for its heartbeats */
    bool was_silenced;      /* on_applied said 0 */
    size_t reload_count;
    char notice[256];              /* the newest one */
    _Atomic int64_t wall_ahead_ms; /* what its machine's wall clock is wrong by */
    struct ks_clock clock;
};

struct nodes {
    struct etcd_fixture *cell;
    char prefix[64];
    uint32_t window_ms;
    uint64_t database_bytes_max;
    uint64_t etcd_quota_bytes;
    pthread_mutex_t lock;
    struct node at[NODES_MAX];
};

/* No node runs yet. Free with nodes_free. */
struct nodes *nodes_new(struct etcd_fixture *cell, const char *prefix);
void nodes_free(struct nodes *nodes);

/* The options that a node's store has; valid as long as nodes is. */
struct ks_store_options node_options(struct nodes *nodes, size_t index);

void node_start(struct nodes *nodes, size_t index);
void node_stop(struct nodes *nodes, size_t index);

/* Starts all, and waits until each has a window and everybody on its list. */
void nodes_start_all(struct nodes *nodes);

/* Waits up to 20 s until a condition of the node's status holds; else ends the test program. */
void node_wait(struct nodes *nodes, size_t index,
               bool (*holds)(const struct ks_store_status *status));
