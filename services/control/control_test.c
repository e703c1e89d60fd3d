/* The process as a whole: who gets in, what regions see of it, how it begins and ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "services/control/control_fixture.h"
#include "services/control/feed.h"
#include "services/control/records.h"

#define ACCOUNT      "111122223333"
#define LIST         "/keystead.admin.v1.AdminService/ListAccounts"
#define KEYSTORE     "spiffe://keystead/region/ap-seoul-1/keystore/ap-seoul-1a"
#define CALLS        40
#define ANY_SERVER   "spiffe://test/server/"
#define RESPONSE_MAX 65536U

/* ---- Doors ---- */

/* A channel of a certificate of `root`; its server must be one of the process root. */
static struct ks_rpc_channel *connect_as(int port, const char *root, const char *spiffe)
{
    struct ks_rpc_tls tls = control_identity(root, "visitor", spiffe);
    tls.ca_file = fixture_path("root.pem");
    return fixture_channel_to(port, tls, ANY_SERVER);
}

static ks_code list_as(const struct control_fixture *fixture, const char *root, const char *spiffe)
{
    struct ks_rpc_channel *channel =
        connect_as(ks_control_admin_port(fixture->control), root, spiffe);
    KS_BUFFER_AUTO response = {.len_max = RESPONSE_MAX};
    ks_code code = fixture_call(channel, LIST, KS_LITERAL(""), &response, NULL).code;
    ks_rpc_channel_free(channel);
    return code;
}

static void only_operators_of_the_client_root_get_in(void **state)
{
    assert_int_equal(list_as(*state, "clients", CONTROL_OPERATOR), KS_OK);
    assert_int_equal(list_as(*state, "clients", "spiffe://keystead/account/" ACCOUNT "/user/alice"),
                     KS_ACCESS_DENIED);
    assert_int_equal(list_as(*state, "clients", KEYSTORE), KS_ACCESS_DENIED);
    assert_int_equal(list_as(*state, "root", CONTROL_OPERATOR), KS_UNAVAILABLE);
    assert_int_equal(list_as(*state, "other_root", CONTROL_OPERATOR), KS_UNAVAILABLE);
}

/* ---- The mirror ---- */

/* What a keystore received that has records, and how its stream ended. */
struct keystore {
    struct gauge received;
    struct gauge closed;
    ks_code code;
    struct ks_buffer last;
};

static void on_received(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    (void)stream;
    struct keystore *keystore = user;
    KS_ARENA_AUTO arena = {.len_max = RESPONSE_MAX};
    ProtobufCMessage *unpacked;
    ks_result r = ks_codec_unpack(&keystead__internal__v1__watch_identities_response__descriptor,
                                  message, NULL, &arena, &unpacked);
    assert_int_equal(r.code, KS_OK);
    if (((const Keystead__Internal__V1__WatchIdentitiesResponse *)unpacked)->n_records == 0) {
        return; /* control has said that nothing has changed */
    }
    keystore->last.len = 0;
    assert_int_equal(ks_buffer_append(&keystore->last, message).code, KS_OK);
    gauge_raise(&keystore->received);
}

static void on_closed(void *user, struct ks_rpc_stream *stream, const struct ks_rpc_error *error)
{
    (void)stream;
    struct keystore *keystore = user;
    keystore->code = error->code;
    gauge_raise(&keystore->closed);
}

static const struct ks_rpc_stream_callbacks callbacks = {.on_message = on_received,
                                                         .on_close = on_closed};

#define KEYSTORE_INIT                                                                              \
    {                                                                                              \
        .received = GAUGE_INIT, .closed = GAUGE_INIT, .last = {.len_max = (2U * 1024U * 1024U) }   \
    }

/* Asks for everything. Gives a ref. */
static struct ks_rpc_stream *follow(struct ks_rpc_channel *channel, struct keystore *keystore)
{
    struct ks_rpc_stream *stream = NULL;
    const struct ks_rpc_stream_options options = {
        .method = KS_CONTROL_FEED_METHOD,
        .callbacks = &callbacks,
        .user = keystore,
        .ret_ref = &stream,
    };
    (void)ks_rpc_stream_open(channel, &options);
    (void)ks_rpc_stream_send(stream, KS_LITERAL("")).code; /* on_closed says whether it came */
    return stream;
}

static ks_code follow_as(const struct control_fixture *fixture, const char *root,
                         const char *spiffe)
{
    struct keystore keystore = KEYSTORE_INIT;
    struct ks_rpc_channel *channel =
        connect_as(ks_control_internal_port(fixture->control), root, spiffe);
    struct ks_rpc_stream *stream = follow(channel, &keystore);
    gauge_await(&keystore.closed, 1);
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);
    assert_int_equal(gauge_read(&keystore.received), 0);
    return keystore.code;
}

static void only_keystores_of_the_process_root_follow(void **state)
{
    assert_int_equal(follow_as(*state, "root", CONTROL_OPERATOR), KS_ACCESS_DENIED);
    assert_int_equal(
        follow_as(*state, "root", "spiffe://keystead/region/ap-seoul-1/frontend/frontend-1"),
        KS_ACCESS_DENIED);
    assert_int_equal(follow_as(*state, "clients", KEYSTORE), KS_UNAVAILABLE);
    assert_int_equal(follow_as(*state, "clients", CONTROL_OPERATOR), KS_UNAVAILABLE);
}

