#include "services/cli/service_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "keystead/admin/v1/admin.pb-c.h"
#include "keystead/internal/v1/internal.pb-c.h"
#include "keystead/kms/v1/kms.pb-c.h"
#include "pkg/base/clock.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/csr.h"
#include "pkg/crypto/x509.h"
#include "pkg/rpc/loop.h"
#include "pkg/rpc/server.h"
#include "pkg/transit/roster.h"

#define PROGRAM       "services/cli/keystead"
#define PATH_LEN      256U
#define PATHS         16U
#define TAG_LEN       8U
#define OUTPUT_MAX    (8U * 1024U * 1024U)
#define MESSAGE_MAX   65536U
#define METHODS_MAX   32U
#define DAY_S         86400
#define WORDS_MAX     40U
#define KEYS_PER_PAGE 3U

extern char **environ;

/* Calls of one method. */
struct counted {
    const char *method;
    unsigned calls;
    bool differed;
    struct ks_buffer first; /* the first call's request */
};

static struct {
    char folder[64];
    struct ks_rpc_loop *loop;
    struct ks_rpc_server *frontend;
    struct ks_rpc_server *control;
    struct ks_rpc_server *keystore;
    struct ks_ec_key *process_root;
    struct ks_ec_key *hsm_root;
    struct ks_buffer process_ca;
    struct ks_buffer hsm_ca;
    char endpoint[32];

    pthread_mutex_t lock; /* guards what follows */
    struct counted counted[METHODS_MAX];
    const char *failing;
    ks_code fail_code;
    unsigned fail_count;
    bool window_open;
    struct ks_roster roster;
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- Files and certificates ---- */

const char *fake_path(const char *name)
{
    static char paths[PATHS][PATH_LEN];
    static size_t next;
    char *path = paths[next++ % PATHS];
    snprintf(path, PATH_LEN, "%s/%s", fake.folder, name);
    return path;
}

static void write_file(const char *path, ks_bytes bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, file), bytes.len);
    assert_int_equal(fclose(file), 0);
}

static void read_file(const char *path, struct ks_buffer *out)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    uint8_t *place;
    char chunk[4096];
    for (size_t len; (len = fread(chunk, 1, sizeof(chunk), file)) > 0;) {
        assert_int_equal(ks_buffer_extend(out, len, &place).code, KS_OK);
        memcpy(place, chunk, len);
    }
    fclose(file);
}

static int64_t now_s(void)
{
    return ks_clock_wall_ms(&ks_clock_system) / 1000;
}

static void make_root(enum ks_ec_curve curve, const char *name, struct ks_ec_key **ret_key,
                      struct ks_buffer *ca)
{
    const struct ks_x509_ca_spec spec = {.subject = {.common_name = name},
                                         .not_before_s = now_s() - 60,
                                         .not_after_s = now_s() + DAY_S};
    ca->len_max = KS_X509_PEM_MAX;
    assert_int_equal(ks_ec_generate(curve, ret_key).code, KS_OK);
    assert_int_equal(ks_x509_make_ca(*ret_key, &spec, ca).code, KS_OK);
}

/* A leaf and its key: NAME.pem and NAME.key. */
static void make_leaf(const struct ks_ec_key *root, const struct ks_buffer *ca, const char *uri,
                      const char *name)
{
    struct ks_ec_key *key = NULL;
    KS_BUFFER_AUTO spki = {.len_max = KS_EC_PUBLIC_DER_MAX};
    KS_BUFFER_AUTO pem = {.len_max = KS_X509_PEM_MAX};
    KS_BUFFER_AUTO key_pem = {.len_max = KS_EC_PRIVATE_PEM_MAX};
    const struct ks_x509_issuer issuer = {ks_buffer_bytes(ca), root};
    const struct ks_x509_leaf_spec spec = {.names = {.uri = uri},
                                           .not_before_s = now_s() - 60,
                                           .not_after_s = now_s() + DAY_S / 2,
                                           .client = true,
                                           .server = true};
    char file[PATH_LEN / 2];
    assert_int_equal(ks_ec_generate(KS_EC_P256, &key).code, KS_OK);
    assert_int_equal(ks_ec_write_public_der(key, &spki).code, KS_OK);
    assert_int_equal(ks_ec_write_private_pem(key, &key_pem).code, KS_OK);
    assert_int_equal(ks_x509_issue(&issuer, ks_buffer_bytes(&spki), &spec, &pem, NULL).code, KS_OK);
    snprintf(file, sizeof(file), "%s.pem", name);
    write_file(fake_path(file), ks_buffer_bytes(&pem));
    snprintf(file, sizeof(file), "%s.key", name);
    write_file(fake_path(file), ks_buffer_bytes(&key_pem));
    ks_ec_free(key);
}

