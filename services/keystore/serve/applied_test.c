/*
 * What keystores say to each other, on real streams: a listener of one keystore whose store follows
 * a real etcd, and peers of two zones.
 */
#include "services/keystore/serve/applied.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/rpc/client.h"
#include "pkg/rpc/loop.h"
#include "pkg/rpc/server.h"
#include "pkg/store/store_fixture.h"
#include "services/keystore/records/message.h"
#include "services/keystore/serve/peer.h"
#include "tests/harness/certificates.h"
#include "tests/harness/etcd_fixture.h"
#include "tests/harness/gauge.h"

#define REGION    "ap-seoul-1"
#define ZONE_A    REGION "a"
#define ZONE_B    REGION "b"
#define KEYSTORE  "spiffe://keystead/region/" REGION "/keystore/"
#define METHOD    "/keystead.internal.v1.KeystoreService/Applied"
#define FAR_AHEAD (1LL << 40) /* a revision that nobody reaches by itself */

static struct etcd_fixture *cell;
static char certs[64];
static struct ks_rpc_loop *loop;
static struct ks_rpc_loop *client_loop;
static struct ks_rpc_server *server;
static struct ks_applied *applied;
static struct ks_store *store;     /* zone A's, which listens */
static struct ks_store *neighbour; /* zone B's, which is on the list */
static char *folders[2];
static char prefix[32]; /* of one test's cell */

/* What the client's stream has seen. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_closed;
static ks_code closed_code;

static struct ks_rpc_tls tls_of(const char *name)
{
    static char paths[6][128];
    static size_t next;
    char *ca = paths[next++ % KS_COUNT(paths)];
    char *cert = paths[next++ % KS_COUNT(paths)];
    char *key = paths[next++ % KS_COUNT(paths)];
    snprintf(ca, sizeof(paths[0]), "%s/root.pem", certs);
    snprintf(cert, sizeof(paths[0]), "%s/%s.pem", certs, name);
    snprintf(key, sizeof(paths[0]), "%s/%s.key", certs, name);
    return (struct ks_rpc_tls){ca, cert, key};
}

static void make_certificates(void)
{
    static const struct certificate_leaf leaves[] = {
        {.root = "root", .name = "a", .alternative_names = "IP:127.0.0.1,URI:" KEYSTORE ZONE_A},
        {.root = "root", .name = "b", .alternative_names = "IP:127.0.0.1,URI:" KEYSTORE ZONE_B},
    };
    snprintf(certs, sizeof(certs), "%s", "/tmp/ks-applied-XXXXXX");
    assert_non_null(mkdtemp(certs));
    certificates_root(certs, &(struct certificate_root){.name = "root"});
    for (size_t i = 0; i < KS_COUNT(leaves); i++) {
        certificates_leaf(certs, &leaves[i], NULL);
    }
}

static struct ks_store *start_store(const char *folder, const char *zone)
{
    struct ks_etcd_options client = etcd_fixture_client(cell, 0);
    const struct ks_store_options options = {
        .engine = KS_STORE_REPLICATED,
        .folder = folder,
        .prefix = prefix,
        .endpoints = client.endpoints,
        .endpoint_count = client.endpoint_count,
        .ca_file = client.ca_file,
        .cert_file = client.cert_file,
        .key_file = client.key_file,
        .name = "keystore",
        .zone = zone,
        .address = "127.0.0.1:1",
    };
    struct ks_store *started = NULL;
    assert_int_equal(ks_store_new(&options, &started).code, KS_OK);
    struct ks_store_view view = fixture_serve(started);
    ks_store_view_close(&view);
    return started;
}

static void start_server(void)
{
    static struct ks_rpc_method method = {.path = METHOD, .stream = &ks_applied_stream_callbacks};
    method.user = applied;
    const struct ks_rpc_server_options options = {
        .address = "127.0.0.1:0",
        .tls = tls_of("a"),
        .loops = &loop,
        .loop_count = 1,
        .methods = &method,
        .method_count = 1,
        .admit = ks_peer_admit,
        .forget = ks_peer_forget,
        .admit_user = (void *)(uintptr_t)REGION,
    };
    assert_int_equal(ks_rpc_server_new(&options, &server).code, KS_OK);
}

static int set_up(void **state)
{
    (void)state;
    static unsigned test_number;
    snprintf(prefix, sizeof(prefix), "/applied/%u/", ++test_number);
    for (size_t i = 0; i < KS_COUNT(folders); i++) {
        folders[i] = fixture_folder("applied");
    }
    store = start_store(folders[0], ZONE_A);
    neighbour = start_store(folders[1], ZONE_B);
    const struct ks_applied_options options = {
        .loop = client_loop, .tls = tls_of("a"), .region = REGION};
    applied = ks_applied_new(&options);
    ks_applied_set_store(applied, store);
    start_server();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ks_applied_close(applied);
    ks_rpc_server_free(server);
    ks_store_free(store);
    ks_store_free(neighbour);
    ks_applied_free(applied);
    for (size_t i = 0; i < KS_COUNT(folders); i++) {
        fixture_remove(folders[i]);
        ks_free(folders[i]);
    }
    return 0;
}

/* ---- A peer that says what it likes ---- */

static void client_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    (void)user;
    (void)stream;
    (void)message;
}

static void client_closed(void *user, struct ks_rpc_stream *stream,
                          const struct ks_rpc_error *error)
{
    (void)user;
    (void)stream;
    pthread_mutex_lock(&lock);
    is_closed = true;
    closed_code = error->code;
    pthread_mutex_unlock(&lock);
}

