/*
 * The whole process in one piece: real listener and certificates, the embedded store, a fake hsm, a
 * control of the test's own.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "keystead/kms/v1/keys.pb-c.h"
#include "pkg/base/arena.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/codec/wire.h"
#include "pkg/crypto/crypto.h"
#include "pkg/operation/list.h"
#include "pkg/rpc/client.h"
#include "pkg/rpc/loop.h"
#include "pkg/rpc/server.h"
#include "pkg/signedset/signedset_fixture.h"
#include "pkg/store/store_fixture.h"
#include "proto/keystead/internal/v1/limits.h"
#include "services/keystore/keystore.h"
#include "services/keystore/records/message.h"
#include "tests/fakes/hsm.h"
#include "tests/harness/certificates.h"
#include "tests/harness/gauge.h"

#define REGION    "ap-seoul-1"
#define ZONE      "ap-seoul-1a"
#define SERVICE   "/keystead.internal.v1.KeystoreService/"
#define ITEMS     40U
#define PATH_LEN  256U
#define WAIT_MS   10000
#define ARENA_MAX (1024U * 1024U)

/*
 * The queues on both sides and what gRPC holds take less than half of them: the keystore has handled
 * more than its queue takes when the last one is sent.
 */
#define DEAF_MESSAGES (6U * KS_RPC_STREAM_QUEUE_COUNT)

static char certs[PATH_LEN];
static char *folder;
static char socket_path[64];
static char address[64];
static char control_address[64];
static struct ks_fake_hsm *hsm;
static struct ks_keystore_settings settings;
static struct ks_keystore *keystore;
static struct ks_rpc_loop *loop;
static struct ks_rpc_server *control;

/* What callbacks have seen. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned result_count;
static unsigned message_count;
static ks_code codes[64];
static char seen_key[128];
static int64_t seen_revision;
static unsigned seen_count;
static unsigned closed_count;
static ks_code closed_code;

/* Files */

static char *file_of(const char *name, const char *end)
{
    char path[2 * PATH_LEN];
    snprintf(path, sizeof(path), "%s/%s.%s", certs, name, end);
    return ks_strdup(path);
}

static struct ks_rpc_tls tls_of(const char *name)
{
    static char paths[32][2 * PATH_LEN];
    static size_t next;
    char *ca = paths[next++ % 32];
    char *cert = paths[next++ % 32];
    char *key = paths[next++ % 32];
    snprintf(ca, sizeof(paths[0]), "%s/root.pem", certs);
    snprintf(cert, sizeof(paths[0]), "%s/%s.pem", certs, name);
    snprintf(key, sizeof(paths[0]), "%s/%s.key", certs, name);
    return (struct ks_rpc_tls){ca, cert, key};
}

/* Control, as far as a mirror sees it: a snapshot of one account, then whatever the test says. */

static struct ks_rpc_stream *follower;
static struct fixture_signer *signer;
static struct fixture_set plane;
static uint64_t head_number;

/* A whole transfer with one record, under the head of a set; NULL: of what is not so. */
static void send_identities(struct ks_rpc_stream *stream, const char *key, int64_t revision,
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
    fixture_set_sign(set ? set : &nothing, signer, "epoch-1", revision, ++head_number, &head);
    response.begin = true;
    response.snapshot = snapshot;
    response.head = ks_lend_bytes(ks_buffer_bytes(&head));
    response.records = records;
    response.n_records = 1;
    KS_BUFFER_AUTO packed = {.len_max = 4096};
    assert_int_equal(ks_codec_pack(&response.base, &packed).code, KS_OK);
    assert_int_equal(ks_rpc_stream_send_buffer(stream, &packed).code, KS_OK);
}

/* What the keystore has asked for last, and how often it has asked. */
static char asked_epoch[64];
static unsigned asked_count;

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
    pthread_mutex_lock(&lock);
    follower = ks_rpc_stream_ref(stream);
    asked_count++;
    snprintf(asked_epoch, sizeof(asked_epoch), "%s", request->epoch);
    pthread_mutex_unlock(&lock);
    if (request->epoch[0] == '\0') {
        fixture_set_done(&plane);
        fixture_set_put(&plane, "account/111122223333", KS_LITERAL("value"), 5);
        send_identities(stream, "account/111122223333", 5, true, &plane);
    }
}

