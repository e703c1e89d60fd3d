/* The one way through: exactly once, conflicts, refusals. What each method does: its own test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "services/control/admin.h"
#include "services/control/control_fixture.h"
#include "tests/harness/errors_page.h"

#define ACCOUNT        "111122223333"
#define SERVICE        "/keystead.admin.v1.AdminService/"
#define RACERS         8
#define REQUEST_ID_MAX 64U
#define RESPONSE_MAX   65536U

typedef Keystead__Admin__V1__CreateAccountResponse account_created;
typedef Keystead__Admin__V1__IssueCertificateResponse issued;

static int setup(void **state)
{
    if (control_setup(state) != 0) {
        return -1;
    }
    assert_int_equal(control_create_account(*state, ACCOUNT), KS_OK);
    return 0;
}

/* Calls with a request_id. */

static const char *create_account(struct control_fixture *fixture, char *request_id)
{
    const account_created *response =
        control_ask(fixture, "CreateAccount",
                    ADMIN_REQUEST(CreateAccount, create_account, .display_name = "An account",
                                  .request_id = request_id));
    return response ? response->account->account_id : NULL;
}

static ks_code create_user_on(struct control_fixture *fixture, struct ks_rpc_channel *channel,
                              char *name, char *request_id)
{
    (void)control_ask_on(fixture, channel, "CreateUser",
                         ADMIN_REQUEST(CreateUser, create_user, .account_id = ACCOUNT,
                                       .user_name = name, .request_id = request_id));
    return fixture->error.code;
}

static ks_code create_user(struct control_fixture *fixture, char *name, char *request_id)
{
    return create_user_on(fixture, fixture->operator_channel, name, request_id);
}

static ks_code delete_user(struct control_fixture *fixture, char *name, char *request_id)
{
    (void)control_ask(fixture, "DeleteUser",
                      ADMIN_REQUEST(DeleteUser, delete_user, .account_id = ACCOUNT,
                                    .user_name = name, .request_id = request_id));
    return fixture->error.code;
}

static const issued *issue(struct control_fixture *fixture, char *name, char *csr, char *request_id)
{
    return control_ask(fixture, "IssueCertificate",
                       ADMIN_REQUEST(IssueCertificate, issue_certificate, .account_id = ACCOUNT,
                                     .user_name = name, .csr_pem = csr, .request_id = request_id));
}

static ks_code revoke(struct control_fixture *fixture, char *serial, char *request_id)
{
    (void)control_ask(fixture, "RevokeCertificate",
                      ADMIN_REQUEST(RevokeCertificate, revoke_certificate, .serial = serial,
                                    .request_id = request_id));
    return fixture->error.code;
}

/* ---- Exactly once ---- */

/* Without the stored answer a retry would say "it exists already", or do it twice. */
static void a_retry_gets_the_answer_of_the_first_try(void **state)
{
    struct control_fixture *fixture = *state;
    char *csr = control_csr(fixture);

    const char *account = create_account(fixture, "account-1");
    assert_string_equal(create_account(fixture, "account-1"), account);
    assert_int_equal(create_user(fixture, "alice", "user-1"), KS_OK);
    assert_int_equal(create_user(fixture, "alice", "user-1"), KS_OK);
    const issued *first = issue(fixture, "alice", csr, "certificate-1");
    const issued *second = issue(fixture, "alice", csr, "certificate-1");
    assert_string_equal(first->serial, second->serial);
    assert_string_equal(first->certificate_pem, second->certificate_pem);
    assert_int_equal(revoke(fixture, first->serial, "revoke-1"), KS_OK);
    assert_int_equal(revoke(fixture, first->serial, "revoke-1"), KS_OK);
    assert_int_equal(delete_user(fixture, "alice", "delete-1"), KS_OK);
    assert_int_equal(delete_user(fixture, "alice", "delete-1"), KS_OK);
}

static void a_retry_gets_its_answer_after_a_restart(void **state)
{
    struct control_fixture *fixture = *state;
    const char *account = create_account(fixture, "restart");

    control_stop(fixture);
    control_start(fixture);

    assert_string_equal(create_account(fixture, "restart"), account);
}

static void another_request_under_the_same_id_is_a_conflict(void **state)
{
    struct control_fixture *fixture = *state;
    assert_int_equal(create_user(fixture, "bob", "conflict"), KS_OK);

    assert_int_equal(create_user(fixture, "robert", "conflict"), KS_CONFLICT);

    assert_int_equal(control_delete_user(fixture, ACCOUNT, "robert"), KS_NOT_FOUND);
    assert_int_equal(create_user(fixture, "bob", "conflict"), KS_OK);
}

