/* The whole frontend on real connections, between a client and keystores that are fakes. */
#include "services/frontend/frontend.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "keystead/kms/v1/kms.pb-c.h"
#include "pkg/base/clock.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/codec/wire.h"
#include "pkg/crypto/crypto.h"
#include "pkg/operation/operation_fixture.h"
#include "pkg/rpc/client.h"
#include "pkg/rpc/loop.h"
#include "services/frontend/fixture/certificates.h"
#include "services/frontend/fixture/keystore.h"
#include "services/frontend/identity/identity_fixture.h"
#include "tests/harness/gauge.h"

#define KMS       "/keystead.kms.v1.KeyManagementService/"
#define WAIT_MS   10000
#define PATIENCE  200
#define SPIFFE(x) "spiffe://keystead/" x
#define REGION    "region/ap-seoul-1/"

static struct ks_rpc_loop *loop;
static char alice_serial[FIXTURE_SERIAL_LEN];
static struct fixture_signer *signer;

/* The world of one test. */
static struct fixture_keystore *near;
static struct fixture_keystore *far;
static struct ks_frontend_settings settings;
static struct ks_keystore_places places;
static struct ks_frontend *frontend;
static struct ks_rpc_channel *alice;

static struct ks_rpc_error error;
static struct ks_buffer response;

static int group_setup(void **state)
{
    (void)state;
    ks_log_init("frontend_test", KS_LOG_WARN);
    assert_int_equal(ks_crypto_init(&(struct ks_crypto_options){0}).code, KS_OK);
    fixture_certificates_open();
    fixture_leaf("process", "near", SPIFFE(REGION "keystore/ap-seoul-1a"), NULL);
    fixture_leaf("process", "far", SPIFFE(REGION "keystore/ap-seoul-1b"), NULL);
    fixture_leaf("process", "frontend", SPIFFE(REGION "frontend/frontend-1"), NULL);
    fixture_leaf("client", "alice", SPIFFE("account/" OWN "/user/alice"), alice_serial);
    fixture_leaf("client", "unknown", SPIFFE("account/" OWN "/user/alice"), NULL);
    fixture_leaf("client", "operator", SPIFFE("operator/ops"), NULL);
    signer = fixture_signer_new(fixture_file("client", "pem"), fixture_file("client", "key"));
    ks_rpc_init();
    loop = ks_rpc_loop_new("client");
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    ks_rpc_loop_free(loop);
    ks_rpc_shutdown();
    fixture_signer_free(signer);
    fixture_certificates_close();
    return 0;
}

static void make_identities(int64_t revision, int64_t revoked_at_ms, struct ks_buffer *message)
{
    struct fixture_message identities = {.snapshot = revision == 1};
    struct fixture_set set = {.count = 0};
    KS_BUFFER_AUTO user = {.len_max = 4096};
    KS_BUFFER_AUTO certificate = {.len_max = 4096};
    char key[64];
    (void)snprintf(key, sizeof(key), "certificate/%s", alice_serial);
    fixture_user(OWN, "alice", "u-1", &user);
    fixture_certificate(OWN, "alice", "u-1", revoked_at_ms, &certificate);
    fixture_add_account(&identities, OWN, revision);
    fixture_add(&identities, "user/" OWN "/alice", &user, revision);
    fixture_add(&identities, key, &certificate, revision);
    fixture_apply(&identities, &set);
    fixture_set_sign(&set, signer, "e", revision, (uint64_t)revision, &identities.head);
    fixture_set_done(&set);
    fixture_pack(&identities, message);
}

static void tell_identities(struct fixture_keystore *keystore, int64_t revision,
                            int64_t revoked_at_ms)
{
    KS_BUFFER_AUTO message = {.len_max = 65536};
    make_identities(revision, revoked_at_ms, &message);
    fixture_keystore_tell(keystore, &message);
}