static void control_closed(void *user, struct ks_rpc_stream *stream,
                           const struct ks_rpc_error *error)
{
    (void)user;
    (void)error;
    pthread_mutex_lock(&lock);
    if (follower == stream) {
        follower = NULL;
        ks_rpc_stream_unref(stream);
    }
    pthread_mutex_unlock(&lock);
}

static const struct ks_rpc_stream_callbacks control_callbacks = {.on_message = control_message,
                                                                 .on_close = control_closed};
static const struct ks_rpc_method control_method = {
    .path = "/keystead.internal.v1.ControlMirrorService/WatchIdentities",
    .stream = &control_callbacks};

static void start_control(const char *at)
{
    const struct ks_rpc_server_options options = {
        .address = at,
        .tls = tls_of("control"),
        .loops = &loop,
        .loop_count = 1,
        .methods = &control_method,
        .method_count = 1,
    };
    assert_int_equal(ks_rpc_server_new(&options, &control).code, KS_OK);
    snprintf(control_address, sizeof(control_address), "127.0.0.1:%d", ks_rpc_server_port(control));
}

/* The keystore */

static int free_port(void)
{
    const struct ks_rpc_server_options options = {
        .address = "127.0.0.1:0",
        .tls = tls_of("keystore"),
        .loops = &loop,
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
        .hsm_socket = ks_strdup(socket_path),
        .control_address = ks_strdup(control_address),
        .client_ca_file = file_of("clients", "pem"),
        .min_zones = 1,
        .threads = 2,
        .drain_notice_ms = 0,
        .drain_grace_ms = 100,
    };
    assert_int_equal(ks_keystore_start(&settings, &keystore).code, KS_OK);
}

static void stop_keystore(void)
{
    ks_keystore_stop(keystore);
    ks_config_done(&ks_keystore_table, &settings);
}

static struct ks_rpc_channel *channel_of(const char *certificate)
{
    const struct ks_rpc_channel_options options = {
        .address = address,
        .tls = tls_of(certificate),
        .server_spiffe = "spiffe://keystead/region/" REGION "/keystore/",
        .loop = loop,
    };
    struct ks_rpc_channel *channel = NULL;
    assert_int_equal(ks_rpc_channel_new(&options, &channel).code, KS_OK);
    return channel;
}

static int set_up(void **state)
{
    (void)state;
    static unsigned counter;
    folder = fixture_folder("keystore");
    snprintf(socket_path, sizeof(socket_path), "/tmp/keystead-%d-s%u.sock", (int)getpid(),
             ++counter);
    hsm = ks_fake_hsm_new(NULL, socket_path, REGION, ZONE);
    start_control("127.0.0.1:0");
    snprintf(address, sizeof(address), "127.0.0.1:%d", free_port());
    result_count = message_count = closed_count = 0;
    seen_key[0] = '\0';
    seen_revision = 0;
    seen_count = asked_count = 0;
    fixture_set_done(&plane);
    start_keystore();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stop_keystore();
    ks_rpc_server_free(control);
    control = NULL;
    ks_fake_hsm_free(hsm);
    unlink(socket_path);
    fixture_remove(folder);
    ks_free(folder);
    return 0;
}

static unsigned read_counter(const unsigned *counter)
{
    pthread_mutex_lock(&lock);
    unsigned value = *counter;
    pthread_mutex_unlock(&lock);
    return value;
}

/* A unary call; the code, and the response in to. */
static ks_code call(const char *certificate, const char *method, const ProtobufCMessage *request,
                    struct ks_buffer *to)
{
    struct ks_rpc_channel *channel = channel_of(certificate);
    KS_BUFFER_AUTO packed = {.len_max = 4096};
    assert_int_equal(ks_codec_pack(request, &packed).code, KS_OK);
    const struct ks_rpc_unary_options options = {
        .method = method, .request = &packed, .deadline_ms = 5000};
    struct ks_rpc_error error;
    ks_result result = ks_rpc_unary_wait(channel, &options, to, &error);
    ks_rpc_channel_free(channel);
    return result.code;
}

