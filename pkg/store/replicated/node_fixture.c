#include "pkg/store/replicated/node_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 20000

static void on_applied(void *user, int64_t revision)
{
    struct node *node = user;
    struct nodes *nodes = node->nodes;
    pthread_mutex_lock(&nodes->lock);
    node->was_silenced = node->was_silenced || revision == 0;
    for (size_t i = 0; i < NODES_MAX && !node->is_mute && node->keystore_id[0]; i++) {
        if (i != node->index && nodes->at[i].store) {
            ks_store_peer_applied(nodes->at[i].store, node->keystore_id, revision);
        }
    }
    pthread_mutex_unlock(&nodes->lock);
}

static void on_reload(void *user, int64_t revision)
{
    (void)revision;
    struct node *node = user;
    pthread_mutex_lock(&node->nodes->lock);
    node->reload_count++;
    node->keystore_id[0] = 0;
    if (node->store) {
        struct ks_store_status status;
        ks_store_get_status(node->store, &status);
        memcpy(node->keystore_id, status.keystore_id, sizeof(node->keystore_id));
    }
    pthread_mutex_unlock(&node->nodes->lock);
}

static void on_notice(void *user, const char *sentence)
{
    struct node *node = user;
    pthread_mutex_lock(&node->nodes->lock);
    snprintf(node->notice, sizeof(node->notice), "%s", sentence);
    pthread_mutex_unlock(&node->nodes->lock);
}

struct nodes *nodes_new(struct etcd_fixture *cell, const char *prefix)
{
    struct nodes *nodes = ks_alloc(1, sizeof(*nodes));
    nodes->cell = cell;
    nodes->window_ms = KS_STORE_WINDOW_MS;
    snprintf(nodes->prefix, sizeof(nodes->prefix), "%s", prefix);
    pthread_mutex_init(&nodes->lock, NULL);
    for (size_t i = 0; i < NODES_MAX; i++) {
        nodes->at[i].nodes = nodes;
        nodes->at[i].index = i;
        nodes->at[i].folder = fixture_folder("node");
    }
    return nodes;
}

void nodes_free(struct nodes *nodes)
{
    for (size_t i = 0; i < NODES_MAX; i++) {
        node_stop(nodes, i);
        fixture_remove(nodes->at[i].folder);
        ks_free(nodes->at[i].folder);
    }
    pthread_mutex_destroy(&nodes->lock);
    ks_free(nodes);
}

static int64_t boot_ns(void *user)
{
    (void)user;
    return ks_clock_boot_ns(&ks_clock_system);
}

static int64_t wall_ms(void *user)
{
    const struct node *node = user;
    return ks_clock_wall_ms(&ks_clock_system) + node->wall_ahead_ms;
}

struct ks_store_options node_options(struct nodes *nodes, size_t index)
{
    struct node *node = &nodes->at[index];
    node->clock = (struct ks_clock){boot_ns, wall_ms, node};
    struct ks_etcd_options client = etcd_fixture_client(nodes->cell, index);
    return (struct ks_store_options){
        .engine = KS_STORE_REPLICATED,
        .folder = node->folder,
        .database_bytes_max = nodes->database_bytes_max,
        .etcd_quota_bytes = nodes->etcd_quota_bytes,
        .prefix = nodes->prefix,
        .endpoints = client.endpoints,
        .endpoint_count = client.endpoint_count,
        .ca_file = client.ca_file,
        .cert_file = client.cert_file,
        .key_file = client.key_file,
        .name = "keystore",
        .zone = "zone",
        .address = "127.0.0.1:1",
        .window_ms = nodes->window_ms,
        .clock = &node->clock,
        .on_applied = on_applied,
        .on_reload = on_reload,
        .on_notice = on_notice,
        .user = node,
    };
}

void node_start(struct nodes *nodes, size_t index)
{
    struct ks_store_options options = node_options(nodes, index);
    struct ks_store *store = NULL;
    struct ks_store_status status;
    if (ks_failed(ks_store_new(&options, &store))) {
        fprintf(stderr, "no store in %s\n", options.folder);
        exit(1);
    }
    ks_store_get_status(store, &status);
    pthread_mutex_lock(&nodes->lock);
    nodes->at[index].store = store;
    memcpy(nodes->at[index].keystore_id, status.keystore_id, sizeof(status.keystore_id));
    pthread_mutex_unlock(&nodes->lock);
}

void node_stop(struct nodes *nodes, size_t index)
{
    pthread_mutex_lock(&nodes->lock);
    struct ks_store *store = nodes->at[index].store;
    nodes->at[index].store = NULL;
    pthread_mutex_unlock(&nodes->lock);
    ks_store_free(store);
}

void node_wait(struct nodes *nodes, size_t index,
               bool (*holds)(const struct ks_store_status *status))
{
    int64_t give_up_ms = fixture_now_ms() + WAIT_MS;
    struct ks_store_status status;
    ks_store_get_status(nodes->at[index].store, &status);
    while (!holds(&status)) {
        if (fixture_now_ms() > give_up_ms) {
            fprintf(stderr, "waited too long: state %d, applied %lld, listed %zu, alarm '%s'\n",
                    (int)status.state, (long long)status.applied_revision, status.listed_count,
                    status.alarm);
            exit(1);
        }
        fixture_sleep_ms(5);
        ks_store_get_status(nodes->at[index].store, &status);
    }
}

static bool has_all(const struct ks_store_status *status)
{
    return status->listed_count == NODES_MAX && status->window_left_ms > 0;
}

void nodes_start_all(struct nodes *nodes)
{
    for (size_t i = 0; i < NODES_MAX; i++) {
        node_start(nodes, i);
    }
    for (size_t i = 0; i < NODES_MAX; i++) {
        node_wait(nodes, i, has_all);
    }
}
