#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "pkg/base/mem.h"
#include "pkg/rpc/server.h"
#include "pkg/rpc/server_core.h"
#include "pkg/rpc/wire.h"

/* grpc/health/v1/health.proto: HealthCheckRequest.service, HealthCheckResponse.status. */
enum { REQUEST_SERVICE = 1, RESPONSE_STATUS = 1 };
enum status { SERVING = 1, NOT_SERVING = 2, SERVICE_UNKNOWN = 3 };

#define RESPONSE_LEN_MAX 8U
#define NAME_LEN_MAX     128U /* of a service; a longer one is unknown */

struct service {
    char *name;
    enum status status;
};

struct watch {
    struct ks_rpc_stream *stream; /* NULL: a free place. Borrowed until its on_close */
    char name[NAME_LEN_MAX + 1];
};

/*
 * The lock is held while a status is sent, so that every watch sees changes in their order. It is
 * taken when health changes or somebody asks for it: seldom.
 */
struct ks_rpc_health {
    pthread_mutex_t lock;
    struct service services[KS_RPC_HEALTH_MAX];
    size_t service_count;
    struct watch watches[KS_RPC_WATCHERS_MAX];
    bool stopped;
};

struct ks_rpc_health *ks_rpc_health_new(void)
{
    struct ks_rpc_health *health = ks_alloc(1, sizeof(*health));
    pthread_mutex_init(&health->lock, NULL);
    health->services[0] = (struct service){ks_strdup(""), NOT_SERVING};
    health->service_count = 1;
    return health;
}

void ks_rpc_health_free(struct ks_rpc_health *health)
{
    if (!health) {
        return;
    }
    for (size_t i = 0; i < health->service_count; i++) {
        ks_free(health->services[i].name);
    }
    pthread_mutex_destroy(&health->lock);
    ks_free(health);
}

static struct service *find(struct ks_rpc_health *health, ks_bytes name)
{
    for (size_t i = 0; i < health->service_count; i++) {
        if (ks_bytes_equal(ks_bytes_of(health->services[i].name), name)) {
            return &health->services[i];
        }
    }
    return NULL;
}

static void encode(enum status status, struct ks_buffer *to)
{
    bool full = false;
    ks_rpc_wire_put_value(to, RESPONSE_STATUS, (uint64_t)status, &full);
    assert(!full);
}

/* A watcher whose queue is full does not read; it is ended rather than told half. */
static void tell(struct ks_rpc_stream *stream, enum status status)
{
    KS_BUFFER_AUTO response = {.len_max = RESPONSE_LEN_MAX};
    encode(status, &response);
    if (ks_failed(ks_rpc_stream_send(stream, ks_buffer_bytes(&response)))) {
        ks_rpc_stream_cancel(stream);
    }
}

/* Under the lock. */
static void set_status(struct ks_rpc_health *health, struct service *service, enum status status)
{
    if (service->status == status) {
        return;
    }
    service->status = status;
    for (size_t i = 0; i < KS_RPC_WATCHERS_MAX; i++) {
        const struct watch *watch = &health->watches[i];
        if (watch->stream && strcmp(watch->name, service->name) == 0) {
            tell(watch->stream, status);
        }
    }
}

void ks_rpc_health_set(struct ks_rpc_server *server, const char *service, bool serving)
{
    assert(server && service && strlen(service) <= NAME_LEN_MAX);

    struct ks_rpc_health *health = server->health;
    pthread_mutex_lock(&health->lock);
    struct service *entry = find(health, ks_bytes_of(service));
    if (!entry) {
        assert(health->service_count < KS_RPC_HEALTH_MAX);
        entry = &health->services[health->service_count++];
        *entry = (struct service){ks_strdup(service), SERVICE_UNKNOWN};
    }
    set_status(health, entry, serving && !health->stopped ? SERVING : NOT_SERVING);
    pthread_mutex_unlock(&health->lock);
}

void ks_rpc_health_stop(struct ks_rpc_health *health)
{
    pthread_mutex_lock(&health->lock);
    health->stopped = true;
    for (size_t i = 0; i < health->service_count; i++) {
        set_status(health, &health->services[i], NOT_SERVING);
    }
    pthread_mutex_unlock(&health->lock);
}

void ks_rpc_health_end_watches(struct ks_rpc_health *health)
{
    const struct ks_rpc_status status = {.code = KS_UNAVAILABLE};
    pthread_mutex_lock(&health->lock);
    for (size_t i = 0; i < KS_RPC_WATCHERS_MAX; i++) {
        if (health->watches[i].stream) {
            ks_rpc_stream_finish(health->watches[i].stream, &status);
        }
    }
    pthread_mutex_unlock(&health->lock);
}

void ks_rpc_health_check(void *user, struct ks_rpc_call *call)
{
    struct ks_rpc_health *health = user;
    ks_bytes name = ks_rpc_wire_bytes(ks_rpc_call_request(call), REQUEST_SERVICE);
    pthread_mutex_lock(&health->lock);
    const struct service *service = find(health, name);
    enum status status = service ? service->status : SERVICE_UNKNOWN;
    pthread_mutex_unlock(&health->lock);
    if (status == SERVICE_UNKNOWN) {
        ks_rpc_call_fail(
            call, &(struct ks_rpc_status){.code = KS_NOT_FOUND, .text = "no such service here"});
        return;
    }
    KS_BUFFER_AUTO response = {.len_max = RESPONSE_LEN_MAX};
    encode(status, &response);
    ks_rpc_call_reply_buffer(call, &response);
}

static void on_watch(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    struct ks_rpc_health *health = user;
    ks_bytes name = ks_rpc_wire_bytes(message, REQUEST_SERVICE);
    pthread_mutex_lock(&health->lock);
    struct watch *place = NULL;
    for (size_t i = 0; i < KS_RPC_WATCHERS_MAX && !place; i++) {
        place = health->watches[i].stream ? NULL : &health->watches[i];
    }
    bool taken = place && name.len <= NAME_LEN_MAX;
    if (taken) {
        const struct service *service = find(health, name);
        memset(place->name, 0, sizeof(place->name));
        if (name.len > 0) {
            memcpy(place->name, name.ptr, name.len);
        }
        place->stream = stream;
        tell(stream, service ? service->status : SERVICE_UNKNOWN);
    }
    pthread_mutex_unlock(&health->lock);
    if (!taken) {
        ks_rpc_stream_finish(stream, &(struct ks_rpc_status){.code = KS_LIMIT_EXCEEDED});
    }
}

static void on_close(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)error;
    struct ks_rpc_health *health = user;
    pthread_mutex_lock(&health->lock);
    for (size_t i = 0; i < KS_RPC_WATCHERS_MAX; i++) {
        if (health->watches[i].stream == stream) {
            health->watches[i].stream = NULL;
        }
    }
    pthread_mutex_unlock(&health->lock);
}

const struct ks_rpc_stream_callbacks ks_rpc_health_watch = {
    .on_message = on_watch,
    .on_close = on_close,
};