/* What GetStatus says, in the arena. */
static const INTERNAL(GetStatusResponse) * status_of(struct ks_arena *arena)
{
    INTERNAL(GetStatusRequest) ask = INTERNAL_NEW(GET_STATUS_REQUEST);
    KS_BUFFER_AUTO response = {.len_max = 65536};
    assert_int_equal(call("operator", SERVICE "GetStatus", &ask.base, &response), KS_OK);
    ProtobufCMessage *message = NULL;
    assert_int_equal(ks_codec_unpack(INTERNAL_TYPE(get_status_response), ks_buffer_bytes(&response),
                                     NULL, arena, &message)
                         .code,
                     KS_OK);
    return (const INTERNAL(GetStatusResponse) *)message;
}

/* Items that have come, as GetStatus says: those of a message once they are all taken. */
static uint64_t status_items(void)
{
    KS_ARENA_AUTO arena = {.len_max = ARENA_MAX};
    return status_of(&arena)->traffic->items;
}

/* Execute */

static void execute_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    (void)user;
    (void)stream;
    KS_ARENA_AUTO arena = {.len_max = ARENA_MAX};
    ProtobufCMessage *unpacked = NULL;
    assert_int_equal(
        ks_codec_unpack(INTERNAL_TYPE(execute_response), message, NULL, &arena, &unpacked).code,
        KS_OK);
    const INTERNAL(ExecuteResponse) *response = (const INTERNAL(ExecuteResponse) *)unpacked;
    pthread_mutex_lock(&lock);
    message_count++;
    for (size_t i = 0; i < response->n_results; i++) {
        codes[response->results[i]->tag] = ks_code_from_number(response->results[i]->code);
        result_count++;
    }
    pthread_mutex_unlock(&lock);
}

static void stream_closed(void *user, struct ks_rpc_stream *stream,
                          const struct ks_rpc_error *error)
{
    (void)user;
    (void)stream;
    pthread_mutex_lock(&lock);
    closed_code = error->code;
    closed_count++;
    pthread_mutex_unlock(&lock);
}

static const struct ks_rpc_stream_callbacks execute_callbacks = {.on_message = execute_message,
                                                                 .on_close = stream_closed};

static struct ks_rpc_stream *open_stream(struct ks_rpc_channel *channel, const char *method,
                                         const struct ks_rpc_stream_callbacks *callbacks)
{
    const struct ks_rpc_stream_options options = {.method = method, .callbacks = callbacks};
    return ks_rpc_stream_ref(ks_rpc_stream_open(channel, &options));
}

/* As many items as asked for in one message, each allowed. */
static void send_operations(struct ks_rpc_stream *stream, uint32_t operation, ks_bytes request,
                            size_t count)
{
    KS_BUFFER_AUTO message = {.len_max = 65536};
    for (size_t i = 0; i < count; i++) {
        INTERNAL(Item) item = INTERNAL_NEW(ITEM);
        item.tag = i;
        item.operation = operation;
        item.request = ks_lend_bytes(request);
        item.account = ks_lend_text("111122223333");
        item.principal = ks_lend_text("arn:aws:iam::111122223333:user/alice");
        item.decision = INTERNAL_ENUM(DECISION__DECISION_ALLOW);
        assert_int_equal(ks_codec_pack_field(1, &item.base, &message).code, KS_OK);
    }
    assert_int_equal(ks_rpc_stream_send_buffer(stream, &message).code, KS_OK);
}

static void send_items(struct ks_rpc_stream *stream, size_t count)
{
    send_operations(stream, KS_NUMBER_LIST_KEYS, (ks_bytes){0}, count);
}

static void a_frontend_gets_a_result_for_each_item_many_in_one_message(void **state)
{
    (void)state;
    struct ks_rpc_channel *channel = channel_of("frontend");
    struct ks_rpc_stream *stream = open_stream(channel, SERVICE "Execute", &execute_callbacks);

    send_items(stream, ITEMS);

    await_true(read_counter(&result_count) >= ITEMS);
    assert_int_equal(message_count, 2); /* the time, and all results */
    for (size_t i = 0; i < ITEMS; i++) {
        assert_int_equal(codes[i], KS_OK);
    }
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);
}

static void what_is_no_request_ends_its_stream_and_no_other(void **state)
{
    (void)state;
    struct ks_rpc_channel *channel = channel_of("frontend");
    struct ks_rpc_stream *bad = open_stream(channel, SERVICE "Execute", &execute_callbacks);
    struct ks_rpc_stream *good = open_stream(channel, SERVICE "Execute", &execute_callbacks);

    assert_int_equal(ks_rpc_stream_send(bad, KS_LITERAL("\xff\xff\xff")).code, KS_OK);
    await_true(read_counter(&closed_count) >= 1);
    assert_int_equal(closed_code, KS_VALIDATION);
    send_items(good, 1);
    await_true(read_counter(&result_count) >= 1);

    ks_rpc_stream_unref(bad);
    ks_rpc_stream_unref(good);
    ks_rpc_channel_free(channel);
}

