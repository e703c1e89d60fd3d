#include "services/control/control_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/csr.h"
#include "pkg/crypto/x509.h"
#include "tests/harness/certificates.h"

#define MESSAGE_LEN_MAX (4U * 1024U * 1024U)
#define BOOT_MS         (3600LL * 1000) /* the machine has run for so long */
#define ARENA_LEN_MAX   (256U * 1024U * 1024U)
#define METHOD_LEN_MAX  96U
#define FIELDS_MAX      20000U /* of the longest page */

struct control_fixture control_fixture;

static const struct {
    const char *name;
    const ProtobufCMessageDescriptor *response;
} methods[] = {
    {"CreateAccount", &keystead__admin__v1__create_account_response__descriptor},
    {"ListAccounts", &keystead__admin__v1__list_accounts_response__descriptor},
    {"CreateUser", &keystead__admin__v1__create_user_response__descriptor},
    {"ListUsers", &keystead__admin__v1__list_users_response__descriptor},
    {"DeleteUser", &keystead__admin__v1__delete_user_response__descriptor},
    {"IssueCertificate", &keystead__admin__v1__issue_certificate_response__descriptor},
    {"RevokeCertificate", &keystead__admin__v1__revoke_certificate_response__descriptor},
};

/* ---- Certificates ---- */

void control_make_root(const char *name)
{
    const struct certificate_root root = {.name = name, .life_days = CONTROL_ROOT_LIFE_DAYS};
    certificates_root(fixture_path(""), &root);
}

struct ks_rpc_tls control_identity(const char *root, const char *name, const char *spiffe)
{
    char names[256];
    snprintf(names, sizeof(names), "URI:%s", spiffe);
    const struct certificate_leaf leaf = {.root = root, .name = name, .alternative_names = names};
    certificates_leaf(fixture_path(""), &leaf, NULL);
    return fixture_tls(root, name);
}

/* ---- Beginning and end ---- */

static int64_t stepped_wall_ms(void *user)
{
    return atomic_load(&((struct control_fixture *)user)->wall_ms);
}

/* Both clocks go by the test's steps: time passes, and no clock is wrong. */
static int64_t stepped_boot_ns(void *user)
{
    const struct control_fixture *fixture = user;
    int64_t passed_ms = atomic_load(&fixture->wall_ms) - fixture->began_ms;
    return (BOOT_MS + passed_ms) * KS_NS_PER_MS;
}

static void fill_settings(struct control_fixture *fixture)
{
    struct ks_rpc_tls process = fixture_tls("root", "server");
    fixture->settings = (struct ks_control_settings){
        .admin_address = ks_strdup("127.0.0.1:0"),
        .internal_address = ks_strdup("127.0.0.1:0"),
        .data_folder = ks_strdup(fixture->folder),
        .engine = KS_CONTROL_EMBEDDED,
        .etcd_ca_file = ks_strdup(""),
        .etcd_cert_file = ks_strdup(""),
        .etcd_key_file = ks_strdup(""),
        .process_ca_file = ks_strdup(process.ca_file),
        .process_cert_file = ks_strdup(process.cert_file),
        .process_key_file = ks_strdup(process.key_file),
        .client_ca_file = ks_strdup(fixture_path("clients.pem")),
        .client_ca_key_file = ks_strdup(fixture_path("clients.key")),
        .partition = ks_strdup("aws"),
    };
}

int control_prepare(void **state)
{
    if (ks_failed(ks_crypto_init(&(struct ks_crypto_options){0})) || fixture_setup(state) != 0) {
        return -1;
    }
    struct control_fixture *fixture = &control_fixture;
    fixture->folder = fixture_folder("control");
    fixture->arena.len_max = ARENA_LEN_MAX;
    fixture->clock = (struct ks_clock){stepped_boot_ns, stepped_wall_ms, fixture};
    fixture->began_ms = time(NULL) * 1000;
    atomic_store(&fixture->wall_ms, fixture->began_ms);
    control_make_root("clients");
    (void)control_identity("clients", "operator", CONTROL_OPERATOR);
    fill_settings(fixture);
    *state = fixture;
    return 0;
}

void control_start(struct control_fixture *fixture)
{
    ks_result r = ks_control_new(&fixture->settings, &fixture->clock, &fixture->control);
    assert_int_equal(r.code, KS_OK);
    struct ks_rpc_tls tls = fixture_tls("clients", "operator");
    tls.ca_file = fixture_path("root.pem"); /* the server is a process */
    fixture->operator_channel =
        fixture_channel_to(ks_control_admin_port(fixture->control), tls, "spiffe://test/server/");
}

void control_stop(struct control_fixture *fixture)
{
    ks_rpc_channel_free(fixture->operator_channel);
    ks_control_free(fixture->control);
    fixture->operator_channel = NULL;
    fixture->control = NULL;
}

int control_setup(void **state)
{
    if (control_prepare(state) != 0) {
        return -1;
    }
    control_start(&control_fixture);
    return 0;
}

