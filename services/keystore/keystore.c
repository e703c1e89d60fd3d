#include "services/keystore/keystore.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/follow/feed.h"
#include "pkg/process/certificate.h"
#include "pkg/rpc/loop.h"
#include "pkg/rpc/server.h"
#include "pkg/store/store.h"
#include "proto/keystead/internal/v1/embedded.h"
#include "proto/keystead/internal/v1/limits.h"
#include "services/keystore/backup/hsm_source.h"
#include "services/keystore/backup/take.h"
#include "services/keystore/compare/compare.h"
#include "services/keystore/domain_keys/keeper.h"
#include "services/keystore/execute/execute.h"
#include "services/keystore/execute/trust.h"
#include "services/keystore/housekeeping/housekeeping.h"
#include "services/keystore/mirror/mirror.h"
#include "services/keystore/operations/quota.h"
#include "services/keystore/operations/table.h"
#include "services/keystore/records/due.h"
#include "services/keystore/records/guard.h"
#include "services/keystore/serve/applied.h"
#include "services/keystore/serve/execute_stream.h"
#include "services/keystore/serve/health.h"
#include "services/keystore/serve/operators.h"
#include "services/keystore/serve/peer.h"
#include "services/keystore/worker/worker.h"

#define THREADS_MAX       16U
#define MESSAGE_BYTES_MAX KS_EXECUTE_REQUEST_MAX /* no other method takes longer ones */
#define PREFIX_LEN        64U
#define FOLDER_LEN        1100U
#define METHOD_COUNT      9U
#define SERVICE           "/keystead.internal.v1.KeystoreService/"

/* The keeper is poked by whatever concerns it; the others look by themselves. */
#define KEEPER_PERIOD_MS       1000
#define APPLIED_PERIOD_MS      250
#define HOUSEKEEPING_PERIOD_MS 250
#define OPERATORS_PERIOD_MS    60000
#define COMPARE_PERIOD_MS      500
#define BACKUP_PERIOD_MS       60000

/* A thing that is to be done later, on the first loop. */
struct delayed {
    struct ks_keystore *keystore;
    int64_t delay_ms;
    void (*fn)(void *argument);
    void *argument;
};

struct ks_keystore {
    const struct ks_keystore_settings *settings;
    struct ks_rpc_loop *loops[THREADS_MAX]; /* of the listener */
    size_t loop_count;
    pthread_mutex_t lock; /* guards stopping */
    bool stopping;        /* nothing is put off any more */
    struct ks_worker *keeper_worker;
    struct ks_worker *applied_worker;
    struct ks_worker *health_worker;
    struct ks_worker *housekeeping_worker;
    struct ks_worker *operators_worker;
    struct ks_worker *compare_worker;
    struct ks_worker *answer_worker;
    struct ks_worker *backup_worker;
    struct ks_applied *applied;
    struct ks_hsm_link *link;
    struct ks_store *store;
    struct ks_keeper *keeper;
    struct ks_housekeeping *housekeeping;
    struct ks_identities *mirror;
    struct ks_operators *operators;
    struct ks_health *health;
    struct ks_compare *compare;
    struct ks_backup_source backup_source;
    struct ks_backups *backups;
    struct ks_quota *quota;
    struct ks_trust *trust;
    struct ks_execute_env env;
    struct ks_execute_streams streams;
    struct ks_rpc_method methods[METHOD_COUNT];
    struct ks_rpc_server *server;
    atomic_bool reloaded; /* the copy was, or the hsm missed a key; housekeeping doesn't know yet */
};

/* What the store and the hsm's link tell, on their threads. */

static void on_applied(void *user, int64_t revision)
{
    ks_applied_say(((struct ks_keystore *)user)->applied, revision);
}

static void on_change(void *user, ks_bytes key, ks_bytes value, int64_t revision)
{
    (void)revision;
    struct ks_keystore *keystore = user;
    if (ks_keeper_concerns(key)) {
        ks_worker_poke(keystore->keeper_worker);
    }
    ks_housekeeping_changed(keystore->link, key, value, &keystore->reloaded);
}

static void on_reload(void *user, int64_t revision)
{
    (void)revision;
    struct ks_keystore *keystore = user;
    atomic_store(&keystore->reloaded, true);
    ks_worker_poke(keystore->keeper_worker);
}

