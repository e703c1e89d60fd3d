#include "services/cli/service/connections.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "pkg/base/clock.h"
#include "pkg/base/mem.h"
#include "pkg/rpc/client.h"
#include "pkg/rpc/loop.h"

#define PAUSE_FIRST_MS 100
#define PAUSE_MOST_MS  1000
#define TRIES_MAX      1000U /* patience ends it long before */

struct connection {
    char address[KS_CONNECTIONS_ADDRESS_LEN];
    char spiffe[KS_CONNECTIONS_SPIFFE_LEN];
    struct ks_rpc_channel *channel;
};

struct ks_connections {
    struct ks_rpc_loop *loop; /* NULL: nothing was called yet */
    struct connection items[KS_CONNECTIONS_CHANNELS_MAX];
    size_t count;
};

struct ks_connections *ks_connections_new(void)
{
    return ks_alloc(1, sizeof(struct ks_connections));
}

void ks_connections_free(struct ks_connections *connections)
{
    if (!connections) {
        return;
    }
    for (size_t i = 0; i < connections->count; i++) {
        ks_rpc_channel_free(connections->items[i].channel);
    }
    if (connections->loop) {
        ks_rpc_loop_free(connections->loop);
        ks_rpc_shutdown();
    }
    ks_free(connections);
}

static ks_result refuse(struct ks_rpc_error *error, const char *what, const char *name,
                        const char *why)
{
    *error = (struct ks_rpc_error){.code = KS_VALIDATION};
    snprintf(error->text, sizeof(error->text), "%s %.300s: %s", what, name, why);
    return KS_RES(VALIDATION);
}

/* The library would only say that the pair is wrong. */
static ks_result check_files(const struct ks_rpc_tls *tls, struct ks_rpc_error *error)
{
    const char *const files[] = {tls->ca_file, tls->cert_file, tls->key_file};
    for (size_t i = 0; i < KS_COUNT(files); i++) {
        int file = open(files[i], O_RDONLY | O_CLOEXEC);
        if (file < 0) {
            return refuse(error, "cannot read", files[i], strerror(errno));
        }
        close(file);
    }
    return KS_RES(OK);
}

static void start(struct ks_connections *connections)
{
    if (!connections->loop) {
        ks_rpc_init();
        connections->loop = ks_rpc_loop_new("keystead");
    }
}

static struct connection *find(struct ks_connections *connections, const char *address,
                               const char *spiffe)
{
    for (size_t i = 0; i < connections->count; i++) {
        struct connection *connection = &connections->items[i];
        if (strcmp(connection->address, address) == 0 && strcmp(connection->spiffe, spiffe) == 0) {
            return connection;
        }
    }
    return NULL;
}

ks_result ks_connections_channel(struct ks_connections *connections, const struct ks_door *door,
                                 const char *address, struct ks_rpc_channel **ret_channel,
                                 struct ks_rpc_error *reterr_error)
{
    struct connection *connection = find(connections, address, door->spiffe);
    if (connection) {
        *ret_channel = connection->channel;
        return KS_RES(OK);
    }
    assert(strlen(door->spiffe) < KS_CONNECTIONS_SPIFFE_LEN);
    if (connections->count == KS_CONNECTIONS_CHANNELS_MAX ||
        strlen(address) >= sizeof(connection->address)) {
        return refuse(reterr_error, "address", address, "too long, or one too many");
    }
    KS_TRY(check_files(&door->tls, reterr_error));
    start(connections);
    connection = &connections->items[connections->count];
    const struct ks_rpc_channel_options options = {.address = address,
                                                   .tls = door->tls,
                                                   .server_spiffe = door->spiffe,
                                                   .loop = connections->loop};
    if (ks_failed(ks_rpc_channel_new(&options, &connection->channel))) {
        return refuse(reterr_error, "certificate", door->tls.cert_file,
                      "not PEM, or its key is another one's");
    }
    snprintf(connection->address, sizeof(connection->address), "%s", address);
    snprintf(connection->spiffe, sizeof(connection->spiffe), "%s", door->spiffe);
    connections->count++;
    *ret_channel = connection->channel;
    return KS_RES(OK);
}

/* ---- One call, until it is answered or patience is over ---- */

struct tries {
    char *addresses[KS_CONNECTIONS_ADDRESSES_MAX]; /* into split */
    size_t count;
    char *split;
    int64_t end_ns;
    int64_t pause_ms;
};

static void tries_done(struct tries *tries)
{
    ks_free(tries->split);
}

static ks_result split_addresses(const char *text, struct tries *tries, struct ks_rpc_error *error)
{
    tries->split = ks_strdup(text);
    char *rest = NULL;
    for (char *one = strtok_r(tries->split, ", ", &rest); one; one = strtok_r(NULL, ", ", &rest)) {
        if (tries->count == KS_CONNECTIONS_ADDRESSES_MAX || !strchr(one, ':')) {
            return refuse(error, "address", one, "must be host:port, or is one too many");
        }
        tries->addresses[tries->count++] = one;
    }
    return tries->count > 0 ? KS_RES(OK) : refuse(error, "addresses", text, "there is none");
}