int control_teardown(void **state)
{
    struct control_fixture *fixture = &control_fixture;
    control_stop(fixture);
    ks_config_done(&ks_control_table, &fixture->settings);
    ks_arena_done(&fixture->arena);
    fixture_remove(fixture->folder);
    ks_free(fixture->folder);
    return fixture_teardown(state);
}

void control_look(struct control_fixture *fixture,
                  void (*look)(struct control_fixture *fixture, struct ks_store *store))
{
    bool was_running = fixture->control != NULL;
    control_stop(fixture);
    const struct ks_store_options options = {
        .engine = KS_STORE_EMBEDDED, .folder = fixture->folder, .clock = &fixture->clock};
    struct ks_store *store = NULL;
    assert_int_equal(ks_store_new(&options, &store).code, KS_OK);
    look(fixture, store);
    ks_store_free(store);
    if (was_running) {
        control_start(fixture);
    }
}

/* ---- Calls ---- */

static const ProtobufCMessageDescriptor *response_of(const char *method)
{
    for (size_t i = 0; i < KS_COUNT(methods); i++) {
        if (strcmp(methods[i].name, method) == 0) {
            return methods[i].response;
        }
    }
    fail_msg("%s is no method", method);
    return NULL;
}

const void *control_ask_on(struct control_fixture *fixture, struct ks_rpc_channel *channel,
                           const char *method, const ProtobufCMessage *request)
{
    char path[METHOD_LEN_MAX];
    snprintf(path, sizeof(path), "/keystead.admin.v1.AdminService/%s", method);
    KS_BUFFER_AUTO packed = {.len_max = MESSAGE_LEN_MAX};
    assert_int_equal(ks_codec_pack(request, &packed).code, KS_OK);
    KS_BUFFER_AUTO answer = {.len_max = MESSAGE_LEN_MAX};
    memset(&fixture->error, 0, sizeof(fixture->error));
    ks_result r = fixture_call(channel, path, ks_buffer_bytes(&packed), &answer, &fixture->error);
    if (ks_failed(r)) {
        assert_int_equal(fixture->error.code, r.code);
        return NULL;
    }
    const struct ks_codec_limits limits = {.field_count_max = FIELDS_MAX};
    ProtobufCMessage *message;
    r = ks_codec_unpack(response_of(method), ks_buffer_bytes(&answer), &limits, &fixture->arena,
                        &message);
    assert_int_equal(r.code, KS_OK);
    return message;
}

const void *control_ask(struct control_fixture *fixture, const char *method,
                        const ProtobufCMessage *request)
{
    return control_ask_on(fixture, fixture->operator_channel, method, request);
}

static char *text(const char *borrowed)
{
    return (char *)(uintptr_t)borrowed;
}

ks_code control_create_account(struct control_fixture *fixture, const char *account)
{
    (void)control_ask(fixture, "CreateAccount",
                      ADMIN_REQUEST(CreateAccount, create_account,
                                    .display_name = text("An account"),
                                    .account_id = text(account)));
    return fixture->error.code;
}

ks_code control_create_user(struct control_fixture *fixture, const char *account, const char *name)
{
    (void)control_ask(fixture, "CreateUser",
                      ADMIN_REQUEST(CreateUser, create_user, .account_id = text(account),
                                    .user_name = text(name)));
    return fixture->error.code;
}

ks_code control_delete_user(struct control_fixture *fixture, const char *account, const char *name)
{
    (void)control_ask(fixture, "DeleteUser",
                      ADMIN_REQUEST(DeleteUser, delete_user, .account_id = text(account),
                                    .user_name = text(name)));
    return fixture->error.code;
}

char *control_csr(struct control_fixture *fixture)
{
    KS_EC_AUTO *key = NULL;
    assert_int_equal(ks_ec_generate(KS_EC_P256, &key).code, KS_OK);
    KS_BUFFER_AUTO csr = {.len_max = KS_X509_PEM_MAX};
    const struct ks_x509_subject subject = {.common_name = "nobody"};
    const struct ks_x509_names names = {0};
    assert_int_equal(ks_csr_make(key, &subject, &names, &csr).code, KS_OK);
    char *pem = ks_arena_dup(&fixture->arena, ks_buffer_bytes(&csr));
    assert_non_null(pem);
    return pem;
}

const Keystead__Admin__V1__IssueCertificateResponse *
control_issue(struct control_fixture *fixture, const char *account, const char *name)
{
    const Keystead__Admin__V1__IssueCertificateResponse *issued =
        control_ask(fixture, "IssueCertificate",
                    ADMIN_REQUEST(IssueCertificate, issue_certificate, .account_id = text(account),
                                  .user_name = text(name), .csr_pem = control_csr(fixture)));
    assert_non_null(issued);
    return issued;
}

void control_assert_violated(const struct control_fixture *fixture, const char *field)
{
    assert_int_equal(fixture->error.code, KS_VALIDATION);
    assert_string_equal(fixture->error.violated_field, field);
    assert_string_not_equal(fixture->error.violation, "");
}
