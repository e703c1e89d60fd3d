#include "pkg/rpc/rpc_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "pkg/base/log.h"
#include "pkg/base/mem.h"

#define PATH_LEN_MAX 200U
#define PATHS        24U

struct ks_rpc_loop *fixture_loop;
struct ks_rpc_loop *fixture_client_loop;

static char folder[64];

int fixture_setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "%s", "/tmp/ks-rpc-XXXXXX");
    if (!mkdtemp(folder)) {
        return -1;
    }
    char command[PATH_LEN_MAX];
    snprintf(command, sizeof(command), "pkg/rpc/certs.sh %s", folder);
    if (system(command) != 0) {
        return -1;
    }
    ks_log_init("rpc_test", KS_LOG_ERROR);
    ks_rpc_init();
    fixture_loop = ks_rpc_loop_new("test");
    fixture_client_loop = ks_rpc_loop_new("test client");
    return 0;
}

int fixture_teardown(void **state)
{
    (void)state;
    alarm(FIXTURE_WAIT_MS / 1000); /* A test that failed leaves a server behind: nothing ends. */
    ks_rpc_loop_free(fixture_loop);
    ks_rpc_loop_free(fixture_client_loop);
    ks_rpc_shutdown();
    char command[PATH_LEN_MAX];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command) == 0 ? 0 : -1;
}

const char *fixture_path(const char *file)
{
    static char paths[PATHS][PATH_LEN_MAX];
    static size_t next;
    char *path = paths[next++ % PATHS];
    snprintf(path, PATH_LEN_MAX, "%s/%s", folder, file);
    return path;
}

static const char *with_ending(const char *name, const char *ending)
{
    char file[PATH_LEN_MAX / 2];
    snprintf(file, sizeof(file), "%s.%s", name, ending);
    return fixture_path(file);
}

struct ks_rpc_tls fixture_tls(const char *root, const char *name)
{
    return (struct ks_rpc_tls){with_ending(root, "pem"), with_ending(name, "pem"),
                               with_ending(name, "key")};
}

void fixture_replace(const char *file, const char *with)
{
    char command[3 * PATH_LEN_MAX];
    snprintf(command, sizeof(command), "cp %s %s && mv %s %s", fixture_path(with),
             fixture_path("new"), fixture_path("new"), fixture_path(file));
    assert_int_equal(system(command), 0);
}

struct ks_rpc_server *fixture_server(struct ks_rpc_server_options options)
{
    if (!options.address) {
        options.address = "127.0.0.1:0";
    }
    if (!options.tls.ca_file) {
        options.tls = fixture_tls("root", "server");
    }
    if (!options.loops) {
        options.loops = &fixture_loop;
        options.loop_count = 1;
    }
    struct ks_rpc_server *server = NULL;
    assert_int_equal(ks_rpc_server_new(&options, &server).code, KS_OK);
    ks_rpc_health_set(server, "", true);
    return server;
}

struct ks_rpc_channel *fixture_channel_to(int port, struct ks_rpc_tls tls, const char *spiffe)
{
    char address[32];
    snprintf(address, sizeof(address), "127.0.0.1:%d", port);
    const struct ks_rpc_channel_options options = {
        .address = address, .tls = tls, .server_spiffe = spiffe, .loop = fixture_client_loop};
    struct ks_rpc_channel *channel = NULL;
    assert_int_equal(ks_rpc_channel_new(&options, &channel).code, KS_OK);
    return channel;
}

struct ks_rpc_channel *fixture_channel(const struct ks_rpc_server *server, const char *certificate)
{
    return fixture_channel_to(ks_rpc_server_port(server), fixture_tls("root", certificate),
                              "spiffe://test/server/");
}

void gauge_raise(struct gauge *gauge)
{
    pthread_mutex_lock(&gauge->lock);
    gauge->value++;
    pthread_cond_broadcast(&gauge->changed);
    pthread_mutex_unlock(&gauge->lock);
}

int gauge_read(struct gauge *gauge)
{
    pthread_mutex_lock(&gauge->lock);
    int value = gauge->value;
    pthread_mutex_unlock(&gauge->lock);
    return value;
}

void gauge_reset(struct gauge *gauge)
{
    pthread_mutex_lock(&gauge->lock);
    gauge->value = 0;
    pthread_mutex_unlock(&gauge->lock);
}

void gauge_await(struct gauge *gauge, int value)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += FIXTURE_WAIT_MS / 1000;
    int timed_out = 0;
    pthread_mutex_lock(&gauge->lock);
    while (gauge->value < value && !timed_out) {
        timed_out = pthread_cond_timedwait(&gauge->changed, &gauge->lock, &until);
    }
    pthread_mutex_unlock(&gauge->lock);
    assert_int_equal(timed_out, 0);
}

ks_result fixture_call(struct ks_rpc_channel *channel, const char *method, ks_bytes request,
                       struct ks_buffer *to, struct ks_rpc_error *reterr_error)
{
    KS_BUFFER_AUTO copy = {.len_max = request.len + 1};
    assert_int_equal(ks_buffer_append(&copy, request).code, KS_OK);
    const struct ks_rpc_unary_options options = {
        .method = method, .request = &copy, .deadline_ms = FIXTURE_WAIT_MS};
    return ks_rpc_unary_wait(channel, &options, to, reterr_error);
}