static struct ks_rpc_channel *connect_as(const char *name)
{
    char address[64];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%d", ks_frontend_port(frontend));
    struct ks_rpc_tls tls = {fixture_file("process", "pem"), fixture_file(name, "pem"),
                             fixture_file(name, "key")};
    struct ks_rpc_channel_options options = {
        .address = address,
        .tls = tls,
        .server_spiffe = SPIFFE(REGION "frontend/"),
        .loop = loop,
    };
    struct ks_rpc_channel *channel = NULL;
    assert_int_equal(ks_rpc_channel_new(&options, &channel).code, KS_OK);
    return channel;
}

static ks_code call_with(struct ks_rpc_channel *channel, const char *method, ks_bytes request,
                         int64_t deadline_ms)
{
    KS_BUFFER_AUTO bytes = {.len_max = 1U << 22};
    assert_int_equal(ks_buffer_append(&bytes, request).code, KS_OK);
    ks_buffer_done(&response);
    response.len_max = 1U << 22;
    memset(&error, 0, sizeof(error));
    struct ks_rpc_unary_options options = {
        .method = method, .request = &bytes, .deadline_ms = deadline_ms};
    return ks_rpc_unary_wait(channel, &options, &response, &error).code;
}

static ks_code call(const char *method, const struct ks_buffer *request)
{
    return call_with(alice, method, ks_buffer_bytes(request), WAIT_MS);
}

static ks_code list_keys(void)
{
    return call_with(alice, KMS "ListKeys", (ks_bytes){0}, WAIT_MS);
}

static void nap(void)
{
    struct timespec ten_ms = {.tv_nsec = 10 * KS_NS_PER_MS};
    (void)nanosleep(&ten_ms, NULL);
}

/* A state that comes over a stream is there soon, not at once. */
static void await_code(ks_code code)
{
    await_true(list_keys() == code);
}

static void start_frontend(void)
{
    char keystores[128];
    (void)snprintf(keystores, sizeof(keystores),
                   "[ap-seoul-1a=127.0.0.1:%d, ap-seoul-1b=127.0.0.1:%d]",
                   fixture_keystore_port(near), fixture_keystore_port(far));
    char yaml[1024];
    (void)snprintf(yaml, sizeof(yaml),
                   "region: ap-seoul-1\nzone: ap-seoul-1a\nregions: [ap-seoul-1, us-oregon-1]\n"
                   "address: 127.0.0.1:0\nkeystores: %s\nprocess_ca_file: %s\n"
                   "process_cert_file: %s\nprocess_key_file: %s\nclient_ca_file: %s\n"
                   "patience: %dms\ndrain_notice: 0ms\ntimeout: 3s\n",
                   keystores, fixture_file("process", "pem"), fixture_file("frontend", "pem"),
                   fixture_file("frontend", "key"), fixture_file("client", "pem"), PATIENCE);
    char text[KS_CONFIG_ERROR_LEN];
    assert_int_equal(
        ks_config_parse(&ks_frontend_table, "test", ks_bytes_of(yaml), &settings, text).code,
        KS_OK);
    assert_int_equal(ks_frontend_settings_check(&settings, &places, text).code, KS_OK);
    assert_int_equal(ks_frontend_new(&settings, &places, &frontend).code, KS_OK);
    alice = connect_as("alice");
}

static int setup_without_identities(void **state)
{
    (void)state;
    near = fixture_keystore_new("near", 0);
    far = fixture_keystore_new("far", 0);
    start_frontend();
    return 0;
}