static void an_id_counts_for_one_method_and_one_caller(void **state)
{
    struct control_fixture *fixture = *state;
    (void)control_identity("clients", "other", "spiffe://keystead/operator/bob");
    struct ks_rpc_tls tls = fixture_tls("clients", "other");
    tls.ca_file = fixture_path("root.pem");
    struct ks_rpc_channel *other =
        fixture_channel_to(ks_control_admin_port(fixture->control), tls, "spiffe://test/server/");
    assert_int_equal(create_user(fixture, "carol", "shared"), KS_OK);

    assert_int_equal(delete_user(fixture, "carol", "shared"), KS_OK);
    assert_int_equal(create_user_on(fixture, other, "carol", "shared"), KS_OK);
    assert_int_equal(create_user_on(fixture, other, "carol", "shared-2"), KS_ALREADY_EXISTS);

    ks_rpc_channel_free(other);
}

/* What was not done may be done by the same request once it can be. */
static void a_refusal_is_not_stored(void **state)
{
    struct control_fixture *fixture = *state;
    assert_int_equal(delete_user(fixture, "dave", "refusal"), KS_NOT_FOUND);
    assert_int_equal(create_user(fixture, "dave", NULL), KS_OK);

    assert_int_equal(delete_user(fixture, "dave", "refusal"), KS_OK);
}

static void a_request_without_an_id_is_done_each_time(void **state)
{
    struct control_fixture *fixture = *state;
    const char *account = create_account(fixture, NULL);

    assert_string_not_equal(create_account(fixture, NULL), account);
    assert_string_not_equal(create_account(fixture, ""), account);
}

/* The same form and text as in kms.v1. */
static void an_id_is_1_to_64_of_some_characters(void **state)
{
    struct control_fixture *fixture = *state;
    char id[REQUEST_ID_MAX + 2];
    memset(id, 'i', sizeof(id));

    id[REQUEST_ID_MAX] = '\0';
    assert_non_null(create_account(fixture, id));
    assert_string_equal(create_account(fixture, "i"), create_account(fixture, "i"));
    id[REQUEST_ID_MAX] = 'i';
    id[REQUEST_ID_MAX + 1] = '\0';
    assert_null(create_account(fixture, id));
    control_assert_violated(fixture, "request_id");
    assert_null(create_account(fixture, "with a space"));
    control_assert_violated(fixture, "request_id");
}

/* ---- Races ---- */

/* Calls that are under way together. */
struct race {
    struct gauge answered;
    pthread_mutex_t lock;
    size_t counts[KS_CODE_COUNT]; /* answers of each code */
    char accounts[RACERS][16];    /* of CreateAccount */
    size_t account_count;
};

#define RACE_INIT                                                                                  \
    {                                                                                              \
        .answered = GAUGE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER                                  \
    }

static void on_raced(void *user, ks_code code, const struct ks_rpc_reply *reply)
{
    struct race *race = user;
    pthread_mutex_lock(&race->lock);
    race->counts[code]++;
    KS_ARENA_AUTO arena = {.len_max = RESPONSE_MAX};
    ProtobufCMessage *message;
    if (code == KS_OK &&
        !ks_failed(ks_codec_unpack(&keystead__admin__v1__create_account_response__descriptor,
                                   reply->response, NULL, &arena, &message)) &&
        ((account_created *)message)->account) {
        snprintf(race->accounts[race->account_count++], sizeof(race->accounts[0]), "%s",
                 ((account_created *)message)->account->account_id);
    }
    pthread_mutex_unlock(&race->lock);
    gauge_raise(&race->answered);
}

static void enter_race(struct control_fixture *fixture, struct race *race, const char *method,
                       const ProtobufCMessage *request)
{
    KS_BUFFER_AUTO packed = {.len_max = RESPONSE_MAX};
    assert_int_equal(ks_codec_pack(request, &packed).code, KS_OK);
    ks_rpc_unary(fixture->operator_channel, method, ks_buffer_bytes(&packed), FIXTURE_WAIT_MS,
                 on_raced, race);
}

static void one_request_sent_many_times_at_once_is_done_once(void **state)
{
    struct race race = RACE_INIT;

    for (int i = 0; i < RACERS; i++) {
        enter_race(*state, &race, SERVICE "CreateAccount",
                   ADMIN_REQUEST(CreateAccount, create_account, .display_name = "An account",
                                 .request_id = "race"));
    }
    gauge_await(&race.answered, RACERS);

    assert_int_equal(race.counts[KS_OK], RACERS);
    assert_int_equal(race.account_count, RACERS);
    for (int i = 1; i < RACERS; i++) {
        assert_string_equal(race.accounts[i], race.accounts[0]);
    }
}

/* All of them looked before one was done: those that lost look again. */
static void of_many_who_want_a_name_one_gets_it(void **state)
{
    struct race race = RACE_INIT;

    for (int i = 0; i < RACERS; i++) {
        enter_race(
            *state, &race, SERVICE "CreateUser",
            ADMIN_REQUEST(CreateUser, create_user, .account_id = ACCOUNT, .user_name = "erin"));
    }
    gauge_await(&race.answered, RACERS);

    assert_int_equal(race.counts[KS_OK], 1);
    assert_int_equal(race.counts[KS_ALREADY_EXISTS], RACERS - 1);
}

