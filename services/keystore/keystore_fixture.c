#include "services/keystore/keystore_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pkg/base/arena.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/crypto/crypto.h"
#include "pkg/store/store_fixture.h"
#include "tests/harness/certificates.h"

struct keystore_world world = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Files */

char *world_file_of(const char *name, const char *end)
{
    char path[2 * PATH_LEN];
    snprintf(path, sizeof(path), "%s/%s.%s", world.certs, name, end);
    return ks_strdup(path);
}

struct ks_rpc_tls world_tls_of(const char *name)
{
    static char paths[32][2 * PATH_LEN];
    static size_t next;
    char *ca = paths[next++ % 32];
    char *cert = paths[next++ % 32];
    char *key = paths[next++ % 32];
    snprintf(ca, sizeof(paths[0]), "%s/root.pem", world.certs);
    snprintf(cert, sizeof(paths[0]), "%s/%s.pem", world.certs, name);
    snprintf(key, sizeof(paths[0]), "%s/%s.key", world.certs, name);
    return (struct ks_rpc_tls){ca, cert, key};
}

/* Control, as far as a mirror sees it: a snapshot of one account, then whatever the test says. */

/* A whole transfer with one record, under the head of a set; NULL: of what is not so. */
void world_send_identities(struct ks_rpc_stream *stream, const char *key, int64_t revision,
                           bool snapshot, const struct fixture_set *set)
{
    INTERNAL(IdentityRecord) record = INTERNAL_NEW(IDENTITY_RECORD);
    record.key = ks_lend_text(key);
    record.value = ks_lend_bytes(KS_LITERAL("value"));
    record.mod_revision = revision;
    INTERNAL(IdentityRecord) * records[] = {&record};
    INTERNAL(WatchIdentitiesResponse) response = INTERNAL_NEW(WATCH_IDENTITIES_RESPONSE);
    const struct fixture_set nothing = {.count = 0};
    KS_BUFFER_AUTO head = {.len_max = 1};
    fixture_set_sign(set ? set : &nothing, world.signer, "epoch-1", revision, ++world.head_number,
                     &head);
    response.begin = true;
    response.snapshot = snapshot;
    response.head = ks_lend_bytes(ks_buffer_bytes(&head));
    response.records = records;
    response.n_records = 1;
    KS_BUFFER_AUTO packed = {.len_max = 4096};
    assert_int_equal(ks_codec_pack(&response.base, &packed).code, KS_OK);
    assert_int_equal(ks_rpc_stream_send_buffer(stream, &packed).code, KS_OK);
}

static void control_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    (void)user;
    KS_ARENA_AUTO arena = {.len_max = ARENA_MAX};
    ProtobufCMessage *unpacked = NULL;
    assert_int_equal(
        ks_codec_unpack(INTERNAL_TYPE(watch_identities_request), message, NULL, &arena, &unpacked)
            .code,
        KS_OK);
    const INTERNAL(WatchIdentitiesRequest) *request =
        (const INTERNAL(WatchIdentitiesRequest) *)unpacked;
    if (request->epoch[0] == '\0') {
        fixture_set_done(&world.plane);
        fixture_set_put(&world.plane, "account/111122223333", KS_LITERAL("value"), 5);
        world_send_identities(stream, "account/111122223333", 5, true, &world.plane);
    }
    /* From here on the plane is the test's. */
    pthread_mutex_lock(&world.lock);
    world.follower = ks_rpc_stream_ref(stream);
    world.asked_count++;
    snprintf(world.asked_epoch, sizeof(world.asked_epoch), "%s", request->epoch);
    snprintf(world.asked_history, sizeof(world.asked_history), "%s", request->history);
    pthread_mutex_unlock(&world.lock);
}

static void control_closed(void *user, struct ks_rpc_stream *stream,
                           const struct ks_rpc_error *error)
{
    (void)user;
    (void)error;
    pthread_mutex_lock(&world.lock);
    if (world.follower == stream) {
        world.follower = NULL;
        ks_rpc_stream_unref(stream);
    }
    pthread_mutex_unlock(&world.lock);
}

static const struct ks_rpc_stream_callbacks control_callbacks = {.on_message = control_message,
                                                                 .on_close = control_closed};
static const struct ks_rpc_method control_method = {
    .path = "/keystead.internal.v1.ControlMirrorService/WatchIdentities",
    .stream = &control_callbacks};

void world_start_control(const char *at)
{
    const struct ks_rpc_server_options options = {
        .address = at,
        .tls = world_tls_of("control"),
        .loops = &world.loop,
        .loop_count = 1,
        .methods = &control_method,
        .method_count = 1,
    };
    assert_int_equal(ks_rpc_server_new(&options, &world.control).code, KS_OK);
    snprintf(world.control_address, sizeof(world.control_address), "127.0.0.1:%d",
             ks_rpc_server_port(world.control));
}

/* The keystore */

static int free_port(void)
{
    const struct ks_rpc_server_options options = {
        .address = "127.0.0.1:0",
        .tls = world_tls_of("keystore"),
        .loops = &world.loop,
        .loop_count = 1,
        .methods = &control_method,
        .method_count = 1,
    };
    struct ks_rpc_server *server = NULL;
    assert_int_equal(ks_rpc_server_new(&options, &server).code, KS_OK);
    int port = ks_rpc_server_port(server);
    ks_rpc_server_free(server);
    return port;
}

