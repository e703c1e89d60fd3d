#include "services/cli/service_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "keystead/internal/v1/internal.pb-c.h"
#include "pkg/base/clock.h"
#include "pkg/base/log.h"
#include "pkg/base/mem.h"
#include "pkg/codec/codec.h"
#include "pkg/crypto/crypto.h"
#include "pkg/crypto/x509.h"
#include "pkg/custody/kit.h"
#include "pkg/rpc/loop.h"
#include "pkg/rpc/server.h"
#include "pkg/transit/roster.h"
#include "services/cli/answers_fixture.h"
#include "services/cli/program_fixture.h"
#include "tests/harness/certificates.h"

#define PATH_LEN    256U
#define MESSAGE_MAX 65536U
#define FILE_MAX    8192U
#define PART_LEN    5000U /* of a backup in one message */

struct fake fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- Files and certificates ---- */

static int64_t now_s(void)
{
    return ks_clock_wall_ms(&ks_clock_system) / 1000;
}

static void read_file(const char *path, struct ks_buffer *out)
{
    FILE *file = fopen(path, "re");
    uint8_t *place = NULL;
    assert_non_null(file);
    assert_int_equal(ks_buffer_extend(out, FILE_MAX, &place).code, KS_OK);
    out->len = fread(place, 1, FILE_MAX, file);
    assert_int_equal(fclose(file), 0);
}

/*
 * Makes NAME.pem and NAME.key, and keeps both in memory: the fake services issue certificates, too.
 */
static void make_root(const struct certificate_root *root, struct ks_ec_key **ret_key,
                      struct ks_buffer *ca)
{
    char file[PATH_LEN / 2];
    KS_BUFFER_AUTO key = {.len_max = FILE_MAX};
    certificates_root(fake_path(""), root);
    ca->len_max = FILE_MAX;
    snprintf(file, sizeof(file), "%s.pem", root->name);
    read_file(fake_path(file), ca);
    snprintf(file, sizeof(file), "%s.key", root->name);
    read_file(fake_path(file), &key);
    assert_int_equal(ks_ec_read_private(ks_buffer_bytes(&key), ret_key).code, KS_OK);
}

/* Makes a leaf and its key: NAME.pem and NAME.key. */
static void make_leaf(const char *root, const char *uri, const char *name)
{
    char names[256];
    snprintf(names, sizeof(names), "URI:%s", uri);
    const struct certificate_leaf leaf = {.root = root, .name = name, .alternative_names = names};
    certificates_leaf(fake_path(""), &leaf, NULL);
}

void fake_hsm_certificate(const char *zone, const char *file)
{
    char uri[128];
    snprintf(uri, sizeof(uri), "spiffe://keystead/hsm/" FAKE_REGION "/%s", zone);
    make_leaf("hsm-root/ca", uri, file);
}

void fake_custodian_kit(const char *region, uint32_t period, const char *file)
{
    struct ks_kit kit = {.period = period, .needed = 1, .count = 1};
    char pem[KS_EC_PRIVATE_PEM_MAX];
    KS_EC_AUTO *root = NULL;
    KS_EC_AUTO *custodian = NULL;
    KS_BUFFER_AUTO spki = {.len_max = KS_CUSTODY_PUBLIC_LEN};
    KS_BUFFER_AUTO bytes = {.len_max = KS_KIT_LEN_MAX};
    FILE *in = fopen(fake_path("hsm-root/ca.key"), "re");
    assert_non_null(in);
    size_t len = fread(pem, 1, sizeof(pem), in);
    fclose(in);
    assert_int_equal(ks_ec_read_private((ks_bytes){(uint8_t *)pem, len}, &root).code, KS_OK);
    assert_int_equal(ks_ec_generate(KS_EC_P384, &custodian).code, KS_OK);
    assert_int_equal(ks_ec_write_public_der(custodian, &spki).code, KS_OK);
    memcpy(kit.region, region, strlen(region) + 1);
    memcpy(kit.keys[0], spki.ptr, spki.len);
    assert_int_equal(ks_kit_sign(&kit, root, &bytes).code, KS_OK);
    FILE *out = fopen(fake_path(file), "we");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, out), bytes.len);
    assert_int_equal(fclose(out), 0);
}

void fake_age_certificate(int seconds)
{
    const struct timespec time = {.tv_sec = now_s() - seconds};
    const struct timespec times[] = {time, time};
    assert_int_equal(utimensat(AT_FDCWD, fake_path("user.pem"), times, 0), 0);
}

/* ---- What was called ---- */