/*
 * Returns whether the file was written just now, as it is when 'user certificate' is followed by
 * the first call.
 */
static bool is_fresh(const char *cert_file)
{
    struct stat about;
    int64_t now_s = ks_clock_wall_ms(&ks_clock_system) / 1000;
    return stat(cert_file, &about) == 0 && now_s - about.st_mtime < KS_CONNECTIONS_FRESH_S;
}

static bool is_transient(ks_code code)
{
    return code == KS_UNAVAILABLE || code == KS_DEADLINE || code == KS_THROTTLED;
}

static bool may_try_again(const struct ks_door *door, const struct ks_outgoing *call, ks_code code)
{
    return is_transient(code) || (code == KS_CONFLICT && call->repeatable) ||
           (code == KS_UNAUTHENTICATED && is_fresh(door->tls.cert_file));
}

static int64_t left_ms(const struct tries *tries)
{
    return (tries->end_ns - ks_clock_boot_ns(&ks_clock_system)) / KS_NS_PER_MS;
}

/* The program pauses only after it has asked all addresses: the next one may be able to answer. */
static void pause_between_rounds(struct tries *tries)
{
    int64_t pause = tries->pause_ms < left_ms(tries) ? tries->pause_ms : left_ms(tries);
    if (pause > 0) {
        struct timespec time = {.tv_sec = pause / 1000, .tv_nsec = pause % 1000 * KS_NS_PER_MS};
        nanosleep(&time, NULL);
    }
    tries->pause_ms = 2 * tries->pause_ms < PAUSE_MOST_MS ? 2 * tries->pause_ms : PAUSE_MOST_MS;
}

static ks_result try_once(struct ks_rpc_channel *channel, const struct ks_outgoing *call,
                          int64_t deadline_ms, struct ks_buffer *ret_response,
                          struct ks_rpc_error *reterr_error)
{
    KS_BUFFER_AUTO request = {.len_max = call->request.len + 1};
    KS_TRY(ks_buffer_append(&request, call->request));
    const struct ks_rpc_unary_options options = {
        .method = call->method, .request = &request, .deadline_ms = deadline_ms};
    ks_result r = ks_rpc_unary_wait(channel, &options, ret_response, reterr_error);
    if (r.code == KS_LIMIT_EXCEEDED && reterr_error->code == KS_OK) {
        reterr_error->code = KS_LIMIT_EXCEEDED;
        snprintf(reterr_error->text, sizeof(reterr_error->text), "the answer is too long");
    }
    return r;
}

const char *ks_connections_cause(const char *text)
{
    const char *cause = text;
    for (const char *colon = strstr(text, ": "); colon; colon = strstr(cause, ": ")) {
        cause = colon + 2;
    }
    return cause;
}

/* Turns the library's own error into words that make sense to the person who typed the address. */
static void explain(const struct ks_door *door, struct ks_rpc_error *error)
{
    char cause[KS_RPC_TEXT_MAX + 1];
    if (error->reason[0] || !is_transient(error->code)) {
        return;
    }
    snprintf(cause, sizeof(cause), "%s", ks_connections_cause(error->text));
    bool late = error->code == KS_DEADLINE;
    snprintf(error->text, sizeof(error->text), "%.200s %s%.250s", door->addresses,
             late ? "did not answer in time" : "cannot be reached: ", late ? "" : cause);
}

ks_result ks_connections_call(struct ks_connections *connections, const struct ks_door *door,
                              const struct ks_outgoing *call, struct ks_buffer *ret_response,
                              struct ks_rpc_error *reterr_error)
{
    assert(call->patience_ms > 0);

    KS_CLEANUP(tries_done)
    struct tries tries = {.end_ns =
                              ks_clock_boot_ns(&ks_clock_system) + call->patience_ms * KS_NS_PER_MS,
                          .pause_ms = PAUSE_FIRST_MS};
    KS_TRY(split_addresses(door->addresses, &tries, reterr_error));

    ks_result r = KS_RES(UNAVAILABLE);
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        struct ks_rpc_channel *channel = NULL;
        int64_t most_ms =
            left_ms(&tries) < KS_CONNECTIONS_TRY_MS ? left_ms(&tries) : KS_CONNECTIONS_TRY_MS;
        KS_TRY(ks_connections_channel(connections, door, tries.addresses[i % tries.count], &channel,
                                      reterr_error));
        *reterr_error = (struct ks_rpc_error){.code = KS_OK};
        r = try_once(channel, call, most_ms > 0 ? most_ms : 1, ret_response, reterr_error);
        if (!may_try_again(door, call, r.code)) {
            return r;
        }
        if ((i + 1) % tries.count == 0) {
            pause_between_rounds(&tries);
        }
        if (left_ms(&tries) <= 0) {
            break;
        }
    }
    explain(door, reterr_error);
    return r;
}
