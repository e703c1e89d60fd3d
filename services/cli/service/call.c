#include "services/cli/service/call.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "google/protobuf/timestamp.pb-c.h"
#include "pkg/codec/codec.h"
#include "pkg/crypto/random.h"
#include "pkg/form/names.h"
#include "pkg/json/json.h"
#include "pkg/message/members.h"
#include "services/cli/output/emit.h"
#include "services/cli/output/shown.h"
#include "services/cli/output/table.h"
#include "services/cli/service/connections.h"
#include "services/cli/service/identifier.h"
#include "services/cli/service/request.h"

#define MESSAGE_LEN_MAX   (4U * 1024U * 1024U)
#define FIELD_COUNT_MAX   65536U /* a page of 1,000 elements of some fields each */
#define REQUEST_ID_RANDOM 16U    /* bytes */
#define SPIFFE_LEN        128U
#define INDENT            2U

/* ---- Requests ---- */

/* A retry must be the same request as the first try, so the request is named here, once. */
static ks_result set_request_id(ProtobufCMessage *request, struct ks_cli *cli)
{
    if (!ks_request_has(request, "request_id")) {
        return KS_RES(OK);
    }
    uint8_t drawn[REQUEST_ID_RANDOM];
    char hex[2 * REQUEST_ID_RANDOM + 1];
    KS_TRY(ks_random_public(drawn, sizeof(drawn)));
    ks_hex_write((ks_bytes){drawn, sizeof(drawn)}, hex);
    char *kept = ks_arena_dup(&cli->arena, ks_bytes_of(hex));
    if (!kept) {
        return KS_RES(LIMIT_EXCEEDED);
    }
    return ks_request_set(request, "request_id", kept, &cli->failure);
}

/* An option is skipped if the message has no field for it: the command reads that option itself. */
static ks_result set_option(ProtobufCMessage *request, const struct ks_method *method,
                            const struct ks_option *option, struct ks_cli *cli)
{
    if (!option->field || !ks_request_has(request, option->field)) {
        return KS_RES(OK);
    }
    if (option->flags & KS_OPTION_REPEATED) {
        const struct ks_list_source source = {&cli->arguments, option->name};
        return ks_request_set_list(request, option->field, &source, &cli->arena, &cli->failure);
    }
    const char *word = ks_argument(&cli->arguments, option->name);
    if (!word && (option->flags & KS_OPTION_SETTING)) {
        KS_TRY(ks_settings_need_option(&cli->settings, option->name, &word, &cli->failure));
    }
    if (!word) {
        return KS_RES(OK);
    }
    KS_TRY(ks_identifier_resolve(cli, method, option->field, &word));
    return ks_request_set(request, option->field, word, &cli->failure);
}

ks_result ks_call_request(struct ks_cli *cli, const struct ks_method *method,
                          ProtobufCMessage **ret_request)
{
    const struct ks_command *command = cli->arguments.command;
    ProtobufCMessage *request;
    KS_TRY(ks_request_new(ks_method_signature(method).request, &cli->arena, &request));
    for (size_t i = 0; i < command->option_count; i++) {
        const struct ks_option *option = &command->options[i];
        KS_TRY(set_option(request, method, option, cli));
    }
    KS_TRY(set_request_id(request, cli));
    *ret_request = request;
    return KS_RES(OK);
}

/* ---- Calls ---- */

static ks_result frontend_door(struct ks_cli *cli, struct ks_door *ret_door)
{
    const struct ks_settings *settings = &cli->settings;
    struct ks_failure *failure = &cli->failure;
    const char *region;
    KS_TRY(ks_settings_need(settings, KS_SETTING_ENDPOINT, &ret_door->addresses, failure));
    KS_TRY(ks_settings_need(settings, KS_SETTING_REGION, &region, failure));
    KS_TRY(ks_settings_need(settings, KS_SETTING_CA, &ret_door->tls.ca_file, failure));
    KS_TRY(ks_settings_need(settings, KS_SETTING_CERT, &ret_door->tls.cert_file, failure));
    KS_TRY(ks_settings_need(settings, KS_SETTING_CERT_KEY, &ret_door->tls.key_file, failure));
    char spiffe[SPIFFE_LEN];
    if (!ks_is_region(ks_bytes_of(region))) {
        return ks_fail(failure, KS_VALIDATION, "'%.40s' is no region", region);
    }
    snprintf(spiffe, sizeof(spiffe), "spiffe://keystead/region/%s/frontend/", region);
    ret_door->spiffe = ks_arena_dup(&cli->arena, ks_bytes_of(spiffe));
    return ret_door->spiffe ? KS_RES(OK) : KS_RES(LIMIT_EXCEEDED);
}