/* The hsm gets them in one frame, and what it answers goes back in one message. */
static void items_that_need_the_hsm_go_back_together(void **state)
{
    (void)state;
    static const uint8_t eight_bytes[] = {0x08, 0x08};
    const ks_bytes request = {eight_bytes, sizeof(eight_bytes)};
    const uint32_t operation = KS_NUMBER_GENERATE_RANDOM;
    struct ks_rpc_channel *channel = channel_of("frontend");
    struct ks_rpc_stream *stream = open_stream(channel, SERVICE "Execute", &execute_callbacks);
    unsigned asked = 0;
    do { /* until the keeper has opened the link */
        send_operations(stream, operation, request, 1);
        asked++;
        await_true(read_counter(&result_count) >= asked);
    } while (codes[0] == KS_UNAVAILABLE && asked < GAUGE_WAIT_MS);
    unsigned messages = message_count;
    size_t frames = ks_fake_hsm_batch_count(hsm);

    /* The replies come after the items were all taken: it is theirs to gather. */
    ks_fake_hsm_hang(hsm, true);
    send_operations(stream, operation, request, ITEMS);
    await_true(status_items() == asked + ITEMS);
    ks_fake_hsm_hang(hsm, false);

    await_true(read_counter(&result_count) >= asked + ITEMS);
    assert_int_equal(codes[ITEMS - 1], KS_OK);
    assert_int_equal(message_count - messages, 1);
    assert_in_range(ks_fake_hsm_batch_count(hsm) - frames, 1, 2); /* the keeper may ask, too */
    KS_ARENA_AUTO arena = {.len_max = ARENA_MAX};
    const INTERNAL(Traffic) *traffic = status_of(&arena)->traffic;
    assert_int_equal(traffic->items, asked + ITEMS);
    assert_int_equal(traffic->item_messages, asked + 1);
    assert_int_equal(traffic->results, asked + ITEMS);
    assert_int_equal(traffic->result_messages, message_count - 1); /* not the time alone */
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);
}

/* The longest padding that a frontend lets pass was once a byte too long for a keystore. */
static void a_bad_item_is_answered_and_ends_no_stream(void **state)
{
    (void)state;
    struct ks_rpc_channel *channel = channel_of("frontend");
    struct ks_rpc_stream *stream = open_stream(channel, SERVICE "Execute", &execute_callbacks);
    static uint8_t padding[KS_EXECUTE_ITEM_MAX];
    KS_BUFFER_AUTO item = {.len_max = 2 * KS_EXECUTE_ITEM_MAX};
    assert_int_equal(ks_wire_put_varint(1, ITEMS, &item).code, KS_OK);
    assert_int_equal(ks_wire_put_bytes(1000, (ks_bytes){padding, sizeof(padding)}, &item).code,
                     KS_OK);
    KS_BUFFER_AUTO message = {.len_max = 2 * KS_EXECUTE_ITEM_MAX};
    assert_int_equal(ks_wire_put_bytes(1, ks_buffer_bytes(&item), &message).code, KS_OK);

    assert_int_equal(ks_rpc_stream_send_buffer(stream, &message).code, KS_OK);
    send_items(stream, ITEMS);

    await_true(read_counter(&result_count) >= ITEMS + 1);
    assert_int_equal(codes[ITEMS], KS_VALIDATION);
    assert_int_equal(codes[0], KS_OK);
    assert_int_equal(closed_count, 0);
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);
}

/* A message of items that are refused at length, without the hsm. */
static ks_result send_bad_items(struct ks_rpc_stream *stream)
{
    static const uint8_t limit_zero[] = {0x08, 0x00};
    KS_BUFFER_AUTO message = {.len_max = 65536};
    for (size_t i = 0; i < KS_EXECUTE_ITEMS_MAX; i++) {
        INTERNAL(Item) item = INTERNAL_NEW(ITEM);
        item.tag = 1;
        item.operation = KS_NUMBER_LIST_KEYS;
        item.account = ks_lend_text("111122223333");
        item.request = ks_lend_bytes((ks_bytes){limit_zero, sizeof(limit_zero)});
        assert_int_equal(ks_codec_pack_field(1, &item.base, &message).code, KS_OK);
    }
    return ks_rpc_stream_send_buffer(stream, &message);
}

