/*
 * TakeBackup over a real listener, from an embedded store; the keys of backups are the test's own.
 */
#include "services/keystore/backup/take.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/backup/reader.h"
#include "pkg/backup/writer.h"
#include "pkg/base/arena.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/crypto/crypto.h"
#include "pkg/record/record.h"
#include "pkg/rpc/client.h"
#include "pkg/rpc/loop.h"
#include "pkg/rpc/server.h"
#include "pkg/store/store_fixture.h"
#include "services/keystore/records/message.h"
#include "services/keystore/records/name.h"
#include "services/keystore/serve/peer.h"
#include "services/keystore/worker/worker.h"
#include "tests/harness/certificates.h"
#include "tests/harness/gauge.h"

#define REGION     "ap-seoul-1"
#define METHOD     "/keystead.internal.v1.KeystoreService/TakeBackup"
#define BACKUP_MAX (64U * 1024U * 1024U)
#define ARENA_MAX  (2U * 1024U * 1024U)
#define LARGE_LEN  (250U * 1024U)
#define LARGE_MANY 80U /* 20 MB: more than sockets and queues hold */
#define PERIOD     3U
#define GENERATION 7U

static char certs[256];
static struct ks_rpc_loop *loop;
static char *folder;
static struct ks_store *store;
static struct ks_worker *worker;
static struct ks_backups *backups;
static struct ks_rpc_server *server;
static struct ks_rpc_channel *channel;

/* ---- The source: what the test wants of it ---- */

static struct gauge begun = GAUGE_INIT;  /* how often the keys of a backup were asked for */
static struct gauge let_go = GAUGE_INIT; /* the source waits until this is 1 */
static void (*while_it_begins)(void);    /* called then; NULL: nothing */
static ks_code describe_code;

static ks_result describe(void *user, struct ks_backup_header *header)
{
    (void)user;
    header->period = PERIOD;
    header->threshold = 2;
    header->custodians = 3;
    return (ks_result){describe_code};
}

static ks_secret stream_key(void)
{
    ks_secret key = {.len = KS_BACKUP_STREAM_KEY_LEN};
    memset(key.bytes, 0x42, key.len);
    return key;
}

static ks_result begin(void *user, const struct ks_backup_header *header, ks_bytes header_bytes,
                       ks_secret *ret_stream_key, struct ks_buffer *ret_key_block)
{
    (void)user;
    assert_int_equal(header->period, PERIOD);
    gauge_raise(&begun);
    gauge_await(&let_go, 1);
    if (while_it_begins) {
        while_it_begins();
    }
    *ret_stream_key = stream_key();
    return ks_buffer_append(ret_key_block, header_bytes); /* any bytes; these bind the header */
}

static const struct ks_backup_source source = {.describe = describe, .begin = begin};

/* ---- The keystore, as far as it matters ---- */

static struct ks_rpc_tls tls_of(const char *name)
{
    static char paths[12][512];
    static size_t next;
    char *ca = paths[next++ % 12];
    char *cert = paths[next++ % 12];
    char *key = paths[next++ % 12];
    snprintf(ca, sizeof(paths[0]), "%s/root.pem", certs);
    snprintf(cert, sizeof(paths[0]), "%s/%s.pem", certs, name);
    snprintf(key, sizeof(paths[0]), "%s/%s.key", certs, name);
    return (struct ks_rpc_tls){ca, cert, key};
}

static struct ks_rpc_channel *channel_of(const char *certificate)
{
    char address[64];
    snprintf(address, sizeof(address), "127.0.0.1:%d", ks_rpc_server_port(server));
    const struct ks_rpc_channel_options options = {
        .address = address,
        .tls = tls_of(certificate),
        .server_spiffe = "spiffe://keystead/region/" REGION "/keystore/",
        .loop = loop,
    };
    struct ks_rpc_channel *made = NULL;
    assert_int_equal(ks_rpc_channel_new(&options, &made).code, KS_OK);
    return made;
}

