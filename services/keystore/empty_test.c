/*
 * gRPC's library hands over some broken messages as empty ones, which no handler can tell from good
 * ones. docs/errors.md lists the methods that such a call changes something through, and here each
 * method of the internal listener is called so, on a keystore that runs.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/base/arena.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/crypto/crypto.h"
#include "pkg/rpc/client.h"
#include "pkg/rpc/loop.h"
#include "pkg/store/store_fixture.h"
#include "services/keystore/keystore.h"
#include "services/keystore/records/message.h"
#include "tests/fakes/hsm.h"
#include "tests/harness/certificates.h"
#include "tests/harness/errors_page.h"

#define REGION      "ap-seoul-1"
#define ZONE        "ap-seoul-1a"
#define PATH_LEN    256U
#define ARENA_MAX   (1024U * 1024U)
#define CALM_ASKED  20U /* answers in a row that say the same revision */
#define ASKED_MAX   2000U
#define WAIT_MS     5000
#define END_WAIT_MS 200 /* for the end of a stream, which may not come */

static char certs[PATH_LEN];
static char address[64];
static char socket_path[64];
static char *folder;
static struct ks_fake_hsm *hsm;
static struct ks_keystore_settings settings;
static struct ks_keystore *keystore;
static struct ks_rpc_loop *loop;

/* Who may call a method of the internal listener: each is for one or two of them. */
static const char *const senders[] = {"operator", "frontend", "peer"};
static struct ks_rpc_channel *channels[KS_COUNT(senders)];

static char *file_of(const char *name, const char *end)
{
    char path[2 * PATH_LEN];
    (void)snprintf(path, sizeof(path), "%s/%s.%s", certs, name, end);
    return ks_strdup(path);
}

static void find_address(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    (void)close(fd);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", (unsigned)ntohs(at.sin_port));
}

static void start_keystore(void)
{
    settings = (struct ks_keystore_settings){
        .region = ks_strdup(REGION),
        .zone = ks_strdup(ZONE),
        .partition = ks_strdup("aws"),
        .name = ks_strdup("keystore-" ZONE),
        .address = ks_strdup(address),
        .advertised_address = ks_strdup(""),
        .data_folder = ks_strdup(folder),
        .database_bytes = 64 * 1024 * 1024,
        .engine = KS_KEYSTORE_EMBEDDED,
        .window_ms = 2000,
        .process_ca_file = file_of("root", "pem"),
        .process_cert_file = file_of("keystore", "pem"),
        .process_key_file = file_of("keystore", "key"),
        .client_ca_file = file_of("root", "pem"),
        .hsm_socket = ks_strdup(socket_path),
        .control_address = ks_strdup("127.0.0.1:1"), /* there is none: nothing is mirrored */
        .min_zones = 1,
        .threads = 1,
        .drain_grace_ms = 100,
    };
    assert_int_equal(ks_keystore_start(&settings, &keystore).code, KS_OK);
}

static void open_channels(void)
{
    for (size_t i = 0; i < KS_COUNT(senders); i++) {
        char *files[] = {file_of("root", "pem"), file_of(senders[i], "pem"),
                         file_of(senders[i], "key")};
        const struct ks_rpc_channel_options options = {
            .address = address,
            .tls = {files[0], files[1], files[2]},
            .server_spiffe = "spiffe://keystead/region/" REGION "/keystore/",
            .loop = loop,
        };
        assert_int_equal(ks_rpc_channel_new(&options, &channels[i]).code, KS_OK);
        for (size_t f = 0; f < KS_COUNT(files); f++) {
            ks_free(files[f]);
        }
    }
}

static ks_code send_empty(struct ks_rpc_channel *channel, const char *path, int64_t wait_ms,
                          struct ks_buffer *response)
{
    KS_BUFFER_AUTO nothing = {.len_max = 1};
    const struct ks_rpc_unary_options options = {
        .method = path, .request = &nothing, .deadline_ms = wait_ms};
    struct ks_rpc_error error;
    return ks_rpc_unary_wait(channel, &options, response, &error).code;
}