static atomic_bool deaf;

static void read_unless_deaf(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    execute_message(user, stream, message);
    if (atomic_load(&deaf)) {
        ks_rpc_stream_pause(stream);
    }
}

static void read_on(void *argument)
{
    atomic_store(&deaf, false);
    ks_rpc_stream_resume(argument);
}

static const struct ks_rpc_stream_callbacks deaf_callbacks = {.on_message = read_unless_deaf,
                                                              .on_close = stream_closed};

/*
 * Results that find no room would be waited for until the frontend's patience ends: it is told at
 * once that they are lost, and asks elsewhere.
 */
static void a_frontend_that_reads_nothing_loses_its_stream_and_no_result_in_silence(void **state)
{
    (void)state;
    struct ks_rpc_channel *channel = channel_of("frontend");
    struct ks_rpc_stream *stream = open_stream(channel, SERVICE "Execute", &deaf_callbacks);

    atomic_store(&deaf, true);
    for (unsigned i = 0; i < DEAF_MESSAGES; i++) {
        while (send_bad_items(stream).code == KS_LIMIT_EXCEEDED) {
            fixture_sleep_ms(1);
        }
    }
    ks_rpc_loop_post(loop, read_on, stream);

    await_true(read_counter(&closed_count) == 1);
    assert_true(read_counter(&result_count) < DEAF_MESSAGES * KS_EXECUTE_ITEMS_MAX);
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);
}

/* A CreateKey of an account; its result bears the tag. */
static void send_create_key(struct ks_rpc_stream *stream, const char *account, uint64_t tag)
{
    char request_id[32];
    snprintf(request_id, sizeof(request_id), "%s-%u", account, read_counter(&result_count));
    INTERNAL(Item) item = INTERNAL_NEW(ITEM);
    item.tag = tag;
    item.operation = KS_NUMBER_CREATE_KEY;
    item.account = ks_lend_text(account);
    item.principal = ks_lend_text("arn:aws:iam::111122223333:user/alice");
    item.request_id = ks_lend_text(request_id);
    item.decision = INTERNAL_ENUM(DECISION__DECISION_ALLOW);
    KS_BUFFER_AUTO message = {.len_max = 4096};
    assert_int_equal(ks_codec_pack_field(1, &item.base, &message).code, KS_OK);
    assert_int_equal(ks_rpc_stream_send_buffer(stream, &message).code, KS_OK);
}

static void *stop_in_the_background(void *argument)
{
    (void)argument;
    ks_keystore_stop(keystore);
    return NULL;
}

/* The keys of an account are counted by a worker, which must not be gone before those who ask. */
static void a_new_accounts_create_key_is_answered_while_the_keystore_drains(void **state)
{
    (void)state;
    struct ks_rpc_channel *channel = channel_of("frontend");
    struct ks_rpc_stream *stream = open_stream(channel, SERVICE "Execute", &execute_callbacks);
    unsigned asked = 0;
    do { /* until the keeper has made a domain key */
        send_create_key(stream, "111122223333", 0);
        asked++;
        await_true(read_counter(&result_count) >= asked);
    } while (codes[0] == KS_UNAVAILABLE && asked < GAUGE_WAIT_MS);
    assert_int_equal(codes[0], KS_OK);
    settings.drain_notice_ms = 500;
    pthread_t stopping;
    assert_int_equal(pthread_create(&stopping, NULL, stop_in_the_background, NULL), 0);
    fixture_sleep_ms(50);

    send_create_key(stream, "444455556666", 1);
    pthread_join(stopping, NULL);

    assert_int_equal(read_counter(&result_count), asked + 1);
    assert_int_equal(codes[1], KS_OK);
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);
    ks_config_done(&ks_keystore_table, &settings);
    start_keystore();
}

static ks_code refused_with(const char *certificate, const char *method)
{
    unsigned before = closed_count;
    struct ks_rpc_channel *channel = channel_of(certificate);
    struct ks_rpc_stream *stream = open_stream(channel, method, &execute_callbacks);
    await_true(read_counter(&closed_count) >= before + 1);
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);
    return closed_code;
}