static const struct ks_rpc_stream_callbacks client_callbacks = {.on_message = client_message,
                                                                .on_close = client_closed};

static bool has_closed(void)
{
    pthread_mutex_lock(&lock);
    bool closed = is_closed;
    pthread_mutex_unlock(&lock);
    return closed;
}

static struct ks_rpc_channel *channel_of(const char *certificate)
{
    char address[32];
    snprintf(address, sizeof(address), "127.0.0.1:%d", ks_rpc_server_port(server));
    const struct ks_rpc_channel_options options = {.address = address,
                                                   .tls = tls_of(certificate),
                                                   .server_spiffe = KEYSTORE,
                                                   .loop = client_loop};
    struct ks_rpc_channel *channel = NULL;
    assert_int_equal(ks_rpc_channel_new(&options, &channel).code, KS_OK);
    return channel;
}

/* Says it on a new stream, and waits until the keystore has taken it and ended the stream. */
static void say(const char *certificate, ks_bytes message)
{
    struct ks_rpc_channel *channel = channel_of(certificate);
    struct ks_rpc_stream *stream = NULL;
    const struct ks_rpc_stream_options options = {
        .method = METHOD, .callbacks = &client_callbacks, .ret_ref = &stream};
    is_closed = false;
    ks_rpc_stream_open(channel, &options);
    assert_int_equal(ks_rpc_stream_send(stream, message).code, KS_OK);
    ks_rpc_stream_finish(stream, NULL);
    int64_t give_up_ms = fixture_now_ms() + GAUGE_WAIT_MS;
    while (!has_closed()) {
        assert_true(fixture_now_ms() < give_up_ms);
        fixture_sleep_ms(2);
    }
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);
    assert_int_equal(closed_code, KS_OK);
}

static void say_word(const char *certificate, const char *keystore_id, int64_t revision)
{
    INTERNAL(AppliedRequest) word = INTERNAL_NEW(APPLIED_REQUEST);
    word.keystore_id = ks_lend_text(keystore_id);
    word.applied_revision = revision;
    KS_BUFFER_AUTO packed = {.len_max = 1024};
    assert_int_equal(ks_codec_pack(&word.base, &packed).code, KS_OK);
    say(certificate, ks_buffer_bytes(&packed));
}

/* What the store has heard of the neighbour; 0: the neighbour is not listed. */
static int64_t heard_of(const char *keystore_id)
{
    struct ks_store_status status;
    ks_store_get_status(store, &status);
    for (size_t i = 0; i < status.listed_count; i++) {
        if (strcmp(status.listed[i].keystore_id, keystore_id) == 0) {
            return status.listed[i].applied_revision;
        }
    }
    return 0;
}

/* The neighbour's id, once it is on the store's list. */
static void await_neighbour(char ret_id[40])
{
    struct ks_store_status status;
    ks_store_get_status(neighbour, &status);
    int64_t give_up_ms = fixture_now_ms() + GAUGE_WAIT_MS;
    while (heard_of(status.keystore_id) == 0) {
        assert_true(fixture_now_ms() < give_up_ms);
        fixture_sleep_ms(5);
    }
    memcpy(ret_id, status.keystore_id, 40);
}

static void await_heard(const char *keystore_id, int64_t revision)
{
    int64_t give_up_ms = fixture_now_ms() + GAUGE_WAIT_MS;
    while (heard_of(keystore_id) != revision) {
        assert_true(fixture_now_ms() < give_up_ms);
        fixture_sleep_ms(5);
    }
}

/* A new stream is no keystore's yet, so an empty id is that of its speaker: it must not count. */
static void a_word_without_an_id_counts_for_nothing(void **state)
{
    (void)state;
    say("b", (ks_bytes){0});
    say_word("b", "", 0);
    say_word("b", "", INT64_MAX);

    assert_int_equal(fixture_put(store, "key/empty", "x", 0).code, KS_OK);
}

static void a_word_that_is_none_counts_for_nothing(void **state)
{
    (void)state;
    static const char *const ids[] = {
        "unknown",
        "0123456789012345678901234567890123456789",
        "01234567890123456789012345678901234567890123456789012345678901234567890123456789",
    };
    for (size_t i = 0; i < KS_COUNT(ids); i++) {
        say_word("b", ids[i], INT64_MAX);
    }
    say("b", KS_LITERAL("\xff\xff\xff"));
    say("b", KS_LITERAL("\x0a\x05"
                        "ab"));

    assert_int_equal(fixture_put(store, "key/none", "x", 0).code, KS_OK);
}

static void a_word_counts_only_under_the_certificate_of_its_zone(void **state)
{
    (void)state;
    char id[40];
    await_neighbour(id);

    say_word("a", id, FAR_AHEAD);
    fixture_sleep_ms(500); /* the status is published four times a second */
    assert_true(heard_of(id) < FAR_AHEAD);
    say_word("b", id, FAR_AHEAD);
    await_heard(id, FAR_AHEAD);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_word_without_an_id_counts_for_nothing),
        TEST(a_word_that_is_none_counts_for_nothing),
        TEST(a_word_counts_only_under_the_certificate_of_its_zone),
    };
    const struct etcd_fixture_options options = {.member_count = 1};
    ks_log_init("applied_test", KS_LOG_ERROR);
    ks_rpc_init();
    make_certificates();
    cell = etcd_fixture_start(&options);
    loop = ks_rpc_loop_new("test");
    client_loop = ks_rpc_loop_new("test client");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ks_rpc_loop_free(loop);
    ks_rpc_loop_free(client_loop);
    ks_rpc_shutdown();
    etcd_fixture_stop(cell);
    fixture_remove(certs);
    return failed;
}