void fake_hsm_certificate(const char *zone, const char *file)
{
    char uri[128];
    snprintf(uri, sizeof(uri), "spiffe://keystead/hsm/" FAKE_REGION "/%s", zone);
    make_leaf(fake.hsm_root, &fake.hsm_ca, uri, file);
}

/* ---- What was called ---- */

static struct counted *find_counted(const char *method)
{
    for (size_t i = 0; i < METHODS_MAX; i++) {
        struct counted *counted = &fake.counted[i];
        if (!counted->method || strcmp(counted->method, method) == 0) {
            counted->method = method;
            return counted;
        }
    }
    fail_msg("more than %u methods", METHODS_MAX);
    return NULL;
}

/* Counts a call; true if it must fail. */
static bool note(const char *method, ks_bytes request, ks_code *ret_code)
{
    pthread_mutex_lock(&fake.lock);
    struct counted *counted = find_counted(method);
    if (counted->calls++ == 0) {
        counted->first.len_max = MESSAGE_MAX;
        assert_int_equal(ks_buffer_append(&counted->first, request).code, KS_OK);
    } else if (!ks_bytes_equal(ks_buffer_bytes(&counted->first), request)) {
        counted->differed = true;
    }
    bool fails = fake.fail_count > 0 && (!fake.failing[0] || strcmp(fake.failing, method) == 0);
    fake.fail_count -= fails ? 1 : 0;
    *ret_code = fake.fail_code;
    pthread_mutex_unlock(&fake.lock);
    return fails;
}

void fake_fail(const char *method, ks_code code, unsigned count)
{
    pthread_mutex_lock(&fake.lock);
    fake.failing = method;
    fake.fail_code = code;
    fake.fail_count = count;
    pthread_mutex_unlock(&fake.lock);
}

unsigned fake_calls(const char *method)
{
    pthread_mutex_lock(&fake.lock);
    unsigned calls = find_counted(method)->calls;
    pthread_mutex_unlock(&fake.lock);
    return calls;
}

bool fake_calls_were_equal(const char *method)
{
    pthread_mutex_lock(&fake.lock);
    bool equal = !find_counted(method)->differed;
    pthread_mutex_unlock(&fake.lock);
    return equal;
}

void fake_window(bool open)
{
    pthread_mutex_lock(&fake.lock);
    fake.window_open = open;
    pthread_mutex_unlock(&fake.lock);
}

unsigned fake_roster_number(void)
{
    return (unsigned)fake.roster.number;
}

size_t fake_roster_entries(void)
{
    return fake.roster.count;
}

int fake_reset(void **state)
{
    (void)state;
    pthread_mutex_lock(&fake.lock);
    for (size_t i = 0; i < METHODS_MAX; i++) {
        ks_buffer_done(&fake.counted[i].first);
        fake.counted[i] = (struct counted){0};
    }
    fake.failing = "";
    fake.fail_count = 0;
    fake.window_open = true;
    pthread_mutex_unlock(&fake.lock);
    return 0;
}

/* ---- Handlers ---- */

/* A call that is being answered. */
struct answer {
    struct ks_rpc_call *call;
    struct ks_arena arena;
    ProtobufCMessage *request;
};

static void reply(const struct answer *answer, const ProtobufCMessage *response)
{
    KS_BUFFER_AUTO packed = {.len_max = MESSAGE_MAX};
    assert_int_equal(ks_codec_pack(response, &packed).code, KS_OK);
    ks_rpc_call_reply(answer->call, ks_buffer_bytes(&packed));
}

static void refuse(const struct answer *answer, ks_code code, const char *region)
{
    const struct ks_rpc_status status = {
        .code = code, .metadata = {{"region", region}}, .metadata_count = region ? 1 : 0};
    ks_rpc_call_fail(answer->call, &status);
}

typedef Keystead__Kms__V1__EncryptRequest__EncryptionContextEntry encrypt_pair;