/* A generation of the domain key is current, as in every cell that serves. */
static void put_generation(void)
{
    STORED(CurrentDomainKey) record = STORED_NEW(CURRENT_DOMAIN_KEY);
    KS_BUFFER_AUTO packed = {.len_max = 256};
    record.format = KS_RECORD_FORMAT;
    record.generation = GENERATION;
    assert_int_equal(ks_codec_pack(&record.base, &packed).code, KS_OK);
    const struct ks_store_mutation mutation = {
        .ops = {{KS_NAME_DOMAIN_CURRENT, ks_buffer_bytes(&packed)}}, .op_count = 1};
    assert_int_equal(fixture_commit(store, &mutation).code, KS_OK);
}

static void start(int64_t time_max_ms, uint64_t growth_bytes_max)
{
    static char region[] = REGION;
    static struct ks_rpc_method method = {
        .path = METHOD, .stream = &ks_backups_stream_callbacks, .one_request = true};
    folder = fixture_folder("backup");
    store = fixture_embedded(folder);
    put_generation();
    worker = ks_worker_new("backup", 60000);
    const struct ks_backups_options options = {.name = "keystore-ap-seoul-1a",
                                               .region = REGION,
                                               .store = store,
                                               .source = &source,
                                               .worker = worker,
                                               .time_max_ms = time_max_ms,
                                               .growth_bytes_max = growth_bytes_max};
    backups = ks_backups_new(&options);
    method.user = backups;
    const struct ks_rpc_server_options serving = {.address = "127.0.0.1:0",
                                                  .tls = tls_of("keystore"),
                                                  .loops = &loop,
                                                  .loop_count = 1,
                                                  .methods = &method,
                                                  .method_count = 1,
                                                  .admit = ks_peer_admit,
                                                  .forget = ks_peer_forget,
                                                  .admit_user = region};
    assert_int_equal(ks_rpc_server_new(&serving, &server).code, KS_OK);
    assert_int_equal(ks_worker_start(worker, ks_backups_run, backups).code, KS_OK);
    channel = channel_of("operator");
    gauge_reset(&begun);
    gauge_set(&let_go, 1);
    while_it_begins = NULL;
    describe_code = KS_OK;
}

static int set_up(void **state)
{
    (void)state;
    start(0, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gauge_set(&let_go, 1);
    ks_worker_stop(worker);
    ks_backups_close(backups);
    ks_rpc_channel_free(channel);
    ks_rpc_server_free(server);
    ks_backups_free(backups);
    ks_worker_free(worker);
    ks_store_free(store);
    fixture_remove(folder);
    ks_free(folder);
    return 0;
}

/* ---- The operator ---- */

struct caller {
    struct gauge closed;
    struct gauge opened;
    struct ks_buffer bytes;
    uint64_t key_count; /* that the newest part says */
    ks_code code;
    bool is_deaf; /* reads nothing */
};

static ks_result on_open(void *user, struct ks_rpc_stream *stream)
{
    struct caller *caller = user;
    if (caller->is_deaf) {
        ks_rpc_stream_pause(stream);
    }
    gauge_raise(&caller->opened);
    return KS_RES(OK);
}

static void on_message(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    (void)stream;
    struct caller *caller = user;
    KS_ARENA_AUTO arena = {.len_max = ARENA_MAX};
    ProtobufCMessage *unpacked = NULL;
    assert_int_equal(
        ks_codec_unpack(INTERNAL_TYPE(take_backup_response), message, NULL, &arena, &unpacked).code,
        KS_OK);
    const INTERNAL(TakeBackupResponse) *response = (const INTERNAL(TakeBackupResponse) *)unpacked;
    assert_true(response->key_count >= caller->key_count);
    caller->key_count = response->key_count;
    assert_int_equal(ks_buffer_append(&caller->bytes, ks_bytes_in(response->part)).code, KS_OK);
}

static void on_close(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)stream;
    struct caller *caller = user;
    caller->code = error->code;
    gauge_raise(&caller->closed);
}

static const struct ks_rpc_stream_callbacks callbacks = {
    .on_open = on_open, .on_message = on_message, .on_close = on_close};

