/* A request from its bytes to its outcome, with a keystore that is a function. */
#include "services/frontend/route/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/base/clock.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/codec/wire.h"
#include "pkg/crypto/crypto.h"
#include "pkg/operation/operation_fixture.h"

typedef Keystead__Internal__V1__Item proto_item;

/* What the fake keystore got, and what it answers. */
static struct {
    struct ks_upstream_item *item; /* under way; NULL: none */
    struct ks_arena arena;
    const proto_item *got; /* the last one */
    size_t count;
    ks_code refuses; /* what sending fails with */
} keystore;

/* What came of the request. */
static struct {
    struct ks_request request;
    int done;
    char response[32];
} outcome;

static struct ks_router router;
static struct ks_buffer message;

static int64_t fake_ns(void *user)
{
    (void)user;
    return 1000;
}

static const struct ks_clock fake_clock = {fake_ns, fake_ns, NULL};

static ks_result fake_send(void *upstream, struct ks_upstream_item *item, int64_t now_ns)
{
    assert_ptr_equal(upstream, &keystore);
    assert_int_equal(now_ns, 1000);
    assert_null(keystore.item);
    if (keystore.refuses != KS_OK) {
        return (ks_result){keystore.refuses};
    }
    struct ProtobufCMessage *unpacked = NULL;
    assert_int_equal(ks_codec_unpack(&keystead__internal__v1__item__descriptor,
                                     ks_buffer_bytes(&item->body), NULL, &keystore.arena, &unpacked)
                         .code,
                     KS_OK);
    keystore.got = (const proto_item *)unpacked;
    keystore.item = item;
    keystore.count++;
    return KS_RES(OK);
}

static void on_done(struct ks_request *request, ks_bytes response)
{
    assert_ptr_equal(request, &outcome.request);
    outcome.done++;
    assert_true(response.len < sizeof(outcome.response));
    if (response.len > 0) {
        memcpy(outcome.response, response.ptr, response.len);
    }
}

static int setup(void **state)
{
    (void)state;
    memset(&keystore, 0, sizeof(keystore));
    memset(&outcome, 0, sizeof(outcome));
    keystore.arena.len_max = 1U << 24;
    message = (struct ks_buffer){.len_max = 1U << 20};
    router = (struct ks_router){
        .home = &fixture_home,
        .clock = &fake_clock,
        .views = ks_views_new(64, &(struct ks_hash_key){1, 2}),
        .send = fake_send,
        .upstream = &keystore,
    };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ks_request_done(&outcome.request);
    ks_views_free(router.views);
    ks_arena_done(&keystore.arena);
    ks_buffer_done(&message);
    return 0;
}

static void put(unsigned number, ks_bytes bytes)
{
    assert_int_equal(ks_wire_put_bytes(number, bytes, &message).code, KS_OK);
}

static ks_code start(const char *operation)
{
    ks_request_done(&outcome.request);
    memset(&outcome, 0, sizeof(outcome));
    outcome.request = (struct ks_request){
        .router = &router,
        .operation = fixture_operation(operation),
        .account = OWN,
        .principal = "arn:aws:iam::" OWN ":user/alice",
        .message = ks_buffer_bytes(&message),
        .deadline_ns = 123456,
        .done = on_done,
    };
    return ks_request_start(&outcome.request).code;
}

static void answer(const struct ks_item_result *result)
{
    struct ks_upstream_item *item = keystore.item;
    assert_non_null(item);
    keystore.item = NULL;
    item->done(item, result);
}

/* A version is bytes to a frontend: one digit stands for it here. */
static struct ks_view view_of(int version)
{
    static const char digits[] = "0123456789";
    return (struct ks_view){.version = {(const uint8_t *)digits + version, 1}};
}

static void assert_version(size_t index, const char *version)
{
    assert_true(index < keystore.got->n_versions);
    assert_int_equal(keystore.got->versions[index].len, strlen(version));
    assert_memory_equal(keystore.got->versions[index].data, version, strlen(version));
}

static void answer_stale(const struct ks_view *views, size_t count)
{
    struct ks_item_result result = {.code = KS_STALE_VIEW, .view_count = count};
    for (size_t i = 0; i < count && i < KS_OPERATION_KEYS_MAX; i++) {
        result.views[i] = views[i];
    }
    answer(&result);
}

static void answer_ok(const char *response)
{
    answer(&(struct ks_item_result){.code = KS_OK, .response = ks_bytes_of(response)});
}