static struct counted *find_counted(const char *method)
{
    for (size_t i = 0; i < FAKE_METHODS_MAX; i++) {
        struct counted *counted = &fake.counted[i];
        if (!counted->method || strcmp(counted->method, method) == 0) {
            counted->method = method;
            return counted;
        }
    }
    fail_msg("more than %u methods", FAKE_METHODS_MAX);
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
    for (size_t i = 0; i < FAKE_METHODS_MAX; i++) {
        ks_buffer_done(&fake.counted[i].first);
        fake.counted[i] = (struct counted){0};
    }
    fake.failing = "";
    fake.fail_count = 0;
    fake.window_open = true;
    fake.backup = (ks_bytes){0};
    fake.backup_code = KS_UNAVAILABLE;
    pthread_mutex_unlock(&fake.lock);
    return 0;
}

static void on_call(void *user, struct ks_rpc_call *call)
{
    const struct fake_row *row = user;
    const char *name = strrchr(row->path, '/') + 1;
    struct fake_answer answer = {.call = call, .arena = {.len_max = MESSAGE_MAX}};
    ks_code code;
    if (note(name, ks_rpc_call_request(call), &code)) {
        fake_refuse(&answer, code, NULL);
    } else if (ks_failed(ks_codec_unpack(row->request, ks_rpc_call_request(call), NULL,
                                         &answer.arena, &answer.request))) {
        fake_refuse(&answer, KS_VALIDATION, NULL);
    } else {
        row->handle(&answer);
    }
    ks_arena_done(&answer.arena);
}

/* ---- The backup ---- */

void fake_backup(ks_bytes bytes, ks_code code)
{
    pthread_mutex_lock(&fake.lock);
    fake.backup = bytes;
    fake.backup_code = code;
    pthread_mutex_unlock(&fake.lock);
}

static void send_part(struct ks_rpc_stream *stream, ks_bytes part)
{
    Keystead__Internal__V1__TakeBackupResponse response =
        KEYSTEAD__INTERNAL__V1__TAKE_BACKUP_RESPONSE__INIT;
    KS_BUFFER_AUTO packed = {.len_max = MESSAGE_MAX};
    response.part = (ProtobufCBinaryData){part.len, (uint8_t *)(uintptr_t)part.ptr};
    assert_int_equal(ks_codec_pack(&response.base, &packed).code, KS_OK);
    assert_int_equal(ks_rpc_stream_send_buffer(stream, &packed).code, KS_OK);
}

static void on_take_backup(void *user, struct ks_rpc_stream *stream, ks_bytes message)
{
    (void)user;
    ks_code ignored;
    (void)note("TakeBackup", message, &ignored);
    pthread_mutex_lock(&fake.lock);
    ks_bytes rest = fake.backup;
    const struct ks_rpc_status status = {.code = fake.backup_code};
    pthread_mutex_unlock(&fake.lock);
    while (rest.len > 0) {
        size_t len = rest.len < PART_LEN ? rest.len : PART_LEN;
        send_part(stream, (ks_bytes){rest.ptr, len});
        rest = (ks_bytes){rest.ptr + len, rest.len - len};
    }
    ks_rpc_stream_finish(stream, status.code == KS_OK ? NULL : &status);
}

static void on_backup_closed(void *user, struct ks_rpc_stream *stream,
                             const struct ks_rpc_error *error)
{
    (void)user;
    (void)stream;
    (void)error;
}

static const struct ks_rpc_stream_callbacks backup_callbacks = {.on_message = on_take_backup,
                                                                .on_close = on_backup_closed};

/* ---- Listeners ---- */

static struct ks_rpc_server *listen_as(const char *uri, const char *name)
{
    static struct ks_rpc_method methods[FAKE_ROWS + 1];
    methods[FAKE_ROWS] =
        (struct ks_rpc_method){.path = "/keystead.internal.v1.KeystoreService/TakeBackup",
                               .stream = &backup_callbacks,
                               .one_request = true};
    for (size_t i = 0; i < FAKE_ROWS; i++) {
        methods[i] = (struct ks_rpc_method){
            .path = fake_rows[i].path, .unary = on_call, .user = (void *)(uintptr_t)&fake_rows[i]};
    }
    char cert[PATH_LEN / 2];
    char key[PATH_LEN / 2];
    make_leaf("ca", uri, name);
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
    fixture_write(fake_path("cluster.yaml"), (ks_bytes){(uint8_t *)text, (size_t)len});
}

int fake_setup(void **state)
{
    if (fixture_folder_make() != 0) {
        return -1;
    }
    ks_log_init("fake", KS_LOG_ERROR);
    assert_int_equal(ks_crypto_init(&(struct ks_crypto_options){0}).code, KS_OK);
    ks_rpc_init();
    fake.loop = ks_rpc_loop_new("fake");
    make_root(&(struct certificate_root){.name = "ca"}, &fake.process_root, &fake.process_ca);
    assert_int_equal(mkdir(fake_path("hsm-root"), 0700), 0);
    make_root(&(struct certificate_root){.name = "hsm-root/ca", .curve = "P-384"}, &fake.hsm_root,
              &fake.hsm_ca);
    make_leaf("ca", "spiffe://keystead/account/" FAKE_ACCOUNT "/user/alice", "user");
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
    return fixture_folder_remove();
}