static void on_notice(void *user, const char *sentence)
{
    (void)user;
    ks_log(WARN, "the store says", KS_TEXT("cause", sentence));
}

static void on_refused(void *user, ks_bytes key)
{
    const struct ks_keystore *keystore = user;
    ks_trust_alarm(keystore->trust, key);
}

static void on_connected(void *user, uint64_t life)
{
    struct ks_keystore *keystore = user;
    ks_keeper_connected(keystore->keeper, life);
    ks_worker_poke(keystore->keeper_worker);
}

static void on_lost(void *user)
{
    struct ks_keystore *keystore = user;
    ks_keeper_lost(keystore->keeper);
    ks_worker_poke(keystore->keeper_worker);
}

static bool is_stopping(struct ks_keystore *keystore)
{
    pthread_mutex_lock(&keystore->lock);
    bool stopping = keystore->stopping;
    pthread_mutex_unlock(&keystore->lock);
    return stopping;
}

static void run_delayed(void *argument)
{
    struct delayed delayed = *(struct delayed *)argument;
    ks_free(argument);
    if (!is_stopping(delayed.keystore)) {
        delayed.fn(delayed.argument);
    }
}

static void begin_delay(void *argument)
{
    struct delayed *delayed = argument;
    ks_rpc_loop_after(delayed->keystore->loops[0], delayed->delay_ms, run_delayed, delayed);
}

/* A call that is put off while the process ends is never answered: its frontend asks elsewhere. */
static void later(void *user, int64_t delay_ms, void (*fn)(void *argument), void *argument)
{
    struct ks_keystore *keystore = user;
    pthread_mutex_lock(&keystore->lock);
    if (!keystore->stopping) {
        struct delayed *delayed = ks_alloc(1, sizeof(*delayed));
        *delayed = (struct delayed){keystore, delay_ms, fn, argument};
        ks_rpc_loop_post(keystore->loops[0], begin_delay, delayed);
    }
    pthread_mutex_unlock(&keystore->lock);
}

static void on_health(void *user, bool serving)
{
    const struct ks_keystore *keystore = user;
    ks_rpc_health_set(keystore->server, "", serving);
}

static void keep_house(void *user, struct ks_worker *worker)
{
    struct ks_keystore *keystore = user;
    if (atomic_exchange(&keystore->reloaded, false)) {
        ks_housekeeping_reloaded(keystore->housekeeping);
    }
    ks_housekeeping_run(keystore->housekeeping, worker);
}

/* Starting */

static struct ks_rpc_tls tls_of(const struct ks_keystore_settings *settings)
{
    return (struct ks_rpc_tls){settings->process_ca_file, settings->process_cert_file,
                               settings->process_key_file};
}

static unsigned min_zones_of(const struct ks_keystore_settings *settings)
{
    return settings->engine == KS_KEYSTORE_EMBEDDED ? 1 : (unsigned)settings->min_zones;
}

static ks_result open_link(struct ks_keystore *keystore)
{
    const struct ks_hsm_link_options options = {
        .socket_path = keystore->settings->hsm_socket,
        .on_connected = on_connected,
        .on_lost = on_lost,
        .user = keystore,
    };
    return ks_hsm_link_new(&options, &keystore->link);
}

static ks_result open_store(struct ks_keystore *keystore)
{
    const struct ks_keystore_settings *settings = keystore->settings;
    const char *address =
        settings->advertised_address[0] ? settings->advertised_address : settings->address;
    char prefix[PREFIX_LEN];
    snprintf(prefix, sizeof(prefix), "/keystead/%s/", settings->region);
    const struct ks_store_options options = {
        .engine =
            settings->engine == KS_KEYSTORE_EMBEDDED ? KS_STORE_EMBEDDED : KS_STORE_REPLICATED,
        .folder = settings->data_folder,
        .database_bytes_max = (uint64_t)settings->database_bytes,
        .prefix = prefix,
        .endpoints = (const char *const *)settings->etcd_endpoints.items,
        .endpoint_count = settings->etcd_endpoints.count,
        .ca_file = settings->etcd_ca_file,
        .cert_file = settings->etcd_cert_file,
        .key_file = settings->etcd_key_file,
        .due_ms = ks_record_due_ms,
        .name = settings->name,
        .zone = settings->zone,
        .address = address,
        .etcd_quota_bytes = (uint64_t)settings->etcd_quota_bytes,
        .window_ms = (uint32_t)settings->window_ms,
        .serve_by_log = settings->serving == KS_KEYSTORE_BY_LOG,
        .on_applied = on_applied,
        .on_change = on_change,
        .on_reload = on_reload,
        .on_notice = on_notice,
        .on_refused = on_refused,
        .guard = ks_record_guard,
        .ordinal_of = ks_record_ordinal,
        .is_held = true,
        .user = keystore,
    };
    KS_TRY(ks_store_new(&options, &keystore->store));
    ks_applied_set_store(keystore->applied, keystore->store);
    return KS_RES(OK);
}

