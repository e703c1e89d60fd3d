#include "services/control/control.h"

#include <stdio.h>

#include "pkg/arn/arn.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/process/certificate.h"
#include "pkg/rpc/loop.h"
#include "pkg/rpc/server.h"
#include "proto/keystead/admin/v1/embedded.h"
#include "proto/keystead/internal/v1/embedded.h"
#include "services/control/admin.h"
#include "services/control/admit.h"
#include "services/control/expiry.h"
#include "services/control/feed.h"
#include "services/control/issuer.h"
#include "services/control/settings.h"
#include "services/control/signer.h"

#define DRAIN_NOTICE_MS   200
#define DRAIN_GRACE_MS    5000
#define ADMIN_REQUEST_MAX 65536U
#define ADMIN_CALLS_MAX   256U
#define FEED_REQUEST_MAX  65536U
#define FOLDER_LEN        1100U

/* In the order in which the parts are made. */
struct ks_control {
    const struct ks_control_settings *settings;
    const struct ks_clock *clock;
    struct ks_issuer *issuer;
    struct ks_rpc_loop *loop;
    struct ks_signer *signer;
    struct ks_control_feed *feed;
    struct ks_store *store;
    struct ks_admin admin;
    struct ks_rpc_method methods[KS_ADMIN_METHOD_COUNT];
    struct ks_rpc_method watch;
    struct ks_rpc_server *admin_server;
    struct ks_rpc_server *internal_server;
    struct ks_expiry *expiry;
};

/* ---- What the store tells ---- */

static void on_applied(void *user, int64_t revision)
{
    (void)revision;
    ks_control_feed_told(((struct ks_control *)user)->feed);
}

static void on_change(void *user, ks_bytes key, ks_bytes value, int64_t revision)
{
    ks_control_feed_changed(((struct ks_control *)user)->feed, key, value, revision);
}

static void on_reload(void *user, int64_t revision)
{
    (void)revision;
    ks_control_feed_reloaded(((struct ks_control *)user)->feed);
}

static void on_notice(void *user, const char *sentence)
{
    (void)user;
    ks_log(WARN, "the store says", KS_TEXT("cause", sentence));
}

/* ---- The parts ---- */

static ks_result open_partition(struct ks_control *control)
{
    bool valid = ks_partition_is_valid(ks_bytes_of(control->settings->partition));
    return valid ? KS_RES(OK) : KS_RES(VALIDATION);
}

static ks_result open_issuer(struct ks_control *control)
{
    return ks_issuer_new(control->settings->client_ca_file, control->settings->client_ca_key_file,
                         &control->issuer);
}

static ks_result open_feed(struct ks_control *control)
{
    const struct ks_control_settings *settings = control->settings;
    char folder[FOLDER_LEN];
    (void)snprintf(folder, sizeof(folder), "%s/mirror", settings->data_folder);
    KS_TRY(ks_signer_new(settings->client_ca_file, settings->client_ca_key_file, &control->signer));
    const struct ks_control_feed_options options = {
        .folder = folder, .clock = control->clock, .signer = control->signer};
    return ks_control_feed_new(&options, &control->feed);
}

static ks_result open_store(struct ks_control *control)
{
    const struct ks_control_settings *settings = control->settings;
    control->loop = ks_rpc_loop_new("control");
    struct ks_store_options options = {
        .engine = settings->engine == KS_CONTROL_EMBEDDED ? KS_STORE_EMBEDDED : KS_STORE_REPLICATED,
        .folder = settings->data_folder,
        .prefix = "/keystead/control/",
        .endpoints = (const char *const *)settings->etcd_endpoints.items,
        .endpoint_count = settings->etcd_endpoints.count,
        .ca_file = settings->etcd_ca_file,
        .cert_file = settings->etcd_cert_file,
        .key_file = settings->etcd_key_file,
        .name = "control",
        .zone = "control",
        .address = settings->internal_address,
        .clock = control->clock,
        .on_applied = on_applied,
        .on_change = on_change,
        .on_reload = on_reload,
        .on_notice = on_notice,
        .user = control,
    };
    KS_TRY(ks_store_new(&options, &control->store));
    ks_control_feed_set_store(control->feed, control->store);
    return KS_RES(OK);
}