static void caller_init(struct caller *caller)
{
    *caller = (struct caller){.closed = GAUGE_INIT,
                              .opened = GAUGE_INIT,
                              .bytes = {.len_max = BACKUP_MAX},
                              .code = KS_OK};
}

static void call(struct ks_rpc_channel *to, struct caller *caller)
{
    struct ks_rpc_stream *stream = NULL;
    const struct ks_rpc_stream_options options = {
        .method = METHOD, .callbacks = &callbacks, .user = caller, .ret_ref = &stream};
    ks_rpc_stream_open(to, &options);
    /* It may be refused by then. */
    if (!ks_failed(ks_rpc_stream_send(stream, (ks_bytes){0}))) {
        ks_rpc_stream_finish(stream, NULL);
    }
    ks_rpc_stream_unref(stream);
}

static ks_code take_backup(struct caller *caller)
{
    caller_init(caller);
    call(channel, caller);
    gauge_await(&caller->closed, 1);
    return caller->code;
}

/* ---- What a backup holds ---- */

struct found {
    struct ks_backup_header header;
    struct ks_backup_tally tally;
    int64_t newest_revision;
    size_t firsts; /* of pairs, whose halves are put in one revision */
    size_t seconds;
};

static ks_result look_at(void *user, const struct ks_backup_record *record)
{
    struct found *found = user;
    found->firsts += ks_bytes_starts_with(record->key, KS_LITERAL("pair/first/"));
    found->seconds += ks_bytes_starts_with(record->key, KS_LITERAL("pair/second/"));
    if (record->revision > found->newest_revision) {
        found->newest_revision = record->revision;
    }
    return KS_RES(OK);
}

static ks_result read_backup(ks_bytes bytes, struct found *ret_found)
{
    struct ks_backup_front front;
    KS_CRYPTO_AUTO *crypto = ks_crypto_new();
    KS_BACKUP_READER_AUTO *reader = NULL;
    ks_secret key = stream_key();
    *ret_found = (struct found){.firsts = 0};
    KS_TRY(ks_backup_front_read(bytes, &front));
    assert_true(ks_bytes_equal(front.key_block, front.header_bytes));
    const struct ks_backup_reader_options options = {
        .crypto = crypto, .front = &front, .stream_key = &key, .each = look_at, .user = ret_found};
    KS_TRY(ks_backup_reader_new(&options, &reader));
    const ks_bytes rest = {bytes.ptr + front.bytes.len, bytes.len - front.bytes.len};
    KS_TRY(ks_backup_reader_push(reader, rest));
    KS_TRY(ks_backup_reader_end(reader));
    ret_found->header = front.header;
    ret_found->tally = *ks_backup_reader_tally(reader);
    return KS_RES(OK);
}

static void put_keys(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char key[64];
        snprintf(key, sizeof(key), "key/111122223333/%08zu", i);
        assert_int_equal(fixture_put(store, key, "a key", 0).code, KS_OK);
    }
}

static void put_large(void)
{
    KS_AUTO_FREE uint8_t *value = ks_alloc(1, LARGE_LEN);
    for (unsigned i = 0; i < LARGE_MANY; i++) {
        char key[64];
        snprintf(key, sizeof(key), "large/%08u", i);
        const struct ks_store_mutation mutation = {.ops = {{ks_bytes_of(key), {value, LARGE_LEN}}},
                                                   .op_count = 1};
        assert_int_equal(fixture_commit(store, &mutation).code, KS_OK);
    }
}

/* ---- Claims ---- */

