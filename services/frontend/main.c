/* keystead-frontend: the public face of a region. */

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pkg/base/clock.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/rcu/rcu.h"
#include "pkg/rpc/loop.h"
#include "pkg/rpc/server.h"
#include "services/frontend/identity/session.h"
#include "services/frontend/identity/watch.h"
#include "services/frontend/serve/service.h"
#include "services/frontend/settings.h"

#include "proto/keystead/kms/v1/embedded.h"

/* Everything that lives as long as the process, in the order in which it is made. */
struct frontend {
    struct ks_frontend_settings settings;
    struct ks_keystore_places places;
    struct ks_home home;
    struct ks_rcu *identities;
    struct ks_rpc_loop *watch_loop;
    struct ks_service service;
    struct ks_rpc_method methods[KS_SERVICE_METHODS_MAX];
    struct ks_rpc_server *server;
    struct ks_watch *watch;
};

static void on_identities(void *user)
{
    struct frontend *frontend = user;
    ks_rpc_health_set(frontend->server, "", true);
    ks_rpc_health_set(frontend->server, KS_SERVICE_NAME, true);
}

static struct ks_rpc_tls process_tls(const struct frontend *frontend)
{
    const struct ks_frontend_settings *settings = &frontend->settings;
    return (struct ks_rpc_tls){settings->process_ca_file, settings->process_cert_file,
                               settings->process_key_file};
}

static ks_result open_lane(struct frontend *frontend, size_t index)
{
    const struct ks_frontend_settings *settings = &frontend->settings;
    struct ks_service *service = &frontend->service;
    char name[KS_RPC_LOOP_NAME_MAX + 1];
    (void)snprintf(name, sizeof(name), "serve-%zu", index);
    service->loops[index] = ks_rpc_loop_new(name);
    service->lane_count = index + 1;
    struct ks_lane_options options = {
        .loop = service->loops[index],
        .home = &frontend->home,
        .clock = &ks_clock_system,
        .zone = settings->zone,
        .keystores = frontend->places.items,
        .keystore_count = frontend->places.count,
        .tls = process_tls(frontend),
        .view_count_max = (size_t)settings->views,
        .patience_ms = settings->patience_ms,
        .mutation_patience_ms = settings->mutation_patience_ms,
    };
    return ks_lane_new(&options, &service->lanes[index]);
}

static ks_result open_lanes(struct frontend *frontend)
{
    frontend->service.identities = frontend->identities;
    frontend->service.clock = &ks_clock_system;
    frontend->service.timeout_ms = frontend->settings.timeout_ms;
    for (size_t i = 0; i < (size_t)frontend->settings.threads; i++) {
        KS_TRY(open_lane(frontend, i));
    }
    return KS_RES(OK);
}

static ks_result open_server(struct frontend *frontend)
{
    const struct ks_frontend_settings *settings = &frontend->settings;
    struct ks_rpc_server_options options = {
        .address = settings->address,
        .probe_address = settings->probe_address[0] ? settings->probe_address : NULL,
        .tls = {settings->client_ca_file, settings->process_cert_file, settings->process_key_file},
        .loops = frontend->service.loops,
        .loop_count = frontend->service.lane_count,
        .methods = frontend->methods,
        .method_count = ks_service_methods(&frontend->service, frontend->methods),
        .admit = ks_session_admit,
        .forget = ks_session_forget,
        .admit_user = settings->partition,
        .descriptors = {ks_kms_descriptors, ks_kms_descriptors_len},
    };
    return ks_rpc_server_new(&options, &frontend->server);
}

static ks_result open_watch(struct frontend *frontend)
{
    struct ks_watch_options options = {
        .loop = frontend->watch_loop,
        .identities = frontend->identities,
        .region = frontend->settings.region,
        .addresses = frontend->places.addresses,
        .address_count = frontend->places.count,
        .tls = process_tls(frontend),
        .on_first = on_identities,
        .user = frontend,
    };
    return ks_watch_new(&options, &frontend->watch);
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

static bool start(struct frontend *frontend)
{
    const struct ks_frontend_settings *settings = &frontend->settings;
    frontend->home = (struct ks_home){
        .partition = settings->partition,
        .region = settings->region,
        .known_regions = (const char *const *)settings->regions.items,
        .known_region_count = settings->regions.count,
    };
    frontend->identities = ks_rcu_new(ks_identities_free);
    frontend->watch_loop = ks_rpc_loop_new("identities");
    return opened(open_lanes(frontend), "streams to keystores",
                  "see process_ca_file, process_cert_file, process_key_file") &&
           opened(open_server(frontend), "listener",
                  "see address: it may be taken; and the certificates") &&
           opened(open_watch(frontend), "identities", "see the certificates");
}

static void stop(struct frontend *frontend)
{
    if (frontend->server) {
        ks_rpc_server_drain(frontend->server, frontend->settings.drain_notice_ms,
                            frontend->settings.drain_grace_ms);
    }
    ks_watch_free(frontend->watch);
    ks_rpc_server_free(frontend->server);
    for (size_t i = 0; i < frontend->service.lane_count; i++) {
        ks_lane_free(frontend->service.lanes[i]);
        ks_rpc_loop_free(frontend->service.loops[i]);
    }
    ks_rpc_loop_free(frontend->watch_loop);
    ks_rcu_free(frontend->identities);
    ks_keystore_places_done(&frontend->places);
}

/* Starts, serves until SIGTERM or SIGINT, stops. */
static bool serve(struct frontend *frontend, const sigset_t *signals)
{
    bool started = start(frontend);
    if (started) {
        ks_log(INFO, "listening", KS_TEXT("address", frontend->settings.address),
               KS_TEXT("region", frontend->settings.region));
        int signal;
        sigwait(signals, &signal);
        ks_log(INFO, "draining", KS_NUMBER("signal", signal));
    }
    stop(frontend);
    return started;
}

int main(int argc, char **argv)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    static struct frontend frontend;
    int status = ks_config_main(&ks_frontend_table, argc, argv, &frontend.settings);
    if (status >= 0) {
        return status;
    }
    ks_log_init("frontend", (enum ks_log_level)frontend.settings.log_level);
    char error[KS_CONFIG_ERROR_LEN];
    if (ks_failed(ks_frontend_settings_check(&frontend.settings, &frontend.places, error))) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0}))) {
        ks_log(ERROR, "can't start", KS_TEXT("name", "OpenSSL"));
        return EXIT_FAILURE;
    }
    ks_rpc_init();
    bool started = serve(&frontend, &signals);
    ks_config_done(&ks_frontend_table, &frontend.settings);
    ks_rpc_shutdown();
    return started ? EXIT_SUCCESS : EXIT_FAILURE;
}