static int setup(void **state)
{
    (void)setup_without_identities(state);
    tell_identities(near, 1, 0);
    tell_identities(far, 1, 0);
    await_code(KS_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ks_rpc_channel_free(alice);
    ks_frontend_free(frontend);
    frontend = NULL;
    ks_keystore_places_done(&places);
    ks_config_done(&ks_frontend_table, &settings);
    fixture_keystore_free(near);
    fixture_keystore_free(far);
    ks_buffer_done(&response);
    return 0;
}

static void put(struct ks_buffer *buffer, unsigned number, ks_bytes bytes)
{
    assert_int_equal(ks_wire_put_bytes(number, bytes, buffer).code, KS_OK);
}

static void put_encrypt(struct ks_buffer *request, const char *key)
{
    put(request, 1, ks_bytes_of(key));
    put(request, 2, KS_LITERAL("plain"));
}

static void carries_a_request_to_a_keystore_and_its_answer_back(void **state)
{
    (void)state;
    KS_BUFFER_AUTO request = {.len_max = 4096};
    put_encrypt(&request, KEY_ID);

    assert_int_equal(call(KMS "Encrypt", &request), KS_OK);

    /* The fake echoes the request. */
    assert_true(ks_bytes_equal(ks_buffer_bytes(&response), ks_buffer_bytes(&request)));
}

/* The first request of a key asks for its view; those after it know it (on the same loop). */
static void remembers_the_view(void **state)
{
    (void)state;
    KS_BUFFER_AUTO request = {.len_max = 4096};
    put_encrypt(&request, KEY_ID);
    assert_int_equal(call(KMS "Encrypt", &request), KS_OK);
    int before = fixture_keystore_count(near) + fixture_keystore_count(far);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(call(KMS "Encrypt", &request), KS_OK);
    }
    int items = fixture_keystore_count(near) + fixture_keystore_count(far) - before;
    assert_in_range(items, 10, 12);
}

static bool is_healthy(const char *service)
{
    KS_BUFFER_AUTO request = {.len_max = 256};
    if (service[0]) {
        put(&request, 1, ks_bytes_of(service));
    }
    assert_int_equal(
        call_with(alice, "/grpc.health.v1.Health/Check", ks_buffer_bytes(&request), WAIT_MS),
        KS_OK);
    return response.len == 2 && response.ptr[1] == 1;
}

/* Waits until both names say so. Returns how long it took. */
static int64_t await_health(bool healthy)
{
    int64_t before_ns = ks_clock_boot_ns(&ks_clock_system);
    await_true(is_healthy("") == healthy &&
               is_healthy("keystead.kms.v1.KeyManagementService") == healthy);
    return (ks_clock_boot_ns(&ks_clock_system) - before_ns) / KS_NS_PER_MS;
}

static void is_not_serving_before_it_has_identities(void **state)
{
    (void)state;
    /* grpc.health.v1.HealthCheckResponse: status = 1; SERVING is 1, NOT_SERVING 2. */
    assert_int_equal(call_with(alice, "/grpc.health.v1.Health/Check", (ks_bytes){0}, WAIT_MS),
                     KS_OK);
    assert_memory_equal(response.ptr, "\x08\x02", 2);
    assert_int_equal(list_keys(), KS_UNAVAILABLE);

    tell_identities(far, 1, 0);

    await_code(KS_OK);
    (void)await_health(true);
}

/* stranger.md 4: it said SERVING with nobody behind it. */
static void is_not_serving_while_no_keystore_can_serve(void **state)
{
    (void)state;
    (void)await_health(true);

    fixture_keystore_set(near, MOOD_NO_WINDOW);
    nap();
    assert_true(is_healthy("")); /* one is enough */
    fixture_keystore_set(far, MOOD_NO_WINDOW);
    assert_true(await_health(false) < 1000);
    fixture_keystore_set(near, MOOD_ANSWERS);
    assert_true(await_health(true) < 1000);

    fixture_keystore_free(near);
    near = NULL;
    assert_true(await_health(false) < 1000);
}

/*
 * Certificates end by cell time, which keystores tell; what this machine's own clock says counts for
 * nothing. One of two keystores that tells something else is no majority.
 */
static int setup_at_the_certificates_end(void **state)
{
    (void)state;
    near = fixture_keystore_new("near", 0);
    far = fixture_keystore_new("far", 0);
    int64_t until_ms = FIXTURE_NOT_AFTER_MS - ks_clock_wall_ms(&ks_clock_system);
    fixture_keystore_set_ahead(near, until_ms);
    fixture_keystore_set_ahead(far, until_ms);
    start_frontend();
    return 0;
}

