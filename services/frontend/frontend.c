#include "services/frontend/frontend.h"

#include <pthread.h>
#include <stdio.h>

#include "pkg/arn/spiffe.h"
#include "pkg/base/clock.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/crypto/random.h"
#include "pkg/process/file.h"
#include "pkg/rcu/rcu.h"
#include "pkg/rpc/loop.h"
#include "pkg/rpc/server.h"
#include "pkg/signedset/head.h"
#include "services/frontend/identity/session.h"
#include "services/frontend/identity/watch.h"
#include "services/frontend/route/reach.h"
#include "services/frontend/serve/service.h"

#include "proto/keystead/kms/v1/embedded.h"

/* In the order in which it is made. */
struct ks_frontend {
    const struct ks_frontend_settings *settings;
    const struct ks_keystore_places *places;
    struct ks_home home;
    struct ks_hash_key hash_key;
    struct ks_rcu *identities;
    struct ks_head_verifier *verifier;
    struct ks_rpc_loop *watch_loop; /* loading identities must not hold up calls */
    struct ks_service service;
    struct ks_rpc_method methods[KS_OPERATION_COUNT];
    struct ks_rpc_server *server;
    struct ks_watch *watch;
    struct ks_reach *reach;
    pthread_mutex_t lock; /* guards the rest */
    bool knows;           /* who may call */
    bool reaches;         /* a keystore that can serve */
};

/* A balancer sends calls only where they can be answered. */
static void set_health(struct ks_frontend *frontend)
{
    bool serving = frontend->knows && frontend->reaches;
    ks_rpc_health_set(frontend->server, "", serving);
    ks_rpc_health_set(frontend->server, KS_SERVICE_NAME, serving);
}

static void on_identities(void *user)
{
    struct ks_frontend *frontend = user;
    pthread_mutex_lock(&frontend->lock);
    frontend->knows = true;
    set_health(frontend);
    pthread_mutex_unlock(&frontend->lock);
}

static void on_reach(void *user, bool serving)
{
    struct ks_frontend *frontend = user;
    ks_log(WARN, serving ? "a keystore can serve" : "no keystore can serve",
           KS_TEXT("name", frontend->settings->region));
    pthread_mutex_lock(&frontend->lock);
    frontend->reaches = serving;
    set_health(frontend);
    pthread_mutex_unlock(&frontend->lock);
}

static struct ks_rpc_tls process_tls(const struct ks_frontend_settings *settings)
{
    return (struct ks_rpc_tls){settings->process_ca_file, settings->process_cert_file,
                               settings->process_key_file};
}

static ks_result open_lane(struct ks_frontend *frontend, size_t index)
{
    const struct ks_frontend_settings *settings = frontend->settings;
    struct ks_service *service = &frontend->service;
    char name[KS_RPC_LOOP_NAME_MAX + 1];
    (void)snprintf(name, sizeof(name), "serve-%u", (unsigned)(index % KS_RPC_LOOPS_MAX));
    service->loops[index] = ks_rpc_loop_new(name);
    service->lane_count = index + 1;
    struct ks_lane_options options = {
        .loop = service->loops[index],
        .home = &frontend->home,
        .clock = &ks_clock_system,
        .zone = settings->zone,
        .keystores = frontend->places->items,
        .keystore_count = frontend->places->count,
        .tls = process_tls(settings),
        .view_count_max = (size_t)settings->views,
        .hash_key = frontend->hash_key,
        .patience_ms = settings->patience_ms,
        .mutation_patience_ms = settings->mutation_patience_ms,
    };
    return ks_lane_new(&options, &service->lanes[index]);
}

static ks_result open_lanes(struct ks_frontend *frontend)
{
    frontend->service.identities = frontend->identities;
    frontend->service.clock = &ks_clock_system;
    frontend->service.timeout_ms = frontend->settings->timeout_ms;
    for (size_t i = 0; i < (size_t)frontend->settings->threads; i++) {
        KS_TRY(open_lane(frontend, i));
    }
    return KS_RES(OK);
}