/* An Encrypt whose key is known at that version. */
static void know_the_key(int version)
{
    struct ks_view view = view_of(version);
    ks_views_put(router.views, KS_LITERAL(OWN), KS_LITERAL(KEY_ID), &view);
}

static void put_encrypt(const char *key)
{
    put(1, ks_bytes_of(key));
    put(2, KS_LITERAL("plain"));
}

static void decides_on_what_it_knows_and_sends_that(void **state)
{
    (void)state;
    know_the_key(4);
    put_encrypt(OWN_KEY);

    assert_int_equal(start("Encrypt"), KS_OK);

    assert_string_equal(keystore.got->account, OWN);
    assert_string_equal(keystore.got->principal, "arn:aws:iam::" OWN ":user/alice");
    assert_string_equal(keystore.got->request_id, "");
    assert_int_equal(keystore.got->operation, 13);
    assert_int_equal(keystore.got->decision, KS_ALLOWED);
    assert_int_equal(keystore.got->n_versions, 1);
    assert_version(0, "4");
    assert_int_equal(keystore.got->request.len, message.len);
    assert_memory_equal(keystore.got->request.data, message.ptr, message.len);
    assert_int_equal(keystore.item->deadline_ns, 123456);
    assert_false(keystore.item->mutating);
    answer_ok("sealed");
    assert_int_equal(outcome.done, 1);
    assert_int_equal(outcome.request.refusal.code, KS_OK);
    assert_string_equal(outcome.response, "sealed");
}

/* Nothing is known of the key: the keystore is asked, and the answer is remembered. */
static void asks_for_the_view_first(void **state)
{
    (void)state;
    struct ks_view view = view_of(7);
    put_encrypt(KEY_ID);

    assert_int_equal(start("Encrypt"), KS_OK);
    assert_int_equal(keystore.got->decision, KS_UNDECIDED);
    assert_int_equal(keystore.got->n_versions, 0);
    answer_stale(&view, 1);
    assert_int_equal(keystore.got->decision, KS_ALLOWED);
    assert_version(0, "7");
    answer_ok("r");
    assert_int_equal(outcome.done, 1);

    assert_int_equal(start("Encrypt"), KS_OK);
    assert_int_equal(keystore.got->decision, KS_ALLOWED);
    answer_ok("r");
    assert_int_equal(keystore.count, 3);
}

static void decides_anew_four_times_at_most(void **state)
{
    (void)state;
    put_encrypt(KEY_ID);
    assert_int_equal(start("Encrypt"), KS_OK);
    for (int version = 1; version <= 4; version++) {
        assert_int_equal(outcome.done, 0);
        struct ks_view view = view_of(version);
        answer_stale(&view, 1);
    }

    assert_int_equal(keystore.count, KS_REQUEST_ROUNDS_MAX);
    assert_int_equal(outcome.done, 1);
    assert_int_equal(outcome.request.refusal.code, KS_UNAVAILABLE);
}

/* Everything goes to a keystore, also what is denied; and it goes as denied. */
static void sends_what_it_denies_as_denied(void **state)
{
    (void)state;
    struct ks_view there = view_of(7);
    struct ks_view absent = {0};
    put_encrypt(OTHER_KEY);

    assert_int_equal(start("Encrypt"), KS_OK);
    assert_int_equal(keystore.got->decision, KS_UNDECIDED);
    answer_stale(&there, 1);
    assert_int_equal(keystore.got->decision, KS_DENIED);
    answer_stale(&absent, 1); /* gone meanwhile: it makes no difference */
    assert_int_equal(keystore.got->decision, KS_DENIED);
    assert_version(0, "");
    answer(&(struct ks_item_result){.code = KS_ACCESS_DENIED});

    assert_int_equal(outcome.request.refusal.code, KS_ACCESS_DENIED);
}

/* Promise 6: how long a refusal takes does not say whether another account has such a key. */
static void a_key_of_another_takes_two_rounds_there_or_not(void **state)
{
    (void)state;
    struct ks_view there = view_of(7);
    put_encrypt(OTHER_KEY);

    for (int i = 0; i < 2; i++) {
        assert_int_equal(start("Encrypt"), KS_OK);
        assert_int_equal(keystore.got->decision, KS_UNDECIDED);
        assert_int_equal(keystore.got->n_versions, 0);
        answer_stale(&there, 1);
        assert_int_equal(keystore.got->decision, KS_DENIED);
        answer(&(struct ks_item_result){.code = KS_ACCESS_DENIED});
    }
}