/* From an operator's call through the store to what every region holds. */
static void a_keystore_sees_what_an_operator_did(void **state)
{
    struct control_fixture *fixture = *state;
    assert_int_equal(control_create_account(fixture, ACCOUNT), KS_OK);
    struct keystore keystore = KEYSTORE_INIT;
    struct ks_rpc_channel *channel =
        connect_as(ks_control_internal_port(fixture->control), "root", KEYSTORE);
    struct ks_rpc_stream *stream = follow(channel, &keystore);
    gauge_await(&keystore.received, 1);

    assert_int_equal(control_create_user(fixture, ACCOUNT, "alice"), KS_OK);
    gauge_await(&keystore.received, 2);

    KS_ARENA_AUTO arena = {.len_max = RESPONSE_MAX};
    ProtobufCMessage *unpacked;
    ks_result r = ks_codec_unpack(&keystead__internal__v1__watch_identities_response__descriptor,
                                  ks_buffer_bytes(&keystore.last), NULL, &arena, &unpacked);
    assert_int_equal(r.code, KS_OK);
    const Keystead__Internal__V1__WatchIdentitiesResponse *change =
        (const Keystead__Internal__V1__WatchIdentitiesResponse *)unpacked;
    assert_int_equal(change->n_records, 1);
    assert_string_equal(change->records[0]->key, "user/" ACCOUNT "/alice");
    Keystead__Storage__V1__UserRecord *user;
    r = ks_user_read((ks_bytes){change->records[0]->value.data, change->records[0]->value.len},
                     &arena, &user);
    assert_int_equal(r.code, KS_OK);
    assert_string_equal(user->name, "alice");
    ks_rpc_stream_cancel(stream);
    gauge_await(&keystore.closed, 1);
    ks_rpc_stream_unref(stream);
    ks_rpc_channel_free(channel);
    ks_buffer_done(&keystore.last);
}

/* ---- Beginning and end ---- */

static ks_code start_with(struct control_fixture *fixture, char **setting, char *value)
{
    char *before = *setting;
    *setting = value;
    struct ks_control *control = NULL;
    ks_code code = ks_control_new(&fixture->settings, &fixture->clock, &control).code;
    *setting = before;
    assert_int_equal(code == KS_OK, control != NULL);
    ks_control_free(control);
    return code;
}

static void what_does_not_fit_does_not_start(void **state)
{
    struct control_fixture *fixture = *state;
    struct ks_control_settings *settings = &fixture->settings;
    char taken[32];
    snprintf(taken, sizeof(taken), "127.0.0.1:%d", ks_control_admin_port(fixture->control));
    assert_int_equal(start_with(fixture, &settings->partition, "aws"), KS_CONFLICT); /* folder */
    char *folder = fixture_folder("second");
    char *before = settings->data_folder;
    settings->data_folder = folder;

    assert_int_equal(start_with(fixture, &settings->admin_address, taken), KS_CONFLICT);
    assert_int_equal(start_with(fixture, &settings->internal_address, taken), KS_CONFLICT);
    assert_int_equal(start_with(fixture, &settings->partition, "AWS!"), KS_VALIDATION);
    assert_int_equal(start_with(fixture, &settings->client_ca_file, "/absent"), KS_NOT_FOUND);
    assert_int_equal(start_with(fixture, &settings->client_ca_file, settings->process_ca_file),
                     KS_VALIDATION);
    assert_int_equal(start_with(fixture, &settings->process_key_file, settings->client_ca_key_file),
                     KS_VALIDATION);
    assert_int_equal(start_with(fixture, &settings->process_ca_file, "/absent"), KS_VALIDATION);
    assert_int_equal(start_with(fixture, &settings->partition, "aws-cn"), KS_OK);

    settings->data_folder = before;
    fixture_remove(folder);
    ks_free(folder);
}

static void what_was_done_is_there_after_a_restart(void **state)
{
    struct control_fixture *fixture = *state;
    assert_int_equal(control_create_account(fixture, "222233334444"), KS_OK);
    assert_int_equal(control_create_user(fixture, "222233334444", "alice"), KS_OK);

    control_stop(fixture);
    control_start(fixture);

    assert_int_equal(control_create_user(fixture, "222233334444", "alice"), KS_ALREADY_EXISTS);
}

static void on_answered(void *user, ks_code code, const struct ks_rpc_reply *reply)
{
    (void)code; /* done or not: it is told either way */
    (void)reply;
    gauge_raise(user);
}

/* Each call is answered, and none finds a store that is gone. */
static void it_ends_while_calls_are_under_way(void **state)
{
    struct control_fixture *fixture = *state;
    struct gauge answered = GAUGE_INIT;
    KS_BUFFER_AUTO request = {.len_max = RESPONSE_MAX};
    ks_result packed = ks_codec_pack(
        ADMIN_REQUEST(CreateUser, create_user, .account_id = "222233334444", .user_name = "bob"),
        &request);
    assert_int_equal(packed.code, KS_OK);

    for (int i = 0; i < CALLS; i++) {
        ks_rpc_unary(fixture->operator_channel, "/keystead.admin.v1.AdminService/CreateUser",
                     ks_buffer_bytes(&request), FIXTURE_WAIT_MS, on_answered, &answered);
    }
    ks_control_free(fixture->control);
    fixture->control = NULL;

    gauge_await(&answered, CALLS);
    control_stop(fixture);
    control_start(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_operators_of_the_client_root_get_in),
        cmocka_unit_test(only_keystores_of_the_process_root_follow),
        cmocka_unit_test(a_keystore_sees_what_an_operator_did),
        cmocka_unit_test(what_does_not_fit_does_not_start),
        cmocka_unit_test(what_was_done_is_there_after_a_restart),
        cmocka_unit_test(it_ends_while_calls_are_under_way),
    };
    return cmocka_run_group_tests(tests, control_setup, control_teardown);
}