/* Each listener checks root and path; each method, whose path. */
static void each_method_is_for_those_it_is_for(void **state)
{
    (void)state;
    assert_int_equal(refused_with("tenant", SERVICE "Execute"), KS_ACCESS_DENIED);
    assert_int_equal(refused_with("foreign", SERVICE "Execute"), KS_ACCESS_DENIED);
    assert_int_equal(refused_with("operator", SERVICE "Execute"), KS_ACCESS_DENIED);
    assert_int_equal(refused_with("peer", SERVICE "Execute"), KS_ACCESS_DENIED);
    assert_int_equal(refused_with("frontend", SERVICE "Applied"), KS_ACCESS_DENIED);
    assert_int_equal(refused_with("control", SERVICE "WatchIdentities"), KS_ACCESS_DENIED);

    KS_BUFFER_AUTO response = {.len_max = 65536};
    INTERNAL(GetStatusRequest) ask = INTERNAL_NEW(GET_STATUS_REQUEST);
    assert_int_equal(call("control", SERVICE "GetStatus", &ask.base, &response), KS_ACCESS_DENIED);
    INTERNAL(PutRosterRequest) roster = INTERNAL_NEW(PUT_ROSTER_REQUEST);
    roster.number = 1;
    KS_BUFFER_AUTO signed_roster = {.len_max = 65536};
    ks_fake_hsm_sign_roster(&hsm, 1, 1, &signed_roster);
    roster.roster = ks_lend_bytes(ks_buffer_bytes(&signed_roster));
    assert_int_equal(call("frontend", SERVICE "PutRoster", &roster.base, &response),
                     KS_ACCESS_DENIED);
    assert_int_equal(call("peer", SERVICE "RotateDomainKey", &roster.base, &response),
                     KS_ACCESS_DENIED);
    assert_int_equal(call("operator", SERVICE "PutRoster", &roster.base, &response), KS_OK);
    assert_int_equal(ks_fake_hsm_roster_number(hsm), 1);
}

/*
 * security.md 9: a stolen key must not work beyond its certificate for as long as a connection lasts.
 * A stream that stands is ended with the next message; a call is refused.
 */
static void a_certificate_that_has_ended_ends_what_stands(void **state)
{
    (void)state;
    const struct certificate_leaf leaf = {
        .root = "root",
        .name = "short",
        .alternative_names = "URI:spiffe://keystead/region/ap-seoul-1/frontend/short",
        .not_after_s = time(NULL) + 3};
    certificates_leaf(certs, &leaf, NULL);
    struct ks_rpc_channel *channel = channel_of("short");
    struct ks_rpc_stream *stream = open_stream(channel, SERVICE "Execute", &execute_callbacks);
    send_items(stream, 1);
    await_true(read_counter(&result_count) >= 1);
    while (time(NULL) < leaf.not_after_s) {
        fixture_sleep_ms(50);
    }

    send_items(stream, 1);

    await_true(read_counter(&closed_count) == 1);
    assert_int_equal(closed_code, KS_UNAUTHENTICATED);
    assert_int_equal(read_counter(&result_count), 1);
    struct ks_rpc_stream *again = open_stream(channel, SERVICE "Execute", &execute_callbacks);
    await_true(read_counter(&closed_count) == 2);
    assert_int_equal(closed_code, KS_UNAUTHENTICATED);
    ks_rpc_stream_unref(stream);
    ks_rpc_stream_unref(again);
    ks_rpc_channel_free(channel);
}

static void an_operator_sees_how_it_is_and_rotates(void **state)
{
    (void)state;
    KS_ARENA_AUTO arena = {.len_max = ARENA_MAX};
    const INTERNAL(GetStatusResponse) *status = NULL;
    for (int i = 0; i < 1000 && !(status && status->hsm_ready && status->domain_generation); i++) {
        status = status_of(&arena);
    }
    assert_true(status->hsm_ready);
    assert_string_equal(status->zone, ZONE);
    assert_int_equal(status->domain_generation, 1);
    assert_int_equal(status->n_alarms, 0);
    assert_int_equal(status->refused_records, 0);
    assert_true(status->window_left_ms > 0);
    assert_true(status->traffic->hsm_requests >= status->traffic->hsm_frames);
    assert_true(status->traffic->hsm_frames > 0);
    assert_int_equal(status->traffic->items, 0);

    KS_BUFFER_AUTO response = {.len_max = 65536};
    INTERNAL(RotateDomainKeyRequest) rotate = INTERNAL_NEW(ROTATE_DOMAIN_KEY_REQUEST);
    rotate.from_generation = 1;
    assert_int_equal(call("operator", SERVICE "RotateDomainKey", &rotate.base, &response), KS_OK);
    await_true(ks_fake_hsm_holds(hsm, 2));
}