/* ---- What is no request ---- */

static ks_code send_bytes(struct control_fixture *fixture, const char *method, ks_bytes bytes)
{
    KS_BUFFER_AUTO response = {.len_max = RESPONSE_MAX};
    struct ks_rpc_error error = {0};
    return fixture_call(fixture->operator_channel, method, bytes, &response, &error).code;
}

static void what_is_no_message_is_refused(void **state)
{
    const ks_bytes malformed[] = {
        KS_LITERAL("\x0a\x05 cut"),             /* cut short */
        KS_LITERAL("\x0a\x03\0ab"),             /* a NUL in a string */
        KS_LITERAL("\x0a\x01\xff"),             /* no UTF-8 */
        KS_LITERAL("\x0a\x01\x20\x0a\x01\x20"), /* a field twice */
        KS_LITERAL("\x08\x01"),                 /* another wire type */
        KS_LITERAL("\x0b\x0c"),                 /* a group */
    };
    struct ks_rpc_method methods[KS_ADMIN_METHOD_COUNT];
    ks_admin_methods(NULL, methods);
    for (size_t i = 0; i < KS_COUNT(malformed); i++) {
        for (size_t j = 0; j < KS_ADMIN_METHOD_COUNT; j++) {
            if (strcmp(methods[j].path, SERVICE "ListAccounts") != 0) { /* begins with a number */
                assert_int_equal(send_bytes(*state, methods[j].path, malformed[i]), KS_VALIDATION);
            }
        }
    }
    assert_int_equal(send_bytes(*state, SERVICE "ListAccounts", KS_LITERAL("\x0a\x01\x20")),
                     KS_VALIDATION);
    assert_int_equal(send_bytes(*state, SERVICE "ListAccounts", KS_LITERAL("")), KS_OK);
}

/*
 * docs/errors.md lists the methods that an empty message changes something through: none of these.
 * A method without a request_id commits nothing (admin.c).
 */
static void the_page_says_what_an_empty_message_changes(void **state)
{
    const ProtobufCServiceDescriptor *service = &keystead__admin__v1__admin_service__descriptor;
    assert_int_equal(service->n_methods, KS_ADMIN_METHOD_COUNT);
    size_t found = 0;
    for (unsigned i = 0; i < service->n_methods; i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), SERVICE "%s", service->methods[i].name);
        bool commits = protobuf_c_message_descriptor_get_field_by_name(service->methods[i].input,
                                                                       "request_id") != NULL;
        bool changes = commits && send_bytes(*state, path, KS_LITERAL("")) == KS_OK;
        assert_int_equal(errors_page_lists(path), changes);
        found += changes ? 1 : 0;
    }
    assert_int_equal(errors_page_count(SERVICE), found);
}

static void an_oversized_request_is_refused(void **state)
{
    struct control_fixture *fixture = *state;
    KS_BUFFER_AUTO large = {.len_max = 1U << 20};
    uint8_t *place;
    assert_int_equal(ks_buffer_extend(&large, 65537, &place).code, KS_OK);
    memset(place, 0x0a, large.len);

    ks_code code = send_bytes(fixture, SERVICE "CreateUser", ks_buffer_bytes(&large));

    assert_true(code == KS_LIMIT_EXCEEDED || code == KS_THROTTLED);
    assert_int_equal(send_bytes(fixture, SERVICE "ListAccounts", KS_LITERAL("")), KS_OK);
}

static void a_method_that_is_none_is_unsupported(void **state)
{
    assert_int_equal(send_bytes(*state, SERVICE "DeleteAccount", KS_LITERAL("")), KS_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_retry_gets_the_answer_of_the_first_try),
        cmocka_unit_test(a_retry_gets_its_answer_after_a_restart),
        cmocka_unit_test(another_request_under_the_same_id_is_a_conflict),
        cmocka_unit_test(an_id_counts_for_one_method_and_one_caller),
        cmocka_unit_test(a_refusal_is_not_stored),
        cmocka_unit_test(a_request_without_an_id_is_done_each_time),
        cmocka_unit_test(an_id_is_1_to_64_of_some_characters),
        cmocka_unit_test(one_request_sent_many_times_at_once_is_done_once),
        cmocka_unit_test(of_many_who_want_a_name_one_gets_it),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(the_page_says_what_an_empty_message_changes),
        cmocka_unit_test(an_oversized_request_is_refused),
        cmocka_unit_test(a_method_that_is_none_is_unsupported),
    };
    return cmocka_run_group_tests(tests, setup, control_teardown);
}