static void make_compare(struct ks_keystore *keystore)
{
    const struct ks_compare_options options = {
        .store = keystore->store,
        .loop = keystore->loops[0],
        .tls = tls_of(keystore->settings),
        .region = keystore->settings->region,
        .zone = keystore->settings->zone,
        .worker = keystore->answer_worker,
        .on_found = on_refused,
        .user = keystore,
    };
    keystore->compare = ks_compare_new(&options);
}

static void make_parts(struct ks_keystore *keystore)
{
    const struct ks_keystore_settings *settings = keystore->settings;
    const struct ks_keeper_options keeper = {
        .store = keystore->store,
        .link = keystore->link,
        .region = settings->region,
        .zone = settings->zone,
        .name = settings->name,
        .min_zones = min_zones_of(settings),
        .rotation_ms = settings->rotation_ms,
        .clock = ks_store_clock(keystore->store),
    };
    keystore->keeper = ks_keeper_new(&keeper);
    keystore->housekeeping = ks_housekeeping_new(keystore->store, keystore->link, NULL);
    keystore->quota = ks_quota_new(keystore->store, 0);
    const struct ks_operators_options operators = {
        .name = settings->name,
        .region = settings->region,
        .zone = settings->zone,
        .store = keystore->store,
        .link = keystore->link,
        .keeper = keystore->keeper,
        .housekeeping = keystore->housekeeping,
        .mirror = keystore->mirror,
        .streams = &keystore->streams,
        .trust = keystore->trust,
        .worker = keystore->operators_worker,
    };
    keystore->operators = ks_operators_new(&operators);
    const struct ks_health_options health = {
        .store = keystore->store, .link = keystore->link, .on_change = on_health, .user = keystore};
    keystore->health = ks_health_new(&health);
    make_compare(keystore);
    keystore->backup_source = ks_backup_hsm_source(keystore->link);
    const struct ks_backups_options backups = {
        .name = settings->name,
        .region = settings->region,
        .store = keystore->store,
        .source = &keystore->backup_source,
        .worker = keystore->backup_worker,
    };
    keystore->backups = ks_backups_new(&backups);
    keystore->env = (struct ks_execute_env){
        .store = keystore->store,
        .hsm = keystore->link,
        .quota = keystore->quota,
        .trust = keystore->trust,
        .clock = *ks_store_clock(keystore->store),
        .partition = settings->partition,
        .region = settings->region,
        .run_of = ks_run_of,
        .attempts =
            {
                .functions = &ks_attempt_store,
                .store = keystore->store,
                .clock = &keystore->env.clock,
                .later = later,
                .later_user = keystore,
            },
    };
    keystore->streams.env = &keystore->env;
}

static ks_result open_mirror(struct ks_keystore *keystore)
{
    const struct ks_keystore_settings *settings = keystore->settings;
    char folder[FOLDER_LEN];
    (void)snprintf(folder, sizeof(folder), "%s/mirror", settings->data_folder);
    const struct ks_identities_options options = {
        .folder = folder,
        .address = settings->control_address,
        .head_ca_file = settings->client_ca_file,
        .tls = tls_of(settings),
    };
    return ks_identities_new(&options, &keystore->mirror);
}

