/* key create: a key, and its alias if one is wanted. */

#include <stddef.h>

#include "keystead/kms/v1/kms.pb-c.h"
#include "pkg/arn/name.h"
#include "pkg/message/value.h"
#include "services/cli/commands/commands.h"
#include "services/cli/service/call.h"
#include "services/cli/service/identifier.h"
#include "services/cli/service/request.h"

static const struct ks_method create_alias = KS_KMS_METHOD(CreateAlias);

/*
 * This is asked before the key is made, because a key without its alias is not what was asked for.
 */
static ks_result check_alias_is_free(struct ks_cli *cli, const char *alias)
{
    if (!ks_alias_is_valid(ks_bytes_of(alias))) {
        return ks_fail(&cli->failure, KS_INVALID_ALIAS_NAME,
                       "'%.256s' is no alias: it is alias/ and letters, digits, / _ or -", alias);
    }
    const Keystead__Kms__V1__KeyMetadata *named;
    ks_result r = ks_identifier_look_up(cli, alias, &named);
    if (!ks_failed(r)) {
        return ks_fail(&cli->failure, KS_ALREADY_EXISTS, "%.256s names a key already", alias);
    }
    return r.code == KS_NOT_FOUND ? KS_RES(OK) : r;
}

static ks_result name_key(struct ks_cli *cli, const char *alias,
                          const Keystead__Kms__V1__KeyMetadata *key)
{
    ProtobufCMessage *request;
    ProtobufCMessage *response;
    KS_TRY(ks_call_request(cli, &create_alias, &request));
    KS_TRY(ks_request_set(request, "alias_name", alias, &cli->failure));
    KS_TRY(ks_request_set(request, "target_key_id", key->key_id, &cli->failure));
    ks_result r = ks_call(cli, &create_alias, request, &response);
    if (ks_failed(r)) {
        struct ks_failure why = cli->failure;
        return ks_fail(&cli->failure, r.code, "the key %s was made, but not its alias: %.300s",
                       key->key_id, why.text);
    }
    return KS_RES(OK);
}

/* What the answer says of the key; NULL: it says of none. */
static const Keystead__Kms__V1__KeyMetadata *key_in(const ProtobufCMessage *response)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(response->descriptor, "key_metadata");
    const void *key = field ? ks_value_message(ks_value_at(response, field, 0)) : NULL;
    return key;
}

ks_result ks_run_key_create(struct ks_cli *cli)
{
    const struct ks_method *method = cli->arguments.command->method;
    const char *alias = ks_argument(&cli->arguments, "alias");
    ProtobufCMessage *request;
    ProtobufCMessage *response;
    KS_TRY(ks_call_request(cli, method, &request));
    if (alias) {
        KS_TRY(check_alias_is_free(cli, alias));
    }
    KS_TRY(ks_call(cli, method, request, &response));
    const Keystead__Kms__V1__KeyMetadata *key = key_in(response);
    if (!key) {
        return ks_fail(&cli->failure, KS_INTERNAL, "the service's answer cannot be read");
    }
    if (alias) {
        KS_TRY(name_key(cli, alias, key));
    }
    return ks_call_print(cli, response);
}