static ks_result open_admin(struct ks_control *control)
{
    const struct ks_control_settings *settings = control->settings;
    control->admin = (struct ks_admin){.store = control->store,
                                       .issuer = control->issuer,
                                       .clock = ks_store_clock(control->store),
                                       .loop = control->loop,
                                       .partition = settings->partition};
    ks_admin_init(&control->admin);
    ks_admin_methods(&control->admin, control->methods);
    struct ks_rpc_server_options options = {
        .address = settings->admin_address,
        .tls = {settings->client_ca_file, settings->process_cert_file, settings->process_key_file},
        .loops = &control->loop,
        .loop_count = 1,
        .methods = control->methods,
        .method_count = KS_ADMIN_METHOD_COUNT,
        .admit = ks_admit_operator,
        .not_after_s = ks_process_not_after_s,
        .connection_age_max_ms = KS_PROCESS_CONNECTION_MS,
        .descriptors = {ks_admin_descriptors, ks_admin_descriptors_len},
        .message_bytes_max = ADMIN_REQUEST_MAX,
        .calls_max = ADMIN_CALLS_MAX,
    };
    return ks_rpc_server_new(&options, &control->admin_server);
}

static ks_result open_internal(struct ks_control *control)
{
    const struct ks_control_settings *settings = control->settings;
    control->watch = (struct ks_rpc_method){.path = KS_CONTROL_FEED_METHOD,
                                            .stream = &ks_feed_stream_callbacks,
                                            .user = ks_control_feed_streams(control->feed)};
    struct ks_rpc_server_options options = {
        .address = settings->internal_address,
        .tls = {settings->process_ca_file, settings->process_cert_file, settings->process_key_file},
        .loops = &control->loop,
        .loop_count = 1,
        .methods = &control->watch,
        .method_count = 1,
        .admit = ks_admit_keystore,
        .not_after_s = ks_process_not_after_s,
        .connection_age_max_ms = KS_PROCESS_CONNECTION_MS,
        .descriptors = {ks_internal_descriptors, ks_internal_descriptors_len},
        .message_bytes_max = FEED_REQUEST_MAX,
        .streams_max = KS_FEED_FOLLOWERS_MAX,
    };
    return ks_rpc_server_new(&options, &control->internal_server);
}

static const struct part {
    const char *name;
    ks_result (*open)(struct ks_control *control);
    const char *hint;
} parts[] = {
    {"partition", open_partition, "partition is lower-case letters, digits and -"},
    {"client root", open_issuer,
     "see client_ca_file and client_ca_key_file: a PEM pair, its key readable by its owner alone"},
    {"feed", open_feed, "see data_folder, which another process may hold"},
    {"store", open_store, "see data_folder, which another process may hold, and the etcd options"},
    {"admin listener", open_admin, "see admin_address, client_ca_file and the process files"},
    {"internal listener", open_internal, "see internal_address and the process files"},
};

static ks_result open_parts(struct ks_control *control)
{
    for (size_t i = 0; i < KS_COUNT(parts); i++) {
        ks_result r = parts[i].open(control);
        if (ks_failed(r)) {
            ks_log(ERROR, "can't start", KS_TEXT("name", parts[i].name),
                   KS_TEXT("code", ks_code_name(r.code)), KS_TEXT("hint", parts[i].hint));
            return r;
        }
    }
    return KS_RES(OK);
}

ks_result ks_control_new(const struct ks_control_settings *settings, const struct ks_clock *clock,
                         struct ks_control **ret_control)
{
    struct ks_control *control = ks_alloc(1, sizeof(*control));
    control->settings = settings;
    control->clock = clock;
    ks_result r = open_parts(control);
    if (ks_failed(r)) {
        ks_control_free(control);
        return r;
    }
    control->expiry = ks_expiry_new(control->store, control->loop);
    ks_rpc_health_set(control->admin_server, "", true);
    ks_rpc_health_set(control->internal_server, "", true);
    *ret_control = control;
    return KS_RES(OK);
}

/*
 * All that asks the store ends before it does: expiry, followers, and calls, which may be on
 * the loop for another try. What the store has posted to the loop after that finds no follower.
 */
void ks_control_free(struct ks_control *control)
{
    if (!control) {
        return;
    }
    if (control->admin_server) {
        ks_rpc_server_drain(control->admin_server, DRAIN_NOTICE_MS, DRAIN_GRACE_MS);
    }
    ks_expiry_free(control->expiry);
    ks_rpc_server_free(control->internal_server);
    ks_rpc_server_free(control->admin_server);
    ks_control_feed_close(control->feed);
    ks_store_free(control->store);
    ks_control_feed_free(control->feed);
    ks_signer_free(control->signer);
    ks_rpc_loop_free(control->loop);
    ks_issuer_free(control->issuer);
    ks_free(control);
}

int ks_control_admin_port(const struct ks_control *control)
{
    return ks_rpc_server_port(control->admin_server);
}

int ks_control_internal_port(const struct ks_control *control)
{
    return ks_rpc_server_port(control->internal_server);
}