static void an_operator_gets_all_records(void **state)
{
    (void)state;
    struct caller caller;
    struct found found;
    put_keys(30);
    assert_int_equal(fixture_put(store, "alias/111122223333/a", "an alias", 0).code, KS_OK);
    assert_int_equal(fixture_put(store, "domain/00000007/z/n", "a copy", 0).code, KS_OK);

    assert_int_equal(take_backup(&caller), KS_OK);

    assert_int_equal(read_backup(ks_buffer_bytes(&caller.bytes), &found).code, KS_OK);
    assert_int_equal(found.header.key_count, 30);
    assert_int_equal(found.header.period, PERIOD);
    assert_int_equal(found.header.generation, GENERATION);
    assert_string_equal(found.header.region, REGION);
    assert_int_equal(ks_backup_tally_of(&found.tally, "key/"), 30);
    assert_int_equal(ks_backup_tally_of(&found.tally, "alias/"), 1);
    assert_int_equal(ks_backup_tally_of(&found.tally, "domain/"), 1);
    assert_int_equal(found.tally.record_count, 32);
    assert_int_equal(caller.key_count, 30);
    ks_buffer_done(&caller.bytes);
}

/* A cell where nothing was made yet has a backup, too. */
static void a_cell_without_keys_has_a_backup(void **state)
{
    (void)state;
    struct caller caller;
    struct found found;
    assert_int_equal(fixture_put(store, "roster", "a roster", 0).code, KS_OK);

    assert_int_equal(take_backup(&caller), KS_OK);

    assert_int_equal(read_backup(ks_buffer_bytes(&caller.bytes), &found).code, KS_OK);
    assert_int_equal(found.header.key_count, 0);
    assert_int_equal(found.tally.record_count, 2);
    ks_buffer_done(&caller.bytes);
}

static atomic_bool stop_pairs;
static atomic_size_t pairs_done; /* that were answered */

static void *put_pairs(void *unused)
{
    for (size_t i = 0; !atomic_load(&stop_pairs) && i < 100000; i++) {
        char first[64];
        char second[64];
        snprintf(first, sizeof(first), "pair/first/%08zu", i);
        snprintf(second, sizeof(second), "pair/second/%08zu", i);
        const struct ks_store_mutation mutation = {
            .ops = {{ks_bytes_of(first), KS_LITERAL("1")}, {ks_bytes_of(second), KS_LITERAL("2")}},
            .op_count = 2};
        if (fixture_commit(store, &mutation).code == KS_OK) {
            atomic_fetch_add(&pairs_done, 1);
        }
    }
    return unused;
}

/*
 * What was answered before the backup was asked for is in it, nothing newer than its revision is,
 * and of a change that puts two records both are in it or neither.
 */
static void a_backup_is_of_one_revision_while_others_write(void **state)
{
    (void)state;
    pthread_t writer;
    atomic_store(&stop_pairs, false);
    atomic_store(&pairs_done, 0);
    assert_int_equal(pthread_create(&writer, NULL, put_pairs, NULL), 0);
    for (int round = 0; round < 5; round++) {
        struct caller caller;
        struct found found;
        size_t before = atomic_load(&pairs_done);
        await_true(atomic_load(&pairs_done) > before + 20);
        before = atomic_load(&pairs_done);

        assert_int_equal(take_backup(&caller), KS_OK);

        assert_int_equal(read_backup(ks_buffer_bytes(&caller.bytes), &found).code, KS_OK);
        assert_true(found.firsts >= before);
        assert_int_equal(found.firsts, found.seconds);
        assert_true(found.newest_revision <= found.header.revision);
        ks_buffer_done(&caller.bytes);
    }
    atomic_store(&stop_pairs, true);
    pthread_join(writer, NULL);
}

static bool read_record(const char *id, STORED(BackupRecord) * ret_copy)
{
    KS_STORE_VIEW_AUTO view = {0};
    KS_ARENA_AUTO arena = {.len_max = ARENA_MAX};
    struct ks_name name = ks_name_backup(id);
    struct ks_store_record record;
    ProtobufCMessage *message = NULL;
    assert_int_equal(ks_store_peek(store, &view).code, KS_OK);
    if (ks_failed(ks_store_get(&view, ks_name_bytes(&name), &record))) {
        return false;
    }
    assert_int_equal(
        ks_record_read(STORED_TYPE(backup_record), record.value, &arena, &message).code, KS_OK);
    *ret_copy = *(const STORED(BackupRecord) *)message; /* its numbers only */
    return true;
}