void world_start(void)
{
    world.settings = (struct ks_keystore_settings){
        .region = ks_strdup(REGION),
        .zone = ks_strdup(ZONE),
        .partition = ks_strdup("aws"),
        .name = ks_strdup("keystore-" ZONE),
        .address = ks_strdup(world.address),
        .advertised_address = ks_strdup(""),
        .data_folder = ks_strdup(world.folder),
        .database_bytes = 64 * 1024 * 1024,
        .engine = KS_KEYSTORE_EMBEDDED,
        .window_ms = 2000,
        .process_ca_file = world_file_of("root", "pem"),
        .process_cert_file = world_file_of("keystore", "pem"),
        .process_key_file = world_file_of("keystore", "key"),
        .hsm_socket = ks_strdup(world.socket_path),
        .control_address = ks_strdup(world.control_address),
        .client_ca_file = world_file_of("clients", "pem"),
        .min_zones = 1,
        .threads = 2,
        .drain_notice_ms = 0,
        .drain_grace_ms = 100,
    };
    assert_int_equal(ks_keystore_start(&world.settings, &world.keystore).code, KS_OK);
}

void world_stop(void)
{
    ks_keystore_stop(world.keystore);
    ks_config_done(&ks_keystore_table, &world.settings);
}

struct ks_rpc_channel *world_channel_of(const char *certificate)
{
    const struct ks_rpc_channel_options options = {
        .address = world.address,
        .tls = world_tls_of(certificate),
        .server_spiffe = "spiffe://keystead/region/" REGION "/keystore/",
        .loop = world.loop,
    };
    struct ks_rpc_channel *channel = NULL;
    assert_int_equal(ks_rpc_channel_new(&options, &channel).code, KS_OK);
    return channel;
}

int world_set_up(void **state)
{
    (void)state;
    static unsigned counter;
    world.folder = fixture_folder("keystore");
    snprintf(world.socket_path, sizeof(world.socket_path), "/tmp/keystead-%d-s%u.sock",
             (int)getpid(), ++counter);
    world.hsm = ks_fake_hsm_new(NULL, world.socket_path, REGION, ZONE);
    world_start_control("127.0.0.1:0");
    snprintf(world.address, sizeof(world.address), "127.0.0.1:%d", free_port());
    world.result_count = world.message_count = world.closed_count = 0;
    world.seen_key[0] = '\0';
    world.seen_revision = 0;
    world.seen_count = world.asked_count = 0;
    fixture_set_done(&world.plane);
    world_start();
    return 0;
}

int world_tear_down(void **state)
{
    (void)state;
    world_stop();
    ks_rpc_server_free(world.control);
    world.control = NULL;
    ks_fake_hsm_free(world.hsm);
    unlink(world.socket_path);
    fixture_remove(world.folder);
    ks_free(world.folder);
    return 0;
}

unsigned world_count(const unsigned *counter)
{
    pthread_mutex_lock(&world.lock);
    unsigned value = *counter;
    pthread_mutex_unlock(&world.lock);
    return value;
}

void world_stream_closed(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)user;
    (void)stream;
    pthread_mutex_lock(&world.lock);
    world.closed_code = error->code;
    world.closed_count++;
    pthread_mutex_unlock(&world.lock);
}

struct ks_rpc_stream *world_open_stream(struct ks_rpc_channel *channel, const char *method,
                                        const struct ks_rpc_stream_callbacks *callbacks)
{
    struct ks_rpc_stream *stream = NULL;
    const struct ks_rpc_stream_options options = {
        .method = method, .callbacks = callbacks, .ret_ref = &stream};
    (void)ks_rpc_stream_open(channel, &options); /* it may have ended by now: the ref is ours */
    return stream;
}

struct ks_rpc_stream *world_stream_of_keystore(void)
{
    pthread_mutex_lock(&world.lock);
    struct ks_rpc_stream *stream = world.follower ? ks_rpc_stream_ref(world.follower) : NULL;
    pthread_mutex_unlock(&world.lock);
    return stream;
}

static void make_certificates(void)
{
#define LEAF(called, path)                                                                         \
    {                                                                                              \
        .root = "root", .name = (called), .alternative_names = "URI:spiffe://keystead/" path       \
    }
    static const struct certificate_leaf leaves[] = {
        LEAF("keystore", "region/ap-seoul-1/keystore/ap-seoul-1a"),
        LEAF("peer", "region/ap-seoul-1/keystore/ap-seoul-1b"),
        LEAF("frontend", "region/ap-seoul-1/frontend/frontend-1"),
        LEAF("foreign", "region/us-oregon-1/frontend/frontend-1"),
        LEAF("operator", "operator/alice"),
        LEAF("control", "control"),
        LEAF("tenant", "account/111122223333/user/alice"),
    };
#undef LEAF
    certificates_root(world.certs, &(struct certificate_root){.name = "root"});
    world.signer = fixture_signer_new(NULL, NULL);
    char *clients = world_file_of("clients", "pem");
    fixture_signer_write_root(world.signer, clients);
    ks_free(clients);
    for (size_t i = 0; i < KS_COUNT(leaves); i++) {
        certificates_leaf(world.certs, &leaves[i], NULL);
    }
}

int world_group_set_up(void **state)
{
    (void)state;
    const struct ks_crypto_options crypto = {.fips = false};
    assert_int_equal(ks_crypto_init(&crypto).code, KS_OK);
    snprintf(world.certs, sizeof(world.certs), "/tmp/keystead-certs-XXXXXX");
    assert_non_null(mkdtemp(world.certs));
    make_certificates();
    ks_log_init("keystore_test", KS_LOG_ERROR);
    ks_rpc_init();
    world.loop = ks_rpc_loop_new("test");
    return 0;
}

int world_group_tear_down(void **state)
{
    (void)state;
    ks_rpc_loop_free(world.loop);
    ks_rpc_shutdown();
    fixture_signer_free(world.signer);
    fixture_set_done(&world.plane);
    fixture_remove(world.certs);
    return 0;
}