static ks_result open_server(struct ks_keystore *keystore)
{
    const struct ks_rpc_method methods[METHOD_COUNT] = {
        {.path = SERVICE "Execute",
         .stream = &ks_execute_stream_callbacks,
         .user = &keystore->streams},
        {.path = SERVICE "Applied",
         .stream = &ks_applied_stream_callbacks,
         .user = keystore->applied},
        {.path = SERVICE "Compare", .unary = ks_compare_handle, .user = keystore->compare},
        {.path = SERVICE "WatchIdentities",
         .stream = &ks_feed_stream_callbacks,
         .user = ks_identities_feed(keystore->mirror)},
        {.path = SERVICE "GetStatus",
         .unary = ks_operators_get_status,
         .user = keystore->operators},
        {.path = SERVICE "PutRoster",
         .unary = ks_operators_put_roster,
         .user = keystore->operators},
        {.path = SERVICE "PutCustodians",
         .unary = ks_operators_put_custodians,
         .user = keystore->operators},
        {.path = SERVICE "RotateDomainKey",
         .unary = ks_operators_rotate,
         .user = keystore->operators},
        {.path = SERVICE "TakeBackup",
         .stream = &ks_backups_stream_callbacks,
         .one_request = true,
         .user = keystore->backups},
    };
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        keystore->methods[i] = methods[i];
    }
    const struct ks_rpc_server_options options = {
        .address = keystore->settings->address,
        .tls = tls_of(keystore->settings),
        .loops = keystore->loops,
        .loop_count = keystore->loop_count,
        .methods = keystore->methods,
        .method_count = METHOD_COUNT,
        .admit = ks_peer_admit,
        .forget = ks_peer_forget,
        .admit_user = keystore->settings->region,
        .not_after_s = ks_process_not_after_s,
        .connection_age_max_ms = KS_PROCESS_CONNECTION_MS,
        .descriptors = {ks_internal_descriptors, ks_internal_descriptors_len},
        .message_bytes_max = MESSAGE_BYTES_MAX,
    };
    return ks_rpc_server_new(&options, &keystore->server);
}

static ks_result start_threads(struct ks_keystore *keystore)
{
    KS_TRY(ks_worker_start(keystore->keeper_worker, ks_keeper_run, keystore->keeper));
    KS_TRY(ks_worker_start(keystore->applied_worker, ks_applied_run, keystore->applied));
    KS_TRY(ks_worker_start(keystore->operators_worker, ks_operators_run, keystore->operators));
    KS_TRY(ks_worker_start(keystore->health_worker, ks_health_run, keystore->health));
    KS_TRY(ks_worker_start(keystore->compare_worker, ks_compare_run, keystore->compare));
    KS_TRY(ks_worker_start(keystore->answer_worker, ks_compare_answer_run, keystore->compare));
    KS_TRY(ks_worker_start(keystore->backup_worker, ks_backups_run, keystore->backups));
    KS_TRY(ks_worker_start(keystore->housekeeping_worker, keep_house, keystore));
    return ks_hsm_link_start(keystore->link);
}

/* Says in one line what could not be opened. */
static ks_result report(ks_result result, const char *what, const char *hint)
{
    if (ks_failed(result)) {
        ks_log(ERROR, "can't start", KS_TEXT("name", what),
               KS_TEXT("code", ks_code_name(result.code)), KS_TEXT("hint", hint));
    }
    return result;
}

static void make_loops(struct ks_keystore *keystore)
{
    keystore->loop_count = (size_t)keystore->settings->threads;
    for (size_t i = 0; i < keystore->loop_count; i++) {
        keystore->loops[i] = ks_rpc_loop_new("serve");
    }
    keystore->keeper_worker = ks_worker_new("keeper", KEEPER_PERIOD_MS);
    keystore->applied_worker = ks_worker_new("applied", APPLIED_PERIOD_MS);
    keystore->health_worker = ks_worker_new("health", KS_HEALTH_PERIOD_MS);
    keystore->housekeeping_worker = ks_worker_new("housekeeping", HOUSEKEEPING_PERIOD_MS);
    keystore->operators_worker = ks_worker_new("operators", OPERATORS_PERIOD_MS);
    keystore->compare_worker = ks_worker_new("compare", COMPARE_PERIOD_MS);
    keystore->answer_worker = ks_worker_new("answer", OPERATORS_PERIOD_MS);
    keystore->backup_worker = ks_worker_new("backup", BACKUP_PERIOD_MS);
    const struct ks_applied_options applied = {
        .loop = keystore->loops[0],
        .tls = tls_of(keystore->settings),
        .region = keystore->settings->region,
    };
    keystore->applied = ks_applied_new(&applied);
}