static ks_result control_door(struct ks_cli *cli, struct ks_door *ret_door)
{
    const struct ks_settings *settings = &cli->settings;
    struct ks_failure *failure = &cli->failure;
    KS_TRY(ks_settings_need(settings, KS_SETTING_ADMIN_ENDPOINT, &ret_door->addresses, failure));
    KS_TRY(ks_settings_need(settings, KS_SETTING_CA, &ret_door->tls.ca_file, failure));
    KS_TRY(ks_settings_need(settings, KS_SETTING_OPERATOR_CERT, &ret_door->tls.cert_file, failure));
    KS_TRY(
        ks_settings_need(settings, KS_SETTING_OPERATOR_CERT_KEY, &ret_door->tls.key_file, failure));
    ret_door->spiffe = "spiffe://keystead/control";
    return KS_RES(OK);
}

ks_result ks_call_door(struct ks_cli *cli, enum ks_door_kind kind, struct ks_door *ret_door)
{
    return kind == KS_DOOR_CONTROL ? control_door(cli, ret_door) : frontend_door(cli, ret_door);
}

ks_result ks_call(struct ks_cli *cli, const struct ks_method *method,
                  const ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    const struct ks_signature signature = ks_method_signature(method);
    struct ks_door door = {0};
    KS_TRY(ks_call_door(cli, signature.door, &door));
    KS_BUFFER_AUTO packed = {.len_max = MESSAGE_LEN_MAX};
    KS_BUFFER_AUTO answer = {.len_max = MESSAGE_LEN_MAX};
    ks_result r = ks_codec_pack(request, &packed);
    if (ks_failed(r)) {
        return ks_fail(&cli->failure, r.code, "the request is longer than %u bytes",
                       MESSAGE_LEN_MAX);
    }
    const struct ks_outgoing what = {.method = signature.path,
                                     .request = ks_buffer_bytes(&packed),
                                     .patience_ms = cli->timeout_ms};
    struct ks_rpc_error error = {0};
    r = ks_connections_call(cli->connections, &door, &what, &answer, &error);
    if (ks_failed(r)) {
        return ks_fail_call(&cli->failure, &error);
    }
    const struct ks_codec_limits limits = {.len_max = MESSAGE_LEN_MAX,
                                           .field_count_max = FIELD_COUNT_MAX};
    r = ks_codec_unpack(signature.response, ks_buffer_bytes(&answer), &limits, &cli->arena,
                        ret_response);
    if (ks_failed(r)) {
        return ks_fail(&cli->failure, KS_INTERNAL, "the service's answer cannot be read");
    }
    return KS_RES(OK);
}

/* ---- Answers ---- */

static ks_result print_json(struct ks_cli *cli, const ProtobufCMessage *response)
{
    KS_BUFFER_AUTO out = {.len_max = KS_CLI_OUTPUT_LEN_MAX};
    struct ks_json_writer writer = {.buffer = &out, .indent = INDENT};
    ks_json_object(&writer, NULL);
    ks_members_write(&writer, ks_shown_message(response));
    ks_json_close(&writer);
    KS_TRY(ks_json_end(&writer));
    KS_TRY(ks_buffer_append(&out, KS_LITERAL("\n")));
    return ks_emit(STDOUT_FILENO, ks_buffer_bytes(&out), &cli->failure);
}

ks_result ks_call_print(struct ks_cli *cli, const ProtobufCMessage *response)
{
    if (cli->output == KS_OUTPUT_JSON) {
        return print_json(cli, response);
    }
    KS_TABLE_AUTO table = {.column_count = 2, .text = {.len_max = KS_CLI_OUTPUT_LEN_MAX}};
    KS_BUFFER_AUTO out = {.len_max = KS_CLI_OUTPUT_LEN_MAX};
    ks_table_members(&table, response);
    KS_TRY(ks_table_print(&table, &out));
    return ks_emit(STDOUT_FILENO, ks_buffer_bytes(&out), &cli->failure);
}

ks_result ks_call_run(struct ks_cli *cli)
{
    const struct ks_method *method = cli->arguments.command->method;
    ProtobufCMessage *request = NULL;
    ProtobufCMessage *response = NULL;
    KS_TRY(ks_call_request(cli, method, &request));
    KS_TRY(ks_call(cli, method, request, &response));
    return ks_call_print(cli, response);
}
