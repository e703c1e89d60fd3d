#include "pkg/etcd/etcd.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/etcd/client.h"

#define PROBE_MS_DEFAULT 2000
#define SCHEME           "https://"
#define BASE_LEN_MAX     (KS_ETCD_URL_MAX - 64U) /* the rest is for the path */

static bool endpoint_is_valid(const char *endpoint)
{
    return endpoint && strncmp(endpoint, SCHEME, strlen(SCHEME)) == 0 &&
           strlen(endpoint) > strlen(SCHEME) && strlen(endpoint) <= BASE_LEN_MAX;
}

static ks_result check_options(const struct ks_etcd_options *options)
{
    bool has_files = options->ca_file && options->cert_file && options->key_file;
    if (!has_files || options->endpoint_count == 0 ||
        options->endpoint_count > KS_ETCD_ENDPOINTS_MAX || options->call_ms < 0 ||
        options->probe_ms < 0 || options->answer_len_max > KS_ETCD_ANSWER_MAX) {
        return KS_RES(VALIDATION);
    }
    for (size_t i = 0; i < options->endpoint_count; i++) {
        if (!endpoint_is_valid(options->endpoints[i])) {
            return KS_RES(VALIDATION);
        }
    }
    return KS_RES(OK);
}

/* The options with the defaults in place of 0. */
static struct ks_etcd_options with_defaults(const struct ks_etcd_options *options)
{
    struct ks_etcd_options filled = *options;
    filled.call_ms = options->call_ms ? options->call_ms : KS_ETCD_CALL_MS_DEFAULT;
    filled.probe_ms = options->probe_ms ? options->probe_ms : PROBE_MS_DEFAULT;
    filled.answer_len_max = options->answer_len_max ? options->answer_len_max : KS_ETCD_ANSWER_MAX;
    filled.clock = options->clock ? options->clock : &ks_clock_system;
    return filled;
}

static void add_base(struct ks_etcd *client, const char *endpoint)
{
    char *base = ks_strdup(endpoint);
    size_t len = strlen(base);
    if (base[len - 1] == '/') {
        base[len - 1] = '\0';
    }
    client->bases[client->endpoints.count++] = base;
}

ks_result ks_etcd_new(const struct ks_etcd_options *options, struct ks_etcd **ret_client)
{
    assert(options && ret_client);
    KS_TRY(check_options(options));

    struct ks_etcd_options filled = with_defaults(options);
    KS_ETCD_AUTO *client = ks_alloc(1, sizeof(*client));
    client->clock = filled.clock;
    client->call_ms = filled.call_ms;
    client->probe_ms = filled.probe_ms;
    client->answer_len_max = filled.answer_len_max;
    for (size_t i = 0; i < filled.endpoint_count; i++) {
        add_base(client, filled.endpoints[i]);
    }
    KS_TRY(ks_etcd_transport_new(&filled, &client->transport));
    *ret_client = client;
    client = NULL;
    return KS_RES(OK);
}

void ks_etcd_free(struct ks_etcd *client)
{
    if (!client) {
        return;
    }
    client->is_closing = true;
    ks_etcd_close_calls(client);
    ks_etcd_close_watches(client);
    ks_etcd_transport_free(client->transport);
    for (size_t i = 0; i < client->endpoints.count; i++) {
        ks_free(client->bases[i]);
    }
    ks_free(client);
}

void ks_etcd_free_at(struct ks_etcd **client)
{
    ks_etcd_free(*client);
}

int64_t ks_etcd_now_ns(const struct ks_etcd *client)
{
    return ks_clock_boot_ns(client->clock);
}

int64_t ks_etcd_ms_until(const struct ks_etcd *client, int64_t at_ns)
{
    int64_t left_ns = at_ns - ks_etcd_now_ns(client);
    return left_ns > 0 ? (left_ns + KS_NS_PER_MS - 1) / KS_NS_PER_MS : 0;
}

void ks_etcd_url(const struct ks_etcd *client, size_t endpoint, const char *path,
                 char ret_url[KS_ETCD_URL_MAX])
{
    assert(endpoint < client->endpoints.count);

    int len = snprintf(ret_url, KS_ETCD_URL_MAX, "%s%s", client->bases[endpoint], path);
    assert(len > 0 && (size_t)len < KS_ETCD_URL_MAX);
}

size_t ks_etcd_pending(const struct ks_etcd *client)
{
    return client->call_count - (client->is_probing ? 1 : 0);
}

/* A member that knows a leader is well: one that is cut off forgets its leader after an election
   time-out. */
static void on_probed(void *user, const struct ks_etcd_answer *answer)
{
    struct ks_etcd *client = user;
    client->is_probing = false;
    client->probe_at_ns = ks_etcd_now_ns(client) + client->probe_ms * KS_NS_PER_MS;
    if (answer->cause == KS_ETCD_DONE && answer->status.leader_id != 0) {
        ks_etcd_endpoints_worked(&client->endpoints, 0);
        client->probe_at_ns = 0;
    }
}

/* Leads back to the own zone's member: looks at it now and then while another one is used. */
static void probe_first(struct ks_etcd *client)
{
    if (client->endpoints.current == 0 || client->is_probing) {
        return;
    }
    if (client->probe_at_ns == 0) {
        client->probe_at_ns = ks_etcd_now_ns(client) + client->probe_ms * KS_NS_PER_MS;
    }
    if (ks_etcd_now_ns(client) < client->probe_at_ns) {
        return;
    }
    struct ks_etcd_call call = {.done = on_probed, .user = client, .pin = 1};
    client->is_probing = !ks_failed(ks_etcd_status(client, &call));
}

void ks_etcd_run(struct ks_etcd *client, int64_t timeout_ms)
{
    probe_first(client);
    int64_t wait_ms = ks_etcd_watches_wait_ms(client, timeout_ms);
    if (client->endpoints.current != 0 && !client->is_probing) {
        int64_t probe_ms = ks_etcd_ms_until(client, client->probe_at_ns);
        wait_ms = probe_ms < wait_ms ? probe_ms : wait_ms;
    }
    ks_etcd_transport_run(client->transport, wait_ms);
    ks_etcd_check_watches(client);
}

void ks_etcd_wake(struct ks_etcd *client)
{
    ks_etcd_transport_wake(client->transport);
}