/* Identities */

static void identities_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    (void)user;
    (void)stream;
    KS_ARENA_AUTO arena = {.len_max = ARENA_MAX};
    ProtobufCMessage *unpacked = NULL;
    assert_int_equal(
        ks_codec_unpack(INTERNAL_TYPE(watch_identities_response), message, NULL, &arena, &unpacked)
            .code,
        KS_OK);
    const INTERNAL(WatchIdentitiesResponse) *response =
        (const INTERNAL(WatchIdentitiesResponse) *)unpacked;
    pthread_mutex_lock(&lock);
    message_count++;
    struct ks_head head;
    if (response->head.len > 0 && !ks_failed(ks_head_read(ks_bytes_in(response->head), &head))) {
        seen_revision = head.revision;
    }
    seen_count += (unsigned)response->n_records;
    if (response->n_records > 0) {
        snprintf(seen_key, sizeof(seen_key), "%s", response->records[response->n_records - 1]->key);
    }
    pthread_mutex_unlock(&lock);
}

static const struct ks_rpc_stream_callbacks identities_callbacks = {
    .on_message = identities_message, .on_close = stream_closed};

/* Follows from nothing, until a message of this revision has come; the stream stays open. */
static struct ks_rpc_stream *follow(struct ks_rpc_channel *channel, int64_t revision)
{
    for (int i = 0; i < 100; i++) {
        struct ks_rpc_stream *stream =
            open_stream(channel, SERVICE "WatchIdentities", &identities_callbacks);
        INTERNAL(WatchIdentitiesRequest) request = INTERNAL_NEW(WATCH_IDENTITIES_REQUEST);
        KS_BUFFER_AUTO packed = {.len_max = 256};
        assert_int_equal(ks_codec_pack(&request.base, &packed).code, KS_OK);
        ks_result sent = ks_rpc_stream_send(stream, ks_buffer_bytes(&packed));
        for (int wait = 0; !ks_failed(sent) && wait < 100; wait++) {
            fixture_sleep_ms(5);
            pthread_mutex_lock(&lock);
            bool there = seen_revision >= revision;
            pthread_mutex_unlock(&lock);
            if (there) {
                return stream;
            }
        }
        ks_rpc_stream_cancel(stream);
        ks_rpc_stream_unref(stream);
    }
    fail_msg("the identities never came");
    return NULL;
}

/* Promise 8. */
static void identities_reach_frontends_also_without_control_and_after_a_restart(void **state)
{
    (void)state;
    struct ks_rpc_channel *channel = channel_of("frontend");
    struct ks_rpc_stream *stream = follow(channel, 5);
    assert_string_equal(seen_key, "account/111122223333");

    pthread_mutex_lock(&lock);
    struct ks_rpc_stream *keystores = ks_rpc_stream_ref(follower);
    unsigned before = message_count;
    pthread_mutex_unlock(&lock);
    fixture_set_put(&plane, "user/111122223333/alice", KS_LITERAL("value"), 6);
    send_identities(keystores, "user/111122223333/alice", 6, false, &plane);
    ks_rpc_stream_unref(keystores);
    await_true(read_counter(&message_count) >= before + 1);
    assert_string_equal(seen_key, "user/111122223333/alice");
    assert_int_equal(seen_revision, 6);
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);

    ks_rpc_server_free(control);
    control = NULL;
    stop_keystore();
    start_keystore();
    seen_revision = 0;
    channel = channel_of("frontend");
    stream = follow(channel, 6);
    assert_string_equal(seen_key, "user/111122223333/alice");
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);
}

static struct ks_rpc_stream *stream_of_keystore(void)
{
    pthread_mutex_lock(&lock);
    struct ks_rpc_stream *stream = follower ? ks_rpc_stream_ref(follower) : NULL;
    pthread_mutex_unlock(&lock);
    return stream;
}

/*
 * Changes that lead to another state than the one control has signed are not taken, nor told; the
 * keystore asks for everything, and goes on when that has come.
 */