static void a_backup_leaves_a_record_that_the_next_one_holds(void **state)
{
    (void)state;
    struct caller caller;
    struct found found = {.firsts = 0};
    char id[KS_BACKUP_ID_TEXT_LEN + 1];
    STORED(BackupRecord) record = {.revision = 0};
    put_keys(1);

    assert_int_equal(take_backup(&caller), KS_OK);
    assert_int_equal(read_backup(ks_buffer_bytes(&caller.bytes), &found).code, KS_OK);
    ks_buffer_done(&caller.bytes);

    ks_backup_id_text(found.header.id, id);
    assert_true(read_record(id, &record));
    assert_int_equal(record.revision, found.header.revision);
    assert_int_equal(record.taken_at_ms, found.header.time_ms);
    assert_int_equal(record.kit_period, PERIOD);
    assert_int_equal(ks_backup_tally_of(&found.tally, "backup/"), 0);
    assert_int_equal(take_backup(&caller), KS_OK);
    assert_int_equal(read_backup(ks_buffer_bytes(&caller.bytes), &found).code, KS_OK);
    assert_int_equal(ks_backup_tally_of(&found.tally, "backup/"), 1);
    ks_buffer_done(&caller.bytes);
}

static void only_operators_take_backups(void **state)
{
    (void)state;
    static const char *const others[] = {"frontend", "peer", "control"};
    for (size_t i = 0; i < KS_COUNT(others); i++) {
        struct ks_rpc_channel *other = channel_of(others[i]);
        struct caller caller;
        caller_init(&caller);

        call(other, &caller);
        gauge_await(&caller.closed, 1);

        assert_int_equal(caller.code, KS_ACCESS_DENIED);
        assert_int_equal(caller.bytes.len, 0);
        ks_buffer_done(&caller.bytes);
        ks_rpc_channel_free(other);
    }
    assert_int_equal(gauge_read(&begun), 0);
}

static void one_backup_is_taken_at_a_time(void **state)
{
    (void)state;
    struct caller first;
    struct caller second;
    put_keys(3);
    gauge_set(&let_go, 0);
    caller_init(&first);
    call(channel, &first);
    gauge_await(&begun, 1);

    assert_int_equal(take_backup(&second), KS_THROTTLED);

    gauge_set(&let_go, 1);
    gauge_await(&first.closed, 1);
    assert_int_equal(first.code, KS_OK);
    ks_buffer_done(&second.bytes);
    assert_int_equal(take_backup(&second), KS_OK);
    ks_buffer_done(&first.bytes);
    ks_buffer_done(&second.bytes);
}

/* Before the cell has a domain key there is nothing to seal, and nothing to lose. */
static void a_cell_without_a_domain_key_has_no_backup_yet(void **state)
{
    (void)state;
    struct caller caller;
    int64_t revision = 0;
    KS_STORE_VIEW_AUTO view = {0};
    struct ks_store_record record;
    assert_int_equal(ks_store_peek(store, &view).code, KS_OK);
    assert_int_equal(ks_store_get(&view, KS_NAME_DOMAIN_CURRENT, &record).code, KS_OK);
    revision = record.revision;
    assert_int_equal(fixture_put(store, "domain/current", NULL, revision).code, KS_OK);

    assert_int_equal(take_backup(&caller), KS_UNAVAILABLE);

    assert_int_equal(caller.bytes.len, 0);
    ks_buffer_done(&caller.bytes);
}

static void a_failure_of_the_hsm_is_told(void **state)
{
    (void)state;
    struct caller caller;
    describe_code = KS_INVALID_STATE;

    assert_int_equal(take_backup(&caller), KS_INVALID_STATE);

    assert_int_equal(caller.bytes.len, 0);
    ks_buffer_done(&caller.bytes);
}