/* Not a hash to copy: it only has to tell two contexts apart. All map entries have one form. */
static void tag_of(const ProtobufCMessage *const *pairs, size_t count,
                   uint8_t ret_tag[static TAG_LEN])
{
    memset(ret_tag, 0, TAG_LEN);
    for (size_t i = 0; i < count; i++) {
        const encrypt_pair *pair = (const encrypt_pair *)(const void *)pairs[i];
        unsigned sum = 1;
        for (const char *c = pair->key; *c; c++) {
            sum = sum * 31 + (unsigned char)*c;
        }
        for (const char *c = pair->value; *c; c++) {
            sum = sum * 37 + (unsigned char)*c;
        }
        ret_tag[sum % TAG_LEN] = (uint8_t)(ret_tag[sum % TAG_LEN] + sum / TAG_LEN % 251 + 1);
    }
}

/* A blob: 01 ‖ tag ‖ plaintext with each bit flipped. */
static ProtobufCBinaryData blob_of(struct ks_arena *arena, const uint8_t *tag,
                                   ProtobufCBinaryData plaintext)
{
    ProtobufCBinaryData blob = {1 + TAG_LEN + plaintext.len, NULL};
    blob.data = ks_arena_alloc(arena, blob.len);
    blob.data[0] = 1;
    memcpy(blob.data + 1, tag, TAG_LEN);
    for (size_t i = 0; i < plaintext.len; i++) {
        blob.data[1 + TAG_LEN + i] = (uint8_t)~plaintext.data[i];
    }
    return blob;
}

static void on_encrypt(struct answer *answer)
{
    Keystead__Kms__V1__EncryptRequest *request = (void *)answer->request;
    Keystead__Kms__V1__EncryptResponse response = KEYSTEAD__KMS__V1__ENCRYPT_RESPONSE__INIT;
    uint8_t tag[TAG_LEN];
    tag_of((const ProtobufCMessage *const *)(void *)request->encryption_context,
           request->n_encryption_context, tag);
    response.ciphertext_blob = blob_of(&answer->arena, tag, request->plaintext);
    reply(answer, &response.base);
}

static void on_data_key(struct answer *answer)
{
    static uint8_t key[32] = "a data key that is no secret....";
    Keystead__Kms__V1__GenerateDataKeyRequest *request = (void *)answer->request;
    Keystead__Kms__V1__GenerateDataKeyResponse response =
        KEYSTEAD__KMS__V1__GENERATE_DATA_KEY_RESPONSE__INIT;
    uint8_t tag[TAG_LEN];
    tag_of((const ProtobufCMessage *const *)(void *)request->encryption_context,
           request->n_encryption_context, tag);
    response.plaintext = (ProtobufCBinaryData){sizeof(key), key};
    response.ciphertext_blob = blob_of(&answer->arena, tag, response.plaintext);
    response.key_id = (char *)(uintptr_t)FAKE_KEY_ID;
    reply(answer, &response.base);
}

static void on_decrypt(struct answer *answer)
{
    Keystead__Kms__V1__DecryptRequest *request = (void *)answer->request;
    Keystead__Kms__V1__DecryptResponse response = KEYSTEAD__KMS__V1__DECRYPT_RESPONSE__INIT;
    ProtobufCBinaryData blob = request->ciphertext_blob;
    uint8_t tag[TAG_LEN];
    tag_of((const ProtobufCMessage *const *)(void *)request->encryption_context,
           request->n_encryption_context, tag);
    bool fits = blob.len > 1 + TAG_LEN && blob.data[0] == 1 &&
                ks_bytes_equal((ks_bytes){blob.data + 1, TAG_LEN}, (ks_bytes){tag, TAG_LEN});
    if (!fits) {
        refuse(answer, KS_INVALID_CIPHERTEXT, blob.data[0] == 2 ? "us-oregon-1" : NULL);
        return;
    }
    response.plaintext = (ProtobufCBinaryData){blob.len - 1 - TAG_LEN, blob.data + 1 + TAG_LEN};
    for (size_t i = 0; i < response.plaintext.len; i++) {
        response.plaintext.data[i] = (uint8_t)~response.plaintext.data[i];
    }
    reply(answer, &response.base);
}