static void a_certificate_ends_by_the_time_that_keystores_tell(void **state)
{
    (void)state;
    tell_identities(near, 1, 0);
    tell_identities(far, 1, 0);
    await_code(KS_UNAUTHENTICATED);
}

/* The connection stands; the next call after the record has come is refused. */
static void a_revocation_ends_a_connection_that_stands(void **state)
{
    (void)state;
    assert_int_equal(list_keys(), KS_OK);

    tell_identities(near, 2, 5);

    await_code(KS_UNAUTHENTICATED);
    assert_string_equal(error.reason, "UnrecognizedClientException");
}

static void lets_in_only_those_it_knows(void **state)
{
    (void)state;
    struct ks_rpc_channel *unknown = connect_as("unknown");
    struct ks_rpc_channel *operator_channel = connect_as("operator");
    struct ks_rpc_channel *process = connect_as("near");

    assert_int_equal(call_with(unknown, KMS "ListKeys", (ks_bytes){0}, WAIT_MS),
                     KS_UNAUTHENTICATED);
    assert_int_equal(call_with(operator_channel, KMS "ListKeys", (ks_bytes){0}, WAIT_MS),
                     KS_ACCESS_DENIED);
    /* Another root: there is no connection at all. */
    assert_int_equal(call_with(process, KMS "ListKeys", (ks_bytes){0}, WAIT_MS), KS_UNAVAILABLE);
    ks_rpc_channel_free(unknown);
    ks_rpc_channel_free(operator_channel);
    ks_rpc_channel_free(process);
}

static void refuses_with_the_words_of_aws(void **state)
{
    (void)state;
    KS_BUFFER_AUTO request = {.len_max = 4096};
    put(&request, 1, KS_LITERAL("fake-key-id"));

    assert_int_equal(call(KMS "DescribeKey", &request), KS_NOT_FOUND);
    assert_string_equal(error.reason, "NotFoundException");
    assert_string_equal(error.text, "Invalid keyId 'fake-key-id'");
    assert_int_equal(call_with(alice, KMS "Encrypt", KS_LITERAL("\x0a\x02\xc3\x28"), WAIT_MS),
                     KS_VALIDATION);
    assert_string_equal(error.text, "keyId must be UTF-8 text without NUL");
}

static void denies_what_is_anothers(void **state)
{
    (void)state;
    KS_BUFFER_AUTO request = {.len_max = 4096};
    put_encrypt(&request, OTHER_KEY);

    assert_int_equal(call(KMS "Encrypt", &request), KS_ACCESS_DENIED);
    assert_string_equal(error.reason, "AccessDeniedException");
}

static void names_the_region_of_a_foreign_blob(void **state)
{
    (void)state;
    KS_BUFFER_AUTO blob = {.len_max = 4096};
    KS_BUFFER_AUTO request = {.len_max = 4096};
    fixture_blob("us-oregon-1", OWN, &blob);
    put(&request, 1, ks_buffer_bytes(&blob));

    assert_int_equal(call(KMS "Decrypt", &request), KS_ACCESS_DENIED);
    assert_non_null(strstr(error.text, "It is of region us-oregon-1."));
    assert_string_equal(ks_rpc_error_entry(&error, "region"), "us-oregon-1");
}

static void passes_on_what_a_keystore_refuses(void **state)
{
    (void)state;
    KS_BUFFER_AUTO request = {.len_max = 4096};
    put_encrypt(&request, KEY_ID);
    fixture_keystore_set(near, MOOD_REFUSES);
    fixture_keystore_set(far, MOOD_REFUSES);

    assert_int_equal(call(KMS "Encrypt", &request), KS_DISABLED);
    assert_string_equal(error.text, "arn is disabled.");
    assert_string_equal(ks_rpc_error_entry(&error, "name"), "value");
}

static int64_t now_ms(void)
{
    return ks_clock_boot_ns(&ks_clock_system) / KS_NS_PER_MS;
}