static void a_state_that_control_has_not_signed_is_never_told(void **state)
{
    (void)state;
    struct ks_rpc_channel *channel = channel_of("frontend");
    struct ks_rpc_stream *stream = follow(channel, 5);
    struct ks_rpc_stream *keystores = stream_of_keystore();
    unsigned asked = read_counter(&asked_count);

    send_identities(keystores, "user/111122223333/mallory", 6, false, NULL);
    ks_rpc_stream_unref(keystores);

    await_true(read_counter(&asked_count) > asked);
    pthread_mutex_lock(&lock);
    assert_string_equal(asked_epoch, "");
    assert_string_equal(seen_key, "account/111122223333");
    pthread_mutex_unlock(&lock);
    unsigned before = read_counter(&message_count);
    await_true((keystores = stream_of_keystore()) != NULL);
    fixture_set_put(&plane, "user/111122223333/bob", KS_LITERAL("value"), 7);
    send_identities(keystores, "user/111122223333/bob", 7, false, &plane);
    ks_rpc_stream_unref(keystores);
    await_true(read_counter(&message_count) > before && seen_revision == 7);
    assert_string_equal(seen_key, "user/111122223333/bob");
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);
}

/* After a blip it asks for what comes after what it has, and passes on that alone. */
static void a_blip_costs_the_difference_only(void **state)
{
    (void)state;
    struct ks_rpc_channel *channel = channel_of("frontend");
    struct ks_rpc_stream *stream = follow(channel, 5);
    struct ks_rpc_stream *keystores = stream_of_keystore();
    unsigned asked = read_counter(&asked_count);
    unsigned records = read_counter(&seen_count);
    ks_rpc_stream_cancel(keystores);
    ks_rpc_stream_unref(keystores);

    await_true(read_counter(&asked_count) > asked);
    pthread_mutex_lock(&lock);
    assert_string_equal(asked_epoch, "epoch-1");
    pthread_mutex_unlock(&lock);
    await_true((keystores = stream_of_keystore()) != NULL);
    fixture_set_put(&plane, "user/111122223333/alice", KS_LITERAL("value"), 6);
    send_identities(keystores, "user/111122223333/alice", 6, false, &plane);
    ks_rpc_stream_unref(keystores);

    await_true(read_counter(&seen_count) > records && seen_revision == 6);
    assert_int_equal(read_counter(&seen_count), records + 1);
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);
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
    certificates_root(certs, &(struct certificate_root){.name = "root"});
    signer = fixture_signer_new(NULL, NULL);
    char *clients = file_of("clients", "pem");
    fixture_signer_write_root(signer, clients);
    ks_free(clients);
    for (size_t i = 0; i < KS_COUNT(leaves); i++) {
        certificates_leaf(certs, &leaves[i], NULL);
    }
}

static int group_set_up(void **state)
{
    (void)state;
    const struct ks_crypto_options crypto = {.fips = false};
    assert_int_equal(ks_crypto_init(&crypto).code, KS_OK);
    snprintf(certs, sizeof(certs), "/tmp/keystead-certs-XXXXXX");
    assert_non_null(mkdtemp(certs));
    make_certificates();
    ks_log_init("keystore_test", KS_LOG_ERROR);
    ks_rpc_init();
    loop = ks_rpc_loop_new("test");
    return 0;
}

static int group_tear_down(void **state)
{
    (void)state;
    ks_rpc_loop_free(loop);
    ks_rpc_shutdown();
    fixture_signer_free(signer);
    fixture_set_done(&plane);
    fixture_remove(certs);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_frontend_gets_a_result_for_each_item_many_in_one_message),
        TEST(what_is_no_request_ends_its_stream_and_no_other),
        TEST(a_bad_item_is_answered_and_ends_no_stream),
        TEST(items_that_need_the_hsm_go_back_together),
        TEST(a_frontend_that_reads_nothing_loses_its_stream_and_no_result_in_silence),
        TEST(a_new_accounts_create_key_is_answered_while_the_keystore_drains),
        TEST(each_method_is_for_those_it_is_for),
        TEST(a_certificate_that_has_ended_ends_what_stands),
        TEST(an_operator_sees_how_it_is_and_rotates),
        TEST(identities_reach_frontends_also_without_control_and_after_a_restart),
        TEST(a_state_that_control_has_not_signed_is_never_told),
        TEST(a_blip_costs_the_difference_only),
    };
    return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