/* The view does not stay open for a caller who reads nothing; the next one gets a backup. */
static void a_caller_who_reads_nothing_is_cut_off(void **state)
{
    (void)state;
    struct caller deaf;
    struct caller next = {.code = KS_OK};
    start(9000, 0);
    put_large();
    caller_init(&deaf);
    deaf.is_deaf = true;
    call(channel, &deaf);
    gauge_await(&begun, 1);
    int64_t begun_ms = fixture_now_ms();

    ks_code code = KS_THROTTLED;
    while (code == KS_THROTTLED && fixture_now_ms() - begun_ms < 4 * GAUGE_WAIT_MS) {
        fixture_sleep_ms(50);
        code = take_backup(&next);
        if (code == KS_THROTTLED) {
            ks_buffer_done(&next.bytes);
        }
    }

    assert_int_equal(code, KS_OK);
    assert_true(fixture_now_ms() - begun_ms >= 1000);
    assert_true(next.bytes.len > LARGE_MANY * LARGE_LEN);
    ks_buffer_done(&next.bytes);
    ks_rpc_channel_free(channel); /* ends the deaf one */
    channel = channel_of("operator");
    gauge_await(&deaf.closed, 1);
    assert_int_not_equal(deaf.code, KS_OK);
    ks_buffer_done(&deaf.bytes);
    tear_down(state);
}

static void a_copy_that_grows_too_far_ends_the_backup(void **state)
{
    (void)state;
    struct caller caller;
    start(0, 1024U * 1024U);
    put_keys(3);
    while_it_begins = put_large;

    assert_int_equal(take_backup(&caller), KS_LIMIT_EXCEEDED);

    struct found found;
    assert_int_not_equal(read_backup(ks_buffer_bytes(&caller.bytes), &found).code, KS_OK);
    ks_buffer_done(&caller.bytes);
    tear_down(state);
}

static void a_keystore_that_ends_ends_the_backup(void **state)
{
    (void)state;
    struct caller deaf;
    start(60000, 0);
    put_large();
    caller_init(&deaf);
    deaf.is_deaf = true;
    call(channel, &deaf);
    gauge_await(&begun, 1);
    gauge_await(&deaf.opened, 1);
    int64_t begun_ms = fixture_now_ms();

    ks_worker_stop(worker);
    ks_backups_close(backups);

    assert_true(fixture_now_ms() - begun_ms < 5000);
    struct caller late;
    assert_int_equal(take_backup(&late), KS_UNAVAILABLE);
    ks_buffer_done(&late.bytes);
    tear_down(state);
    ks_buffer_done(&deaf.bytes);
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
        LEAF("operator", "operator/alice"),
        LEAF("control", "control"),
    };
#undef LEAF
    certificates_root(certs, &(struct certificate_root){.name = "root"});
    for (size_t i = 0; i < KS_COUNT(leaves); i++) {
        certificates_leaf(certs, &leaves[i], NULL);
    }
}

static int group_set_up(void **state)
{
    (void)state;
    assert_int_equal(ks_crypto_init(&(struct ks_crypto_options){0}).code, KS_OK);
    snprintf(certs, sizeof(certs), "/tmp/keystead-certs-XXXXXX");
    assert_non_null(mkdtemp(certs));
    make_certificates();
    ks_log_init("take_test", KS_LOG_ERROR);
    ks_rpc_init();
    loop = ks_rpc_loop_new("test");
    return 0;
}

static int group_tear_down(void **state)
{
    (void)state;
    ks_rpc_loop_free(loop);
    ks_rpc_shutdown();
    fixture_remove(certs);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_operator_gets_all_records),
        TEST(a_cell_without_keys_has_a_backup),
        TEST(a_backup_is_of_one_revision_while_others_write),
        TEST(a_backup_leaves_a_record_that_the_next_one_holds),
        TEST(only_operators_take_backups),
        TEST(one_backup_is_taken_at_a_time),
        TEST(a_cell_without_a_domain_key_has_no_backup_yet),
        TEST(a_failure_of_the_hsm_is_told),
        cmocka_unit_test(a_caller_who_reads_nothing_is_cut_off),
        cmocka_unit_test(a_copy_that_grows_too_far_ends_the_backup),
        cmocka_unit_test(a_keystore_that_ends_ends_the_backup),
    };
    return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