static void on_create_key(struct answer *answer)
{
    Keystead__Kms__V1__CreateKeyRequest *request = (void *)answer->request;
    Keystead__Kms__V1__CreateKeyResponse response = KEYSTEAD__KMS__V1__CREATE_KEY_RESPONSE__INIT;
    Keystead__Kms__V1__KeyMetadata key = KEYSTEAD__KMS__V1__KEY_METADATA__INIT;
    Google__Protobuf__Timestamp made = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    made.seconds = 1767225600;
    key.key_id = (char *)(uintptr_t)FAKE_KEY_ID;
    key.arn = (char *)(uintptr_t) "arn:aws:kms:ap-seoul-1:111122223333:key/" FAKE_KEY_ID;
    key.aws_account_id = (char *)(uintptr_t)FAKE_ACCOUNT;
    key.description = request->description;
    key.creation_date = &made;
    key.enabled = 1;
    key.key_state = KEYSTEAD__KMS__V1__KEY_STATE__KEY_STATE_ENABLED;
    response.key_metadata = &key;
    reply(answer, &response.base);
}

static void on_describe_key(struct answer *answer)
{
    refuse(answer, KS_NOT_FOUND, NULL);
}

static void on_empty(struct answer *answer)
{
    Keystead__Kms__V1__EnableKeyResponse response = KEYSTEAD__KMS__V1__ENABLE_KEY_RESPONSE__INIT;
    reply(answer, &response.base);
}

static void on_list_keys(struct answer *answer)
{
    Keystead__Kms__V1__ListKeysRequest *request = (void *)answer->request;
    Keystead__Kms__V1__ListKeysResponse response = KEYSTEAD__KMS__V1__LIST_KEYS_RESPONSE__INIT;
    Keystead__Kms__V1__KeyListEntry keys[KEYS_PER_PAGE];
    Keystead__Kms__V1__KeyListEntry *list[KEYS_PER_PAGE];
    char names[KEYS_PER_PAGE][16];
    char marker[16];
    unsigned first = (unsigned)strtoul(request->marker, NULL, 10);
    for (unsigned i = 0; i < KEYS_PER_PAGE && first + i < FAKE_KEYS; i++) {
        snprintf(names[i], sizeof(names[i]), "key-%u", first + i);
        keystead__kms__v1__key_list_entry__init(&keys[i]);
        keys[i].key_id = names[i];
        list[i] = &keys[i];
        response.n_keys++;
    }
    response.keys = list;
    if (first + KEYS_PER_PAGE < FAKE_KEYS) {
        snprintf(marker, sizeof(marker), "%u", first + KEYS_PER_PAGE);
        response.next_marker = marker;
        response.truncated = 1;
    }
    reply(answer, &response.base);
}

static void on_create_account(struct answer *answer)
{
    Keystead__Admin__V1__CreateAccountRequest *request = (void *)answer->request;
    Keystead__Admin__V1__CreateAccountResponse response =
        KEYSTEAD__ADMIN__V1__CREATE_ACCOUNT_RESPONSE__INIT;
    Keystead__Admin__V1__Account account = KEYSTEAD__ADMIN__V1__ACCOUNT__INIT;
    account.account_id = (char *)(uintptr_t)FAKE_ACCOUNT;
    account.display_name = request->display_name;
    response.account = &account;
    reply(answer, &response.base);
}

static void on_issue_certificate(struct answer *answer)
{
    Keystead__Admin__V1__IssueCertificateRequest *request = (void *)answer->request;
    Keystead__Admin__V1__IssueCertificateResponse response =
        KEYSTEAD__ADMIN__V1__ISSUE_CERTIFICATE_RESPONSE__INIT;
    KS_BUFFER_AUTO spki = {.len_max = KS_EC_PUBLIC_DER_MAX};
    KS_BUFFER_AUTO pem = {.len_max = KS_X509_PEM_MAX};
    char serial[KS_X509_SERIAL_HEX + 1];
    const struct ks_x509_issuer issuer = {ks_buffer_bytes(&fake.process_ca), fake.process_root};
    const struct ks_x509_leaf_spec spec = {
        .names = {.uri = "spiffe://keystead/account/" FAKE_ACCOUNT "/user/alice"},
        .not_before_s = now_s() - 60,
        .not_after_s = now_s() + request->lifetime_seconds,
        .client = true};
    bool done = !ks_failed(ks_csr_read(ks_bytes_of(request->csr_pem), &spki)) &&
                !ks_failed(ks_x509_issue(&issuer, ks_buffer_bytes(&spki), &spec, &pem, serial)) &&
                !ks_failed(ks_buffer_append(&pem, (ks_bytes){(const uint8_t *)"", 1}));
    if (!done) {
        refuse(answer, KS_VALIDATION, NULL);
        return;
    }
    response.certificate_pem = (char *)pem.ptr;
    response.serial = serial;
    reply(answer, &response.base);
}