static void goes_to_the_other_keystore(void **state)
{
    (void)state;
    fixture_keystore_set(near, MOOD_NO_WINDOW);
    assert_int_equal(list_keys(), KS_OK);

    fixture_keystore_set(near, MOOD_SILENT);
    nap();
    for (int i = 0; i < 20; i++) {
        int64_t before = now_ms();
        assert_int_equal(list_keys(), KS_OK);
        assert_true(now_ms() - before < 5 * PATIENCE);
    }
}

static void survives_the_loss_of_a_keystore_and_its_return(void **state)
{
    (void)state;
    int port = fixture_keystore_port(near);
    fixture_keystore_free(near);
    near = NULL;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(list_keys(), KS_OK);
    }

    near = fixture_keystore_new("near", port);
    tell_identities(near, 1, 0);
    await_true(list_keys() == KS_OK && fixture_keystore_count(near) > 0);
}

static void answers_by_the_deadline_when_nobody_can(void **state)
{
    (void)state;
    fixture_keystore_set(near, MOOD_NO_WINDOW);
    fixture_keystore_set(far, MOOD_NO_WINDOW);
    int64_t before = now_ms();

    assert_int_equal(call_with(alice, KMS "ListKeys", (ks_bytes){0}, 400), KS_DEADLINE);
    assert_in_range(now_ms() - before, 350, 2000);

    before = now_ms();
    assert_int_equal(list_keys(), KS_UNAVAILABLE); /* our own limit */
    assert_in_range(now_ms() - before, 2900, 8000);
}

static void gives_up_on_views_that_never_hold(void **state)
{
    (void)state;
    KS_BUFFER_AUTO request = {.len_max = 4096};
    put_encrypt(&request, KEY_ID);
    fixture_keystore_set(near, MOOD_STALE);
    fixture_keystore_set(far, MOOD_STALE);

    assert_int_equal(call(KMS "Encrypt", &request), KS_UNAVAILABLE);
}

static void answers_each_entry_of_a_batch_for_itself(void **state)
{
    (void)state;
    KS_BUFFER_AUTO request = {.len_max = 1U << 20};
    for (int i = 0; i < 100; i++) {
        KS_BUFFER_AUTO entry = {.len_max = 4096};
        put_encrypt(&entry, i % 3 == 0 ? KEY_ID : i % 3 == 1 ? OTHER_KEY : "fake-key-id");
        put(&request, 1, ks_buffer_bytes(&entry));
    }

    assert_int_equal(call(KMS "EncryptBatch", &request), KS_OK);

    ks_bytes rest = ks_buffer_bytes(&response);
    static const char *const errors[] = {NULL, "AccessDeniedException", "NotFoundException"};
    for (int i = 0; i < 100; i++) {
        struct ks_wire_field result;
        struct ks_wire_field outcome;
        struct ks_wire_field code;
        assert_int_equal(ks_wire_next(&rest, &result).code, KS_OK);
        assert_int_equal(ks_wire_next(&result.bytes, &outcome).code, KS_OK);
        assert_int_equal(outcome.number, errors[i % 3] ? 2 : 1);
        assert_int_equal(ks_wire_next(&outcome.bytes, &code).code, KS_OK);
        if (errors[i % 3]) {
            assert_true(ks_bytes_equal(code.bytes, ks_bytes_of(errors[i % 3])));
        }
    }
    assert_int_equal(rest.len, 0);
}

