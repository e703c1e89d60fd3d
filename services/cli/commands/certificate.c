/* user certificate: a key that never leaves this machine, and a certificate for it. */

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keystead/admin/v1/admin.pb-c.h"
#include "pkg/arn/name.h"
#include "pkg/crypto/csr.h"
#include "pkg/crypto/ec.h"
#include "pkg/json/json.h"
#include "pkg/message/value.h"
#include "services/cli/commands/commands.h"
#include "services/cli/output/emit.h"
#include "services/cli/output/table.h"
#include "services/cli/service/call.h"
#include "services/cli/service/request.h"
#include "services/cli/setup/disk.h"
#include "services/cli/setup/duration.h"

#define CSR_LEN_MAX         8192U
#define KEY_MODE            0600
#define CERTIFICATE_MODE    0644
#define FOLDER_MODE         0700
#define LIFETIME_DEFAULT_MS (30 * 86400000LL)
#define MS_PER_S            1000
#define OUTPUT_LEN_MAX      65536U
#define INDENT              2U

/* The files of the key and its certificate. */
struct places {
    char key[PATH_MAX];
    char certificate[PATH_MAX];
};

static ks_result find_places(struct ks_cli *cli, struct places *ret_places)
{
    const char *folder = ks_argument(&cli->arguments, "out");
    const char *name = ks_argument(&cli->arguments, "name");
    if (!ks_user_name_is_valid(ks_bytes_of(name))) {
        return ks_fail(&cli->failure, KS_VALIDATION, "'%.64s' is no name of a user", name);
    }
    int key_len = snprintf(ret_places->key, PATH_MAX, "%s/%s.key", folder, name);
    int pem_len = snprintf(ret_places->certificate, PATH_MAX, "%s/%s.pem", folder, name);
    if (key_len >= PATH_MAX || pem_len >= PATH_MAX) {
        return ks_fail(&cli->failure, KS_VALIDATION, "--out is too long");
    }
    /* If the folder cannot be made, writing the key fails and says so. */
    (void)mkdir(folder, FOLDER_MODE);
    return KS_RES(OK);
}

static ks_result make_key(struct ks_cli *cli, const char *path, struct ks_ec_key **ret_key)
{
    KS_EC_AUTO *key = NULL;
    KS_BUFFER_AUTO pem = {.len_max = KS_EC_PRIVATE_PEM_MAX};
    KS_TRY(ks_ec_generate(KS_EC_P256, &key));
    KS_TRY(ks_ec_write_private_pem(key, &pem));
    KS_TRY(ks_disk_write(path, ks_buffer_bytes(&pem), KEY_MODE, &cli->failure));
    *ret_key = key;
    key = NULL;
    return KS_RES(OK);
}

/* Reads the key in the folder, or makes a new one there. */
static ks_result take_key(struct ks_cli *cli, const char *path, struct ks_ec_key **ret_key)
{
    KS_BUFFER_AUTO pem = {.len_max = KS_EC_PRIVATE_PEM_MAX + 1};
    ks_result r = ks_disk_read(path, &pem, &cli->failure);
    if (r.code == KS_NOT_FOUND) {
        return make_key(cli, path, ret_key);
    }
    KS_TRY(r);
    if (ks_failed(ks_ec_read_private(ks_buffer_bytes(&pem), ret_key))) {
        return ks_fail(&cli->failure, KS_VALIDATION,
                       "%.400s is no P-256 or P-384 key in PEM; move it away to get a new one",
                       path);
    }
    return KS_RES(OK);
}

static ks_result ask(struct ks_cli *cli, const struct ks_ec_key *key,
                     const Keystead__Admin__V1__IssueCertificateResponse **ret_issued)
{
    const struct ks_method *method = cli->arguments.command->method;
    ProtobufCMessage *request;
    ProtobufCMessage *response;
    int64_t lifetime_ms;
    KS_BUFFER_AUTO csr = {.len_max = CSR_LEN_MAX};
    KS_TRY(ks_duration_option(cli, "lifetime", LIFETIME_DEFAULT_MS, &lifetime_ms));
    KS_TRY(ks_csr_make(key, &(struct ks_x509_subject){.organization = "Keystead"},
                       &(struct ks_x509_names){0}, &csr));
    char *text = ks_arena_dup(&cli->arena, ks_buffer_bytes(&csr));
    if (!text) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    KS_TRY(ks_call_request(cli, method, &request));
    ((Keystead__Admin__V1__IssueCertificateRequest *)request)->lifetime_seconds =
        lifetime_ms / MS_PER_S;
    KS_TRY(ks_request_set(request, "csr_pem", text, &cli->failure));
    KS_TRY(ks_call(cli, method, request, &response));
    *ret_issued = (const Keystead__Admin__V1__IssueCertificateResponse *)response;
    return KS_RES(OK);
}

/* What is printed: name and value, for either form. */
struct fact {
    const char *name;
    const char *value;
};

static ks_result print(struct ks_cli *cli, const struct fact *facts, size_t count)
{
    KS_BUFFER_AUTO out = {.len_max = OUTPUT_LEN_MAX};
    if (cli->output == KS_OUTPUT_JSON) {
        struct ks_json_writer writer = {.buffer = &out, .indent = INDENT};
        ks_json_object(&writer, NULL);
        for (size_t i = 0; i < count; i++) {
            ks_json_put_string(&writer, facts[i].name, facts[i].value);
        }
        ks_json_close(&writer);
        KS_TRY(ks_json_end(&writer));
        KS_TRY(ks_buffer_append(&out, KS_LITERAL("\n")));
    } else {
        KS_TABLE_AUTO table = {.column_count = 2, .text = {.len_max = OUTPUT_LEN_MAX}};
        for (size_t i = 0; i < count; i++) {
            ks_table_cell(&table, facts[i].name);
            ks_table_cell(&table, facts[i].value);
        }
        KS_TRY(ks_table_print(&table, &out));
    }
    return ks_emit(STDOUT_FILENO, ks_buffer_bytes(&out), &cli->failure);
}

ks_result ks_run_user_certificate(struct ks_cli *cli)
{
    struct places places;
    KS_EC_AUTO *key = NULL;
    const Keystead__Admin__V1__IssueCertificateResponse *issued;
    KS_TRY(find_places(cli, &places));
    KS_TRY(take_key(cli, places.key, &key));
    KS_TRY(ask(cli, key, &issued));
    KS_TRY(ks_disk_write(places.certificate, ks_bytes_of(issued->certificate_pem), CERTIFICATE_MODE,
                         &cli->failure));

    char expires[KS_TIME_TEXT_LEN] = "";
    if (issued->expire_time) {
        ks_time_text(issued->expire_time->seconds, issued->expire_time->nanos, expires);
    }
    const struct fact facts[] = {{"Serial", issued->serial},
                                 {"ExpireTime", expires},
                                 {"CertificateFile", places.certificate},
                                 {"KeyFile", places.key}};
    return print(cli, facts, KS_COUNT(facts));
}