static void on_put_roster(struct answer *answer)
{
    Keystead__Internal__V1__PutRosterRequest *request = (void *)answer->request;
    Keystead__Internal__V1__PutRosterResponse response =
        KEYSTEAD__INTERNAL__V1__PUT_ROSTER_RESPONSE__INIT;
    struct ks_roster roster;
    ks_bytes bytes = {request->roster.data, request->roster.len};
    if (ks_failed(ks_roster_open(bytes, fake.hsm_root, &roster)) ||
        roster.number != request->number || roster.number <= fake.roster.number) {
        refuse(answer, KS_ACCESS_DENIED, NULL);
        return;
    }
    fake.roster = roster;
    reply(answer, &response.base);
}

static void on_rotate(struct answer *answer)
{
    Keystead__Internal__V1__RotateDomainKeyRequest *request = (void *)answer->request;
    Keystead__Internal__V1__RotateDomainKeyResponse response =
        KEYSTEAD__INTERNAL__V1__ROTATE_DOMAIN_KEY_RESPONSE__INIT;
    if (request->from_generation != 3) {
        refuse(answer, KS_VALIDATION, NULL);
        return;
    }
    response.current_generation = request->from_generation;
    reply(answer, &response.base);
}

static void on_get_status(struct answer *answer)
{
    Keystead__Internal__V1__GetStatusResponse response =
        KEYSTEAD__INTERNAL__V1__GET_STATUS_RESPONSE__INIT;
    uint32_t held[] = {2, 3};
    char *listed[] = {(char *)(uintptr_t)FAKE_REGION "a"};
    response.name = listed[0];
    response.region = (char *)(uintptr_t)FAKE_REGION;
    response.zone = listed[0];
    response.applied_revision = 812;
    response.settled_revision = 811;
    response.window_left_ms = fake.window_open ? 1700 : 0;
    response.database_bytes = 1536 * 1024;
    response.domain_generation = 3;
    response.n_generations_held = KS_COUNT(held);
    response.generations_held = held;
    response.hsm_ready = 1;
    response.identities_revision = 14;
    response.n_listed = KS_COUNT(listed);
    response.listed = listed;
    reply(answer, &response.base);
}

struct row {
    const char *path;
    const ProtobufCMessageDescriptor *request;
    void (*handle)(struct answer *answer);
};

#define KMS(Name, type)   "/keystead.kms.v1.KeyManagementService/" Name, &keystead__kms__v1__##type
#define ADMIN(Name, type) "/keystead.admin.v1.AdminService/" Name, &keystead__admin__v1__##type
#define INTERNAL(Name, type)                                                                       \
    "/keystead.internal.v1.KeystoreService/" Name, &keystead__internal__v1__##type

static const struct row rows[] = {
    {KMS("Encrypt", encrypt_request__descriptor), on_encrypt},
    {KMS("Decrypt", decrypt_request__descriptor), on_decrypt},
    {KMS("GenerateDataKey", generate_data_key_request__descriptor), on_data_key},
    {KMS("CreateKey", create_key_request__descriptor), on_create_key},
    {KMS("DescribeKey", describe_key_request__descriptor), on_describe_key},
    {KMS("CreateAlias", create_alias_request__descriptor), on_empty},
    {KMS("EnableKey", enable_key_request__descriptor), on_empty},
    {KMS("ListKeys", list_keys_request__descriptor), on_list_keys},
    {ADMIN("CreateAccount", create_account_request__descriptor), on_create_account},
    {ADMIN("IssueCertificate", issue_certificate_request__descriptor), on_issue_certificate},
    {INTERNAL("PutRoster", put_roster_request__descriptor), on_put_roster},
    {INTERNAL("RotateDomainKey", rotate_domain_key_request__descriptor), on_rotate},
    {INTERNAL("GetStatus", get_status_request__descriptor), on_get_status},
};