static void re_encrypt(const char *source_account, const char *destination)
{
    KS_BUFFER_AUTO blob = {.len_max = 4096};
    fixture_blob("ap-seoul-1", source_account, &blob);
    ks_buffer_done(&message);
    put(1, ks_buffer_bytes(&blob));
    put(4, ks_bytes_of(destination));
    struct ks_view views[] = {view_of(1), view_of(2)};
    assert_int_equal(start("ReEncrypt"), KS_OK);
    answer_stale(views, 2);
}

/* One of two keys is another's: the whole is denied, whichever it is. */
static void denies_a_re_encryption_with_anothers_key(void **state)
{
    (void)state;
    re_encrypt(OWN, OTHER_KEY);
    assert_int_equal(keystore.got->decision, KS_DENIED);
    assert_int_equal(keystore.got->n_versions, 2);
    assert_version(1, "2");
    answer(&(struct ks_item_result){.code = KS_ACCESS_DENIED});

    re_encrypt(OTHER, KEY_ID_2);
    assert_int_equal(keystore.got->decision, KS_DENIED);
    answer(&(struct ks_item_result){.code = KS_ACCESS_DENIED});

    re_encrypt(OWN, KEY_ID_2);
    assert_int_equal(keystore.got->decision, KS_ALLOWED);
    answer_ok("");
}

static void allows_what_names_no_key(void **state)
{
    (void)state;
    assert_int_equal(start("ListKeys"), KS_OK);
    assert_int_equal(keystore.got->decision, KS_ALLOWED);
    assert_int_equal(keystore.got->n_versions, 0);
    answer_ok("");
    assert_int_equal(outcome.done, 1);
}

static void makes_a_request_id_for_a_mutation_without_one(void **state)
{
    (void)state;
    assert_int_equal(start("CreateKey"), KS_OK);
    assert_int_equal(strlen(keystore.got->request_id), 32);
    assert_true(keystore.item->mutating);
    char first[KS_REQUEST_ID_MAX + 1];
    memcpy(first, outcome.request.request_id, sizeof(first));
    answer_ok("");

    assert_int_equal(start("CreateKey"), KS_OK);
    assert_string_not_equal(keystore.got->request_id, first);
    answer_ok("");
}

static void keeps_the_request_id_of_the_client_in_all_rounds(void **state)
{
    (void)state;
    struct ks_view view = view_of(7);
    put(1, KS_LITERAL(KEY_ID));
    put(100, KS_LITERAL("my-id"));

    assert_int_equal(start("DisableKey"), KS_OK);
    assert_string_equal(keystore.got->request_id, "my-id");
    answer_stale(&view, 1);
    assert_string_equal(keystore.got->request_id, "my-id");
    answer_ok("");
}

/* Nobody knows whether it was done; the id that was made here lets the client ask again. */
static void names_the_request_id_when_the_outcome_is_unknown(void **state)
{
    (void)state;
    assert_int_equal(start("CreateKey"), KS_OK);
    answer(&(struct ks_item_result){.code = KS_UNAVAILABLE});
    assert_int_equal(outcome.request.refusal.detail_count, 1);
    assert_string_equal(outcome.request.refusal.details[0].name, "request_id");
    assert_string_equal(outcome.request.refusal.details[0].value, outcome.request.request_id);

    assert_int_equal(start("CreateKey"), KS_OK);
    answer(&(struct ks_item_result){.code = KS_LIMIT_EXCEEDED});
    assert_int_equal(outcome.request.refusal.detail_count, 0);
    assert_int_equal(start("ListKeys"), KS_OK);
    answer(&(struct ks_item_result){.code = KS_UNAVAILABLE});
    assert_int_equal(outcome.request.refusal.detail_count, 0);
}

static void passes_on_a_refusal_with_its_words(void **state)
{
    (void)state;
    know_the_key(1);
    put_encrypt(KEY_ID);
    assert_int_equal(start("Encrypt"), KS_OK);

    answer(&(struct ks_item_result){
        .code = KS_DISABLED,
        .text = KS_LITERAL("arn is disabled."),
        .details = {{KS_LITERAL("name"), KS_LITERAL("value")}},
        .detail_count = 1,
    });

    assert_int_equal(outcome.done, 1);
    assert_int_equal(outcome.request.refusal.code, KS_DISABLED);
    assert_string_equal(outcome.request.refusal.text, "arn is disabled.");
    assert_int_equal(outcome.request.refusal.detail_count, 1);
    assert_string_equal(outcome.request.refusal.details[0].value, "value");
}