/* The revision at which nothing was changed for a while, once there is a domain key. */
static int64_t calm_revision(void)
{
    int64_t revision = -1;
    unsigned calm = 0;
    for (unsigned i = 0; i < ASKED_MAX && calm < CALM_ASKED; i++) {
        KS_ARENA_AUTO arena = {.len_max = ARENA_MAX};
        KS_BUFFER_AUTO response = {.len_max = 65536};
        ProtobufCMessage *message = NULL;
        assert_int_equal(send_empty(channels[0], "/keystead.internal.v1.KeystoreService/GetStatus",
                                    WAIT_MS, &response),
                         KS_OK);
        assert_int_equal(ks_codec_unpack(INTERNAL_TYPE(get_status_response),
                                         ks_buffer_bytes(&response), NULL, &arena, &message)
                             .code,
                         KS_OK);
        const INTERNAL(GetStatusResponse) *status = (const INTERNAL(GetStatusResponse) *)message;
        bool same = status->applied_revision == revision && status->domain_generation > 0;
        calm = same ? calm + 1 : 0;
        revision = status->applied_revision;
    }
    assert_int_equal(calm, CALM_ASKED);
    return revision;
}

/* Whether an empty message changes something, whoever sends it. */
static bool changes(const char *path)
{
    int64_t before = calm_revision();
    for (size_t i = 0; i < KS_COUNT(senders); i++) {
        KS_BUFFER_AUTO response = {.len_max = 65536};
        (void)send_empty(channels[i], path, END_WAIT_MS, &response);
    }
    return calm_revision() != before;
}

static void the_page_says_what_an_empty_message_changes(void **state)
{
    (void)state;
    const ProtobufCServiceDescriptor *services[] = {
        &keystead__internal__v1__keystore_service__descriptor,
        &keystead__internal__v1__control_mirror_service__descriptor,
    };
    for (size_t i = 0; i < KS_COUNT(services); i++) {
        char path[PATH_LEN];
        size_t found = 0;
        for (unsigned m = 0; m < services[i]->n_methods; m++) {
            (void)snprintf(path, sizeof(path), "/%s/%s", services[i]->name,
                           services[i]->methods[m].name);
            bool changed = changes(path);
            assert_int_equal(errors_page_lists(path), changed);
            found += changed ? 1 : 0;
        }
        (void)snprintf(path, sizeof(path), "/%s/", services[i]->name);
        assert_int_equal(errors_page_count(path), found);
    }
    /* Whatever else the page lists is of the two services that clients and operators call. */
    assert_int_equal(errors_page_count("/"), errors_page_count("/keystead.kms.v1.") +
                                                 errors_page_count("/keystead.admin.v1.") +
                                                 errors_page_count("/keystead.internal.v1."));
}

static void make_certificates(void)
{
    static const struct certificate_leaf leaves[] = {
        {"root", "keystore", "URI:spiffe://keystead/region/" REGION "/keystore/" ZONE, 0},
        {"root", "peer", "URI:spiffe://keystead/region/" REGION "/keystore/ap-seoul-1b", 0},
        {"root", "frontend", "URI:spiffe://keystead/region/" REGION "/frontend/frontend-1", 0},
        {"root", "operator", "URI:spiffe://keystead/operator/alice", 0},
    };
    certificates_root(certs, &(struct certificate_root){.name = "root"});
    for (size_t i = 0; i < KS_COUNT(leaves); i++) {
        certificates_leaf(certs, &leaves[i], NULL);
    }
}

static int set_up(void **state)
{
    (void)state;
    const struct ks_crypto_options crypto = {.fips = false};
    assert_int_equal(ks_crypto_init(&crypto).code, KS_OK);
    (void)snprintf(certs, sizeof(certs), "/tmp/keystead-certs-XXXXXX");
    assert_non_null(mkdtemp(certs));
    make_certificates();
    ks_log_init("empty_test", KS_LOG_ERROR);
    ks_rpc_init();
    loop = ks_rpc_loop_new("test");
    folder = fixture_folder("keystore");
    (void)snprintf(socket_path, sizeof(socket_path), "/tmp/keystead-%d-e.sock", (int)getpid());
    hsm = ks_fake_hsm_new(NULL, socket_path, REGION, ZONE);
    find_address();
    start_keystore();
    open_channels();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < KS_COUNT(senders); i++) {
        ks_rpc_channel_free(channels[i]);
    }
    ks_keystore_stop(keystore);
    ks_config_done(&ks_keystore_table, &settings);
    ks_fake_hsm_free(hsm);
    (void)unlink(socket_path);
    fixture_remove(folder);
    ks_free(folder);
    ks_rpc_loop_free(loop);
    ks_rpc_shutdown();
    fixture_remove(certs);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_says_what_an_empty_message_changes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
