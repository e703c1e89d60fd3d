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
#include "tests/harness/certificates.h"

#define PATH_LEN_MAX 200U
#define PATHS        24U

struct ks_rpc_loop *fixture_loop;
struct ks_rpc_loop *fixture_client_loop;

static char folder[64];

/* Two roots and what the tests of pkg/rpc need of them. */
static void make_certificates(void)
{
#define SERVER "IP:127.0.0.1,URI:spiffe://test/server/a"
    static const struct certificate_leaf leaves[] = {
        {.root = "root", .name = "server", .alternative_names = SERVER},
        {.root = "root", .name = "server_renewed", .alternative_names = SERVER},
        {.root = "root",
         .name = "server_elsewhere",
         .alternative_names = "IP:127.0.0.1,URI:spiffe://test/elsewhere/a"},
        {.root = "root",
         .name = "server_two_names",
         .alternative_names = SERVER ",URI:spiffe://test/server/b"},
        {.root = "root", .name = "client", .alternative_names = "URI:spiffe://test/client/a"},
        {.root = "root",
         .name = "client_renewed",
         .alternative_names = "URI:spiffe://test/client/renewed"},
        {.root = "root", .name = "stranger", .alternative_names = "URI:spiffe://test/stranger"},
        {.root = "root", .name = "nameless", .alternative_names = "DNS:client.test"},
        {.root = "other_root",
         .name = "outsider",
         .alternative_names = "URI:spiffe://test/client/a"},
    };
#undef SERVER
    certificates_root(folder, &(struct certificate_root){.name = "root"});
    certificates_root(folder, &(struct certificate_root){.name = "other_root"});
    for (size_t i = 0; i < KS_COUNT(leaves); i++) {
        certificates_leaf(folder, &leaves[i], NULL);
    }
}

int fixture_setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "%s", "/tmp/ks-rpc-XXXXXX");
    if (!mkdtemp(folder)) {
        return -1;
    }
    make_certificates();
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

ks_result fixture_call(struct ks_rpc_channel *channel, const char *method, ks_bytes request,
                       struct ks_buffer *to, struct ks_rpc_error *reterr_error)
{
    KS_BUFFER_AUTO copy = {.len_max = request.len + 1};
    assert_int_equal(ks_buffer_append(&copy, request).code, KS_OK);
    const struct ks_rpc_unary_options options = {
        .method = method, .request = &copy, .deadline_ms = FIXTURE_WAIT_MS};
    return ks_rpc_unary_wait(channel, &options, to, reterr_error);
}