static void on_call(void *user, struct ks_rpc_call *call)
{
    const struct row *row = user;
    const char *name = strrchr(row->path, '/') + 1;
    struct answer answer = {.call = call, .arena = {.len_max = MESSAGE_MAX}};
    ks_code code;
    if (note(name, ks_rpc_call_request(call), &code)) {
        refuse(&answer, code, NULL);
    } else if (ks_failed(ks_codec_unpack(row->request, ks_rpc_call_request(call), NULL,
                                         &answer.arena, &answer.request))) {
        refuse(&answer, KS_VALIDATION, NULL);
    } else {
        row->handle(&answer);
    }
    ks_arena_done(&answer.arena);
}

/* ---- Listeners ---- */

static struct ks_rpc_server *listen_as(const char *uri, const char *name)
{
    static struct ks_rpc_method methods[KS_COUNT(rows)];
    for (size_t i = 0; i < KS_COUNT(rows); i++) {
        methods[i] = (struct ks_rpc_method){
            .path = rows[i].path, .unary = on_call, .user = (void *)(uintptr_t)&rows[i]};
    }
    char cert[PATH_LEN / 2];
    char key[PATH_LEN / 2];
    make_leaf(fake.process_root, &fake.process_ca, uri, name);
    snprintf(cert, sizeof(cert), "%s.pem", name);
    snprintf(key, sizeof(key), "%s.key", name);
    const struct ks_rpc_server_options options = {
        .address = "127.0.0.1:0",
        .tls = {fake_path("ca.pem"), fake_path(cert), fake_path(key)},
        .loops = &fake.loop,
        .loop_count = 1,
        .methods = methods,
        .method_count = KS_COUNT(methods)};
    struct ks_rpc_server *server = NULL;
    assert_int_equal(ks_rpc_server_new(&options, &server).code, KS_OK);
    ks_rpc_health_set(server, "", true);
    return server;
}

const char *fake_frontend(void)
{
    return fake.endpoint;
}

const char *fake_nobody(void)
{
    return "127.0.0.1:1";
}

static void set_path(const char *variable, const char *file)
{
    assert_int_equal(setenv(variable, fake_path(file), 1), 0);
}

static void set_environment(void)
{
    char admin[32];
    snprintf(fake.endpoint, sizeof(fake.endpoint), "127.0.0.1:%d",
             ks_rpc_server_port(fake.frontend));
    snprintf(admin, sizeof(admin), "127.0.0.1:%d", ks_rpc_server_port(fake.control));
    setenv("KEYSTEAD_ENDPOINT", fake.endpoint, 1);
    setenv("KEYSTEAD_ADMIN_ENDPOINT", admin, 1);
    setenv("KEYSTEAD_REGION", FAKE_REGION, 1);
    setenv("KEYSTEAD_ACCOUNT", FAKE_ACCOUNT, 1);
    setenv("KEYSTEAD_KEY", FAKE_KEY_ID, 1);
    set_path("KEYSTEAD_CA", "ca.pem");
    set_path("KEYSTEAD_CERT", "user.pem");
    set_path("KEYSTEAD_CERT_KEY", "user.key");
    set_path("KEYSTEAD_OPERATOR_CERT", "user.pem");
    set_path("KEYSTEAD_OPERATOR_CERT_KEY", "user.key");
    set_path("KEYSTEAD_CLUSTER", "cluster.yaml");
    set_path("XDG_CONFIG_HOME", "config");

    char text[1024];
    int len = snprintf(text, sizeof(text),
                       "keystores: [" FAKE_REGION "/" FAKE_REGION "a/127.0.0.1:%d]\n"
                       "frontends: [" FAKE_REGION "/f0/%s]\ncontrol: %s\n"
                       "ca_file: %s\ncert_file: %s\nkey_file: %s\n",
                       ks_rpc_server_port(fake.keystore), fake.endpoint, admin, fake_path("ca.pem"),
                       fake_path("user.pem"), fake_path("user.key"));
    write_file(fake_path("cluster.yaml"), (ks_bytes){(uint8_t *)text, (size_t)len});
}

static void make_hsm_root(void)
{
    KS_BUFFER_AUTO key = {.len_max = KS_EC_PRIVATE_PEM_MAX};
    make_root(KS_EC_P384, "hsm root", &fake.hsm_root, &fake.hsm_ca);
    assert_int_equal(ks_ec_write_private_pem(fake.hsm_root, &key).code, KS_OK);
    assert_int_equal(mkdir(fake_path("hsm-root"), 0700), 0);
    write_file(fake_path("hsm-root/ca.pem"), ks_buffer_bytes(&fake.hsm_ca));
    write_file(fake_path("hsm-root/ca.key"), ks_buffer_bytes(&key));
}

