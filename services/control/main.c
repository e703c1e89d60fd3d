/* keystead-control: accounts, users and their certificates. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/rpc/loop.h"
#include "pkg/rpc/server.h"
#include "services/control/admin.h"
#include "services/control/admit.h"
#include "services/control/expiry.h"
#include "services/control/issuer.h"
#include "services/control/mirror.h"
#include "services/control/settings.h"

#include "proto/keystead/admin/v1/embedded.h"

#define DRAIN_NOTICE_MS 200
#define DRAIN_GRACE_MS  5000

/* Everything that lives as long as the process, in the order in which it is made. */
struct control {
    struct ks_control_settings settings;
    struct ks_issuer *issuer;
    struct ks_rpc_loop *loop;
    struct ks_mirror *mirror;
    struct ks_store *store;
    struct ks_expiry *expiry;
    struct ks_admin admin;
    struct ks_rpc_method methods[KS_ADMIN_METHOD_COUNT];
    struct ks_rpc_server *admin_server;
    struct ks_rpc_server *internal_server;
};

static void on_applied(void *user, int64_t revision)
{
    ks_mirror_applied(((struct control *)user)->mirror, revision);
}

static void on_change(void *user, ks_bytes key, ks_bytes value, int64_t revision)
{
    ks_mirror_changed(((struct control *)user)->mirror, key, value, revision);
}

static void on_reload(void *user, int64_t revision)
{
    (void)revision;
    ks_mirror_reloaded(((struct control *)user)->mirror);
}

static ks_result open_store(struct control *control)
{
    const struct ks_control_settings *settings = &control->settings;
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
        .on_applied = on_applied,
        .on_change = on_change,
        .on_reload = on_reload,
        .user = control,
    };
    KS_TRY(ks_store_new(&options, &control->store));
    ks_mirror_set_store(control->mirror, control->store);
    return KS_RES(OK);
}

static ks_result open_admin(struct control *control)
{
    const struct ks_control_settings *settings = &control->settings;
    control->admin = (struct ks_admin){.store = control->store,
                                       .issuer = control->issuer,
                                       .clock = &ks_clock_system,
                                       .loop = control->loop,
                                       .partition = settings->partition};
    ks_admin_methods(&control->admin, control->methods);
    struct ks_rpc_server_options options = {
        .address = settings->admin_address,
        .tls = {settings->client_ca_file, settings->process_cert_file, settings->process_key_file},
        .loops = &control->loop,
        .loop_count = 1,
        .methods = control->methods,
        .method_count = KS_ADMIN_METHOD_COUNT,
        .admit = ks_admit_operator,
        .descriptors = {ks_admin_descriptors, ks_admin_descriptors_len},
        .message_bytes_max = 65536,
        .calls_max = 256,
    };
    return ks_rpc_server_new(&options, &control->admin_server);
}

static ks_result open_internal(struct control *control)
{
    const struct ks_control_settings *settings = &control->settings;
    struct ks_rpc_method watch = {
        .path = "/keystead.internal.v1.ControlMirrorService/WatchIdentities",
        .stream = &ks_mirror_callbacks,
        .user = control->mirror};
    struct ks_rpc_server_options options = {
        .address = settings->internal_address,
        .tls = {settings->process_ca_file, settings->process_cert_file,
                settings->process_key_file},
        .loops = &control->loop,
        .loop_count = 1,
        .methods = &watch,
        .method_count = 1,
        .admit = ks_admit_keystore,
        .streams_max = KS_MIRROR_STREAMS_MAX,
        .stream_queue_bytes_max = 256U * 1024U * 1024U, /* a snapshot of a million records */
    };
    return ks_rpc_server_new(&options, &control->internal_server);
}

/* Says in one line what could not be opened. */
static bool opened(ks_result r, const char *what, const char *hint)
{
    if (ks_failed(r)) {
        ks_log(ERROR, "can't start", KS_TEXT("name", what), KS_TEXT("code", ks_code_name(r.code)),
               KS_TEXT("hint", hint));
    }
    return !ks_failed(r);
}

static bool start(struct control *control)
{
    const struct ks_control_settings *settings = &control->settings;
    if (!opened(ks_issuer_new(settings->client_ca_file, settings->client_ca_key_file,
                              &control->issuer),
                "client root", "see client_ca_file and client_ca_key_file: a PEM pair")) {
        return false;
    }
    control->loop = ks_rpc_loop_new("control");
    control->mirror = ks_mirror_new(control->loop);
    if (!opened(open_store(control), "store", "see data_folder: another process may hold it") ||
        !opened(open_admin(control), "admin listener", "see admin_address and the certificates") ||
        !opened(open_internal(control), "internal listener",
                "see internal_address and the certificates")) {
        return false;
    }
    control->expiry = ks_expiry_new(control->store, control->loop, &ks_clock_system);
    ks_rpc_health_set(control->admin_server, "", true);
    ks_rpc_health_set(control->internal_server, "", true);
    return true;
}

static void stop(struct control *control)
{
    if (control->admin_server) {
        ks_rpc_server_drain(control->admin_server, DRAIN_NOTICE_MS, DRAIN_GRACE_MS);
    }
    ks_expiry_free(control->expiry);
    ks_rpc_server_free(control->internal_server);
    ks_store_free(control->store);
    ks_rpc_server_free(control->admin_server);
    ks_rpc_loop_free(control->loop);
    ks_mirror_free(control->mirror);
    ks_issuer_free(control->issuer);
}

int main(int argc, char **argv)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    ks_log_init("control", KS_LOG_INFO);

    struct control control = {0};
    int status = ks_config_main(&ks_control_table, argc, argv, &control.settings);
    if (status >= 0) {
        return status;
    }
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0}))) {
        ks_log(ERROR, "can't start", KS_TEXT("name", "OpenSSL"));
        return EXIT_FAILURE;
    }
    ks_rpc_init();
    bool started = start(&control);
    if (started) {
        ks_log(INFO, "serving", KS_TEXT("address", control.settings.admin_address));
        int signal;
        sigwait(&signals, &signal);
        ks_log(INFO, "stopping", KS_NUMBER("signal", signal));
    }
    stop(&control);
    ks_config_done(&ks_control_table, &control.settings);
    ks_rpc_shutdown();
    return started ? EXIT_SUCCESS : EXIT_FAILURE;
}