static ks_result open_server(struct ks_frontend *frontend)
{
    const struct ks_frontend_settings *settings = frontend->settings;
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

static ks_result open_watch(struct ks_frontend *frontend)
{
    KS_BUFFER_AUTO root = {.len_max = KS_RPC_PEM_MAX};
    KS_TRY(ks_file_read(frontend->settings->client_ca_file, &root));
    KS_TRY(ks_head_verifier_new(ks_buffer_bytes(&root), &frontend->verifier));
    frontend->watch_loop = ks_rpc_loop_new("identities");
    struct ks_watch_options options = {
        .loop = frontend->watch_loop,
        .verifier = frontend->verifier,
        .identities = frontend->identities,
        .region = frontend->settings->region,
        .addresses = frontend->places->addresses,
        .address_count = frontend->places->count,
        .tls = process_tls(frontend->settings),
        .on_first = on_identities,
        .user = frontend,
    };
    return ks_watch_new(&options, &frontend->watch);
}

static ks_result open_reach(struct ks_frontend *frontend)
{
    char spiffe[KS_SPIFFE_LEN_MAX + 1];
    (void)snprintf(spiffe, sizeof(spiffe), "spiffe://%s/region/%s/keystore/", KS_TRUST_DOMAIN,
                   frontend->settings->region);
    const struct ks_reach_options options = {
        .loop = frontend->service.loops[0],
        .server_spiffe = spiffe,
        .addresses = frontend->places->addresses,
        .address_count = frontend->places->count,
        .tls = process_tls(frontend->settings),
        .on_change = on_reach,
        .user = frontend,
    };
    return ks_reach_new(&options, &frontend->reach);
}

/* Says in one line what could not be opened, and passes the result on. */
static ks_result opened(ks_result r, const char *what, const char *hint)
{
    if (ks_failed(r)) {
        ks_log(ERROR, "can't start", KS_TEXT("name", what), KS_TEXT("code", ks_code_name(r.code)),
               KS_TEXT("hint", hint));
    }
    return r;
}

static ks_result draw_hash_key(struct ks_frontend *frontend)
{
    return ks_random_private((uint8_t *)&frontend->hash_key, sizeof(frontend->hash_key));
}

static ks_result open_all(struct ks_frontend *frontend)
{
    KS_TRY(opened(draw_hash_key(frontend), "random numbers", "the system gives none"));
    KS_TRY(opened(open_lanes(frontend), "streams to keystores",
                  "see process_ca_file, process_cert_file and process_key_file"));
    KS_TRY(opened(open_server(frontend), "listener",
                  "see address, which may be taken, and the certificates"));
    KS_TRY(opened(open_watch(frontend), "identities", "see client_ca_file and the certificates"));
    return opened(open_reach(frontend), "health of keystores", "see the certificates");
}

ks_result ks_frontend_new(const struct ks_frontend_settings *settings,
                          const struct ks_keystore_places *places,
                          struct ks_frontend **ret_frontend)
{
    struct ks_frontend *frontend = ks_alloc(1, sizeof(*frontend));
    pthread_mutex_init(&frontend->lock, NULL);
    frontend->settings = settings;
    frontend->places = places;
    frontend->home = (struct ks_home){
        .partition = settings->partition,
        .region = settings->region,
        .known_regions = (const char *const *)settings->regions.items,
        .known_region_count = settings->regions.count,
    };
    frontend->identities = ks_rcu_new(ks_identities_free);
    ks_result made = open_all(frontend);
    if (ks_failed(made)) {
        ks_frontend_free(frontend);
        return made;
    }
    *ret_frontend = frontend;
    return KS_RES(OK);
}

int ks_frontend_port(const struct ks_frontend *frontend)
{
    return ks_rpc_server_port(frontend->server);
}

void ks_frontend_free(struct ks_frontend *frontend)
{
    if (!frontend) {
        return;
    }
    if (frontend->server) {
        ks_rpc_server_drain(frontend->server, frontend->settings->drain_notice_ms,
                            frontend->settings->drain_grace_ms);
    }
    ks_reach_free(frontend->reach);
    ks_watch_free(frontend->watch);
    /* Waits until every call is answered; their requests end by the lanes' time at the latest. */
    ks_rpc_server_free(frontend->server);
    for (size_t i = 0; i < frontend->service.lane_count; i++) {
        ks_lane_free(frontend->service.lanes[i]);
        ks_rpc_loop_free(frontend->service.loops[i]);
    }
    ks_rpc_loop_free(frontend->watch_loop);
    ks_head_verifier_free(frontend->verifier);
    ks_rcu_free(frontend->identities);
    pthread_mutex_destroy(&frontend->lock);
    ks_free(frontend);
}