ks_result ks_keystore_start(const struct ks_keystore_settings *settings,
                            struct ks_keystore **ret_keystore)
{
    struct ks_keystore *keystore = ks_alloc(1, sizeof(*keystore));
    keystore->settings = settings;
    keystore->trust = ks_trust_new();
    pthread_mutex_init(&keystore->lock, NULL);
    *ret_keystore = keystore;
    make_loops(keystore);
    KS_TRY(report(open_link(keystore), "hsm link", "the system has no descriptors left"));
    KS_TRY(report(open_store(keystore), "store",
                  "see data_folder: another process may hold it, or the disk is damaged"));
    KS_TRY(report(open_mirror(keystore), "mirror",
                  "see data_folder, client_ca_file, control_address and the certificates"));
    make_parts(keystore);
    KS_TRY(report(open_server(keystore), "internal listener",
                  "see address and the process certificates"));
    KS_TRY(report(start_threads(keystore), "threads", "the system has none left"));
    ks_log(INFO, "started", KS_TEXT("address", settings->address), KS_TEXT("zone", settings->zone));
    return KS_RES(OK);
}

/* Stopping */

/* Calls under way wait for none of them. */
static void stop_workers(struct ks_keystore *keystore)
{
    struct ks_worker *const workers[] = {keystore->health_worker,    keystore->housekeeping_worker,
                                         keystore->operators_worker, keystore->backup_worker,
                                         keystore->keeper_worker,    keystore->compare_worker,
                                         keystore->answer_worker,    keystore->applied_worker};
    for (size_t i = 0; i < KS_COUNT(workers); i++) {
        ks_worker_stop(workers[i]);
    }
}

static void free_parts(struct ks_keystore *keystore)
{
    ks_health_free(keystore->health);
    ks_operators_free(keystore->operators);
    ks_compare_free(keystore->compare);
    ks_backups_free(keystore->backups);
    ks_trust_free(keystore->trust);
    ks_housekeeping_free(keystore->housekeeping);
    ks_keeper_free(keystore->keeper);
    ks_worker_free(keystore->keeper_worker);
    ks_worker_free(keystore->applied_worker);
    ks_worker_free(keystore->health_worker);
    ks_worker_free(keystore->housekeeping_worker);
    ks_worker_free(keystore->operators_worker);
    ks_worker_free(keystore->compare_worker);
    ks_worker_free(keystore->answer_worker);
    ks_worker_free(keystore->backup_worker);
}

void ks_keystore_stop(struct ks_keystore *keystore)
{
    if (!keystore) {
        return;
    }
    stop_workers(keystore);
    if (keystore->operators) {
        ks_operators_close(keystore->operators);
        ks_compare_close(keystore->compare);
    }
    if (keystore->backups) {
        ks_backups_close(keystore->backups);
    }
    if (keystore->server) {
        ks_rpc_server_drain(keystore->server, keystore->settings->drain_notice_ms,
                            keystore->settings->drain_grace_ms);
    }
    ks_rpc_server_free(keystore->server);
    ks_identities_free(keystore->mirror);
    ks_applied_close(keystore->applied);
    pthread_mutex_lock(&keystore->lock);
    keystore->stopping = true;
    pthread_mutex_unlock(&keystore->lock);
    ks_rpc_loop_await_turn(
        keystore->loops[0]); /* what was put off and runs already may use the store */
    /* Calls under way are answered by these three, to lanes that are closed. */
    ks_quota_close(keystore->quota);
    ks_hsm_link_free(keystore->link);
    ks_store_free(keystore->store);
    ks_quota_free(keystore->quota);
    ks_applied_free(keystore->applied);
    free_parts(keystore);
    for (size_t i = 0; i < keystore->loop_count; i++) {
        ks_rpc_loop_free(keystore->loops[i]);
    }
    pthread_mutex_destroy(&keystore->lock);
    ks_free(keystore);
}