/* The fake echoes an entry's request. A first batch teaches the view, so the second has one round. */
static void results_stand_in_the_order_of_entries_whichever_is_answered_first(void **state)
{
    (void)state;
    KS_BUFFER_AUTO request = {.len_max = 1U << 20};
    char texts[5][16];
    for (unsigned i = 0; i < KS_COUNT(texts); i++) {
        KS_BUFFER_AUTO entry = {.len_max = 4096};
        put(&entry, 1, ks_bytes_of(KEY_ID));
        (void)snprintf(texts[i], sizeof(texts[i]), "plaintext %u", i);
        put(&entry, 2, ks_bytes_of(texts[i]));
        put(&request, 1, ks_buffer_bytes(&entry));
    }
    fixture_keystore_set(near, MOOD_BACKWARDS);
    fixture_keystore_set(far, MOOD_BACKWARDS);

    for (int round = 0; round < 2; round++) {
        assert_int_equal(call(KMS "EncryptBatch", &request), KS_OK);

        ks_bytes rest = ks_buffer_bytes(&response);
        for (unsigned i = 0; i < KS_COUNT(texts); i++) {
            struct ks_wire_field result;
            struct ks_wire_field outcome;
            struct ks_wire_field key;
            struct ks_wire_field plaintext;
            assert_int_equal(ks_wire_next(&rest, &result).code, KS_OK);
            assert_int_equal(ks_wire_next(&result.bytes, &outcome).code, KS_OK);
            assert_int_equal(ks_wire_next(&outcome.bytes, &key).code, KS_OK);
            assert_int_equal(ks_wire_next(&outcome.bytes, &plaintext).code, KS_OK);
            assert_true(ks_bytes_equal(plaintext.bytes, ks_bytes_of(texts[i])));
        }
        assert_int_equal(rest.len, 0);
    }
}

static void refuses_a_batch_of_none_or_too_many(void **state)
{
    (void)state;
    KS_BUFFER_AUTO request = {.len_max = 1U << 20};
    assert_int_equal(call(KMS "EncryptBatch", &request), KS_VALIDATION);
    for (int i = 0; i < 101; i++) {
        put(&request, 1, KS_LITERAL(""));
    }
    assert_int_equal(call(KMS "EncryptBatch", &request), KS_VALIDATION);
    assert_string_equal(error.text, "1 validation error detected: Value at 'entries' failed to "
                                    "satisfy constraint: Member must have length less than or "
                                    "equal to 100");
}

struct answer {
    struct gauge count;
    ks_code code; /* of the last */
};

static void on_reply(void *user, ks_code code, const struct ks_rpc_reply *reply)
{
    (void)reply;
    struct answer *answer = user;
    answer->code = code;
    gauge_raise(&answer->count);
}

/* Calls under way are answered before the process ends. */
static void answers_what_is_under_way_when_it_stops(void **state)
{
    (void)state;
    struct answer answer = {GAUGE_INIT, KS_INTERNAL};
    fixture_keystore_set(near, MOOD_SILENT);
    int before = fixture_keystore_count(near);
    ks_rpc_unary(alice, KMS "ListKeys", (ks_bytes){0}, WAIT_MS, on_reply, &answer);
    await_true(fixture_keystore_count(near) > before);

    ks_frontend_free(frontend);
    frontend = NULL;

    gauge_await(&answer.count, 1);
    assert_int_equal(gauge_read(&answer.count), 1);
    assert_int_equal(answer.code, KS_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(carries_a_request_to_a_keystore_and_its_answer_back),
        TEST(remembers_the_view),
        cmocka_unit_test_setup_teardown(is_not_serving_before_it_has_identities,
                                        setup_without_identities, teardown),
        cmocka_unit_test_setup_teardown(a_certificate_ends_by_the_time_that_keystores_tell,
                                        setup_at_the_certificates_end, teardown),
        TEST(is_not_serving_while_no_keystore_can_serve),
        TEST(a_revocation_ends_a_connection_that_stands),
        TEST(lets_in_only_those_it_knows),
        TEST(refuses_with_the_words_of_aws),
        TEST(denies_what_is_anothers),
        TEST(names_the_region_of_a_foreign_blob),
        TEST(passes_on_what_a_keystore_refuses),
        TEST(goes_to_the_other_keystore),
        TEST(survives_the_loss_of_a_keystore_and_its_return),
        TEST(answers_by_the_deadline_when_nobody_can),
        TEST(gives_up_on_views_that_never_hold),
        TEST(answers_each_entry_of_a_batch_for_itself),
        TEST(results_stand_in_the_order_of_entries_whichever_is_answered_first),
        TEST(refuses_a_batch_of_none_or_too_many),
        TEST(answers_what_is_under_way_when_it_stops),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