int fake_setup(void **state)
{
    snprintf(fake.folder, sizeof(fake.folder), "/tmp/ks-cli-XXXXXX");
    if (!mkdtemp(fake.folder)) {
        return -1;
    }
    ks_log_init("fake", KS_LOG_ERROR);
    assert_int_equal(ks_crypto_init(&(struct ks_crypto_options){0}).code, KS_OK);
    ks_rpc_init();
    fake.loop = ks_rpc_loop_new("fake");
    make_root(KS_EC_P256, "root", &fake.process_root, &fake.process_ca);
    write_file(fake_path("ca.pem"), ks_buffer_bytes(&fake.process_ca));
    make_hsm_root();
    make_leaf(fake.process_root, &fake.process_ca,
              "spiffe://keystead/account/" FAKE_ACCOUNT "/user/alice", "user");
    fake.frontend = listen_as("spiffe://keystead/region/" FAKE_REGION "/frontend/f0", "frontend");
    fake.control = listen_as("spiffe://keystead/control", "control");
    fake.keystore =
        listen_as("spiffe://keystead/region/" FAKE_REGION "/keystore/" FAKE_REGION "a", "keystore");
    set_environment();
    return fake_reset(state);
}

int fake_teardown(void **state)
{
    (void)fake_reset(state);
    ks_rpc_server_free(fake.frontend);
    ks_rpc_server_free(fake.control);
    ks_rpc_server_free(fake.keystore);
    ks_rpc_loop_free(fake.loop);
    ks_rpc_shutdown();
    ks_ec_free(fake.process_root);
    ks_ec_free(fake.hsm_root);
    ks_buffer_done(&fake.process_ca);
    ks_buffer_done(&fake.hsm_ca);
    char command[PATH_LEN];
    snprintf(command, sizeof(command), "rm -r %s", fake.folder);
    return system(command) == 0 ? 0 : -1;
}

/* ---- The program ---- */

void ran_done(struct ran *ran)
{
    ks_buffer_done(&ran->out);
    ks_buffer_done(&ran->err);
}

/* Starts it with files as stdin and stderr, and an open file as stdout. */
static pid_t start(const char *const *words, int out)
{
    char *argv[WORDS_MAX + 2] = {(char *)(uintptr_t)PROGRAM};
    for (size_t i = 0; words[i]; i++) {
        assert_true(i < WORDS_MAX);
        argv[i + 1] = (char *)(uintptr_t)words[i];
    }
    posix_spawn_file_actions_t files;
    pid_t pid;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, fake_path("stdin"), O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, fake_path("stderr"),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(posix_spawn(&pid, PROGRAM, &files, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&files);
    return pid;
}

static void finish(pid_t pid, struct ran *ran)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    ran->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    read_file(fake_path("stderr"), &ran->err);
    assert_int_equal(ks_buffer_append(&ran->err, (ks_bytes){(const uint8_t *)"", 1}).code, KS_OK);
    ran->err.len--;
}

struct ran run_program(const char *const *words, ks_bytes input)
{
    struct ran ran = {.out = {.len_max = OUTPUT_MAX}, .err = {.len_max = OUTPUT_MAX}};
    write_file(fake_path("stdin"), input);
    int out = open(fake_path("stdout"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(out >= 0);
    finish(start(words, out), &ran);
    close(out);
    read_file(fake_path("stdout"), &ran.out);
    return ran;
}

struct ran run_on_terminal(const char *const *words, ks_bytes input)
{
    struct ran ran = {.out = {.len_max = OUTPUT_MAX}, .err = {.len_max = OUTPUT_MAX}};
    int ours;
    int theirs;
    write_file(fake_path("stdin"), input);
    assert_int_equal(openpty(&ours, &theirs, NULL, NULL, NULL), 0);
    finish(start(words, theirs), &ran);
    close(theirs);
    char chunk[4096];
    for (ssize_t len; (len = read(ours, chunk, sizeof(chunk))) > 0;) {
        assert_int_equal(ks_buffer_append(&ran.out, (ks_bytes){(uint8_t *)chunk, (size_t)len}).code,
                         KS_OK);
    }
    close(ours);
    return ran;
}