/* Codes between our own processes do not reach a client, nor do the words that came with them. */
static void tells_nobody_of_what_is_inside(void **state)
{
    (void)state;
    know_the_key(1);
    put_encrypt(KEY_ID);
    assert_int_equal(start("Encrypt"), KS_OK);
    answer(&(struct ks_item_result){.code = KS_CORRUPT, .text = KS_LITERAL("record 17")});
    assert_int_equal(outcome.request.refusal.code, KS_INTERNAL);
    assert_string_equal(outcome.request.refusal.text, "");

    assert_int_equal(start("Encrypt"), KS_OK);
    answer_stale(NULL, 0); /* a keystore that knows another number of identifiers */
    assert_int_equal(outcome.request.refusal.code, KS_INTERNAL);
    assert_int_equal(start("Encrypt"), KS_OK);
    struct ks_view views[] = {view_of(1), view_of(2)};
    answer_stale(views, 3);
    assert_int_equal(outcome.request.refusal.code, KS_INTERNAL);
}

/* A view without sense fails the request that it came for. The next one asks a keystore again. */
static void a_view_that_cannot_be_read_is_not_remembered(void **state)
{
    (void)state;
    struct ks_view senseless = view_of(1);
    struct ks_view good = view_of(1);
    senseless.facts = KS_LITERAL("\x12\x00"); /* a fact without a key */
    put_encrypt(KEY_ID);
    assert_int_equal(start("Encrypt"), KS_OK);
    answer_stale(&senseless, 1);
    assert_int_equal(outcome.request.refusal.code, KS_INTERNAL);

    assert_int_equal(start("Encrypt"), KS_OK);
    answer_stale(&good, 1);
    assert_int_equal(outcome.done, 0);
    answer(&(struct ks_item_result){.code = KS_OK});
    assert_int_equal(outcome.request.refusal.code, KS_OK);
}

static void refuses_at_once_what_breaks_its_form(void **state)
{
    (void)state;
    put(1, KS_LITERAL("fake-key-id"));

    assert_int_equal(start("DescribeKey"), KS_NOT_FOUND);

    assert_string_equal(outcome.request.refusal.text, "Invalid keyId 'fake-key-id'");
    assert_int_equal(outcome.done, 0);
    assert_int_equal(keystore.count, 0);
}

static void refuses_when_too_much_is_under_way(void **state)
{
    (void)state;
    keystore.refuses = KS_THROTTLED;

    assert_int_equal(start("ListKeys"), KS_THROTTLED);
    assert_int_equal(outcome.request.refusal.code, KS_THROTTLED);
    assert_int_equal(outcome.done, 0);
}

static void fails_when_the_second_round_cannot_be_sent(void **state)
{
    (void)state;
    struct ks_view view = view_of(7);
    put_encrypt(KEY_ID);
    assert_int_equal(start("Encrypt"), KS_OK);
    keystore.refuses = KS_THROTTLED;

    answer_stale(&view, 1);

    assert_int_equal(outcome.done, 1);
    assert_int_equal(outcome.request.refusal.code, KS_THROTTLED);
}

static int group_setup(void **state)
{
    (void)state;
    return ks_failed(ks_crypto_init(&(struct ks_crypto_options){0})) ? -1 : 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(decides_on_what_it_knows_and_sends_that),
        TEST(asks_for_the_view_first),
        TEST(decides_anew_four_times_at_most),
        TEST(sends_what_it_denies_as_denied),
        TEST(a_key_of_another_takes_two_rounds_there_or_not),
        TEST(denies_a_re_encryption_with_anothers_key),
        TEST(allows_what_names_no_key),
        TEST(makes_a_request_id_for_a_mutation_without_one),
        TEST(keeps_the_request_id_of_the_client_in_all_rounds),
        TEST(names_the_request_id_when_the_outcome_is_unknown),
        TEST(passes_on_a_refusal_with_its_words),
        TEST(tells_nobody_of_what_is_inside),
        TEST(a_view_that_cannot_be_read_is_not_remembered),
        TEST(refuses_at_once_what_breaks_its_form),
        TEST(refuses_when_too_much_is_under_way),
        TEST(fails_when_the_second_round_cannot_be_sent),
    };
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
